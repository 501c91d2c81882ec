/*
 * test_pfi_path.c - the run directory of prefork-interp clients, and names in it.
 *
 * The yardsticks are paths that the original client used.
 */
#include <criterion/criterion.h>
#include <sys/un.h>

#include "wire/pfi_path.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define HOME_RUN "/root/.prefork-interp/vm"

static struct pfi_run_facts
facts_of_root(void)
{
	return (struct pfi_run_facts){
		.uid = 0,
		.is_directory = true,
		.owner = 0,
		.mode = 0700,
		.home = wire_span_str("/root"),
		.nodename = wire_span_str("vm"),
	};
}

static void
assert_run_dir(const struct pfi_run_facts *facts, const char *want)
{
	uint8_t room[256];
	struct wire_out out = wire_out(room, sizeof room);

	pfi_put_run_dir(&out, facts);
	cr_assert_not(out.overflow);
	cr_assert(wire_span_equal(wire_span(room, out.len), wire_span_str(want)), "%s", want);
}

Test(pfi_path, runtime_directory_if_it_is_the_users_alone)
{
	struct pfi_run_facts facts = facts_of_root();

	assert_run_dir(&facts, "/var/run/user/0/prefork-interp");
	facts.uid = facts.owner = 1000;
	assert_run_dir(&facts, "/var/run/user/1000/prefork-interp");
	facts.uid = facts.owner = UINT32_MAX;
	assert_run_dir(&facts, "/var/run/user/4294967295/prefork-interp");
}

Test(pfi_path, home_if_it_is_not)
{
	struct pfi_run_facts facts = facts_of_root();

	facts.is_directory = false;
	cr_assert_not(pfi_runtime_dir_usable(&facts));
	assert_run_dir(&facts, HOME_RUN);
	facts = facts_of_root();
	facts.owner = 1;
	cr_assert_not(pfi_runtime_dir_usable(&facts));
	assert_run_dir(&facts, HOME_RUN);
}

/* Any right of anybody else, and no other bit, makes the directory unfit. */
Test(pfi_path, modes)
{
	struct pfi_run_facts facts = facts_of_root();

	for (uint32_t mode = 0; mode <= 07777; mode++) {
		facts.mode = mode;
		cr_assert_eq(pfi_runtime_dir_usable(&facts), mode % 0100 == 0, "%o", mode);
	}
}

Test(pfi_path, node_is_the_name_before_its_first_dot)
{
	static const struct {
		const char *nodename, *run;
	} rows[] = {
		{ "vm.example", HOME_RUN },
		{ "vm.", HOME_RUN },
		{ "vm.a.b.c", HOME_RUN },
		{ "", "/root/.prefork-interp/" },
		{ ".example", "/root/.prefork-interp/" },
		{ "a23456789b123456789c123456789d12",
		  "/root/.prefork-interp/a23456789b123456789c123456789d12" },
		/* As seen with a longer one. */
		{ "a23456789b123456789c123456789d123456789e1234.example",
		  "/root/.prefork-interp/a23456789b123456789c123456789d12" },
	};
	struct pfi_run_facts facts = facts_of_root();

	facts.is_directory = false;
	for (size_t i = 0; i < COUNT(rows); i++) {
		facts.nodename = wire_span_str(rows[i].nodename);
		assert_run_dir(&facts, rows[i].run);
	}
	facts.nodename = wire_span(NULL, 0);
	assert_run_dir(&facts, "/root/.prefork-interp/");
}

Test(pfi_path, runtime_directory_to_look_at)
{
	uint8_t room[32];
	struct wire_out out = wire_out(room, sizeof room);

	pfi_put_runtime_dir(&out, 0);
	cr_assert(wire_span_equal(wire_span(room, out.len), wire_span_str("/var/run/user/0")));
}

/* --- idents */

static void
assert_path(enum pfi_path_kind kind, const char *ident, const char *want)
{
	uint8_t room[128];
	struct wire_out out = wire_out(room, sizeof room);

	cr_assert_eq(pfi_put_path(&out, wire_span_str(HOME_RUN), kind, wire_span_str(ident)),
		     WIRE_OK);
	cr_assert(wire_span_equal(wire_span(room, out.len), wire_span_str(want)), "%s", want);
}

Test(pfi_path, names_as_seen)
{
	assert_path(PFI_PATH_SOCKET, "t1", HOME_RUN "/st1");
	assert_path(PFI_PATH_LOCK, "t1", HOME_RUN "/lt1");
	assert_path(PFI_PATH_EXTENDED, "t1", HOME_RUN "/xt1");
	assert_path(PFI_PATH_SOCKET, "", HOME_RUN "/s");
	/* Without -g an ident is a hash in hex. */
	assert_path(PFI_PATH_SOCKET,
		    "b14969bd3e1000000000000000000000000000000000000000000000000004250",
		    HOME_RUN "/sb14969bd3e1000000000000000000000000000000000000000000000000004250");
	/* Nothing of it means anything but '/'. */
	assert_path(PFI_PATH_SOCKET, "..", HOME_RUN "/s..");
}

Test(pfi_path, ident_bound)
{
	cr_assert_eq(pfi_ident_max(sizeof HOME_RUN - 1), 72, "as seen");
	for (size_t run_len = 0; run_len <= 96; run_len++)
		cr_assert_eq(pfi_ident_max(run_len), 96 - run_len);
	cr_assert_eq(pfi_ident_max(97), 0);
	cr_assert_eq(pfi_ident_max(SIZE_MAX), 0);
}

Test(pfi_path, ident_exact_and_one_over)
{
	char text[128];
	char run[128];

	memset(text, 'i', sizeof text);
	memset(run, '/', sizeof run);
	for (size_t run_len = 0; run_len <= 96; run_len++) {
		uint8_t room[sizeof(((struct sockaddr_un *)0)->sun_path)];
		struct wire_out out = wire_out(room, sizeof room - 1);
		size_t max = pfi_ident_max(run_len);

		cr_assert_eq(pfi_ident_check(wire_span(text, max), run_len), WIRE_OK);
		cr_assert_eq(pfi_ident_check(wire_span(text, max + 1), run_len), WIRE_BAD_LONG);
		cr_assert_eq(pfi_put_path(&out, wire_span(run, run_len), PFI_PATH_SOCKET,
					  wire_span(text, max + 1)),
			     WIRE_BAD_LONG);
		cr_assert_eq(out.len, 0);
		cr_assert_eq(pfi_put_path(&out, wire_span(run, run_len), PFI_PATH_SOCKET,
					  wire_span(text, max)),
			     WIRE_OK);
		cr_assert_not(out.overflow, "an address has room for it, and its NUL");
		cr_assert_eq(out.len, 98);
	}
	cr_assert_eq(pfi_ident_check(wire_span_str(""), 96), WIRE_OK);
	cr_assert_eq(pfi_ident_check(wire_span_str(""), 97), WIRE_BAD_LONG);
}

Test(pfi_path, ident_stays_in_its_directory)
{
	static const char nul[] = { 'a', '\0', 'b' };
	uint8_t room[128];
	struct wire_out out = wire_out(room, sizeof room);

	cr_assert_eq(pfi_ident_check(wire_span_str("/"), 10), WIRE_BAD_ID);
	cr_assert_eq(pfi_ident_check(wire_span_str("a/b"), 10), WIRE_BAD_ID);
	cr_assert_eq(pfi_ident_check(wire_span_str("../x"), 10), WIRE_BAD_ID);
	cr_assert_eq(pfi_ident_check(wire_span(nul, sizeof nul), 10), WIRE_BAD_ID);
	cr_assert_eq(
	    pfi_put_path(&out, wire_span_str("/run"), PFI_PATH_SOCKET, wire_span_str("/../etc")),
	    WIRE_BAD_ID);
	cr_assert_eq(out.len, 0);
	cr_assert_eq(pfi_ident_check(wire_span(NULL, 0), 10), WIRE_OK);
}
