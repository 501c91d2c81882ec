/*
 * pfi_path.c - the run directory of prefork-interp clients, and the names in it.
 *
 * Never looks at a directory itself, never asks who the user is: facts in, a path out.  Owns
 * nothing.
 */
#include "wire/pfi_path.h"

/* sizeof of sockaddr_un.sun_path, and what the original keeps free of it: "/s", and ten bytes. */
#define SUN_PATH_SIZE  108
#define SUN_PATH_SPARE 12
#define NODENAME_MAX   32
/* Rights of the group and of others. */
#define MODE_FOREIGN 077u

static void
put_text(struct wire_out *out, const char *text)
{
	wire_out_bytes(out, text, strlen(text));
}

void
pfi_put_runtime_dir(struct wire_out *out, uint32_t uid)
{
	uint8_t digits[10]; /* of UINT32_MAX */
	size_t at = sizeof digits;

	put_text(out, "/var/run/user/");
	do {
		digits[--at] = (uint8_t)('0' + uid % 10);
		uid /= 10;
	} while (uid > 0);
	wire_out_bytes(out, digits + at, sizeof digits - at);
}

bool
pfi_runtime_dir_usable(const struct pfi_run_facts *facts)
{
	return facts->is_directory && facts->owner == facts->uid &&
	       (facts->mode & MODE_FOREIGN) == 0;
}

void
pfi_put_run_dir(struct wire_out *out, const struct pfi_run_facts *facts)
{
	struct wire_span node = facts->nodename;
	const uint8_t *dot = node.len > 0 ? memchr(node.data, '.', node.len) : NULL;

	if (pfi_runtime_dir_usable(facts)) {
		pfi_put_runtime_dir(out, facts->uid);
		put_text(out, "/prefork-interp");
		return;
	}
	if (dot != NULL)
		node.len = (size_t)(dot - node.data);
	if (node.len > NODENAME_MAX)
		node.len = NODENAME_MAX;
	wire_out_bytes(out, facts->home.data, facts->home.len);
	put_text(out, "/.prefork-interp/");
	wire_out_bytes(out, node.data, node.len);
}

size_t
pfi_ident_max(size_t run_len)
{
	const size_t most = SUN_PATH_SIZE - SUN_PATH_SPARE;

	return run_len < most ? most - run_len : 0;
}

enum wire_status
pfi_ident_check(struct wire_span ident, size_t run_len)
{
	if (ident.len > 0 && (memchr(ident.data, '/', ident.len) != NULL ||
			      memchr(ident.data, '\0', ident.len) != NULL))
		return WIRE_BAD_ID;
	/* In a directory whose own name is too long there is no room for the empty one either. */
	if (ident.len > pfi_ident_max(run_len) || run_len > SUN_PATH_SIZE - SUN_PATH_SPARE)
		return WIRE_BAD_LONG;
	return WIRE_OK;
}

enum wire_status
pfi_put_path(struct wire_out *out, struct wire_span run, enum pfi_path_kind kind,
	     struct wire_span ident)
{
	enum wire_status status = pfi_ident_check(ident, run.len);
	uint8_t begin[2] = { '/', (uint8_t)kind };

	if (status != WIRE_OK)
		return status;
	wire_out_bytes(out, run.data, run.len);
	wire_out_bytes(out, begin, sizeof begin);
	wire_out_bytes(out, ident.data, ident.len);
	return WIRE_OK;
}
