/*
 * test_call_hostile.c - callers that break the protocol, with bytes and with descriptors: they are
 * closed without a status, nothing of theirs reaches the service, nothing is kept.
 */
#include "tests/call_site.h"

#include <sys/resource.h>

TestSuite(call_hostile, .init = site_up, .fini = site_down);

static int listener;
static int before;

static void
serve(void)
{
	struct channel_message hello = site_service();

	listener = site_serve(&hello);
	before = count_fds();
}

/* The caller is closed, silently, and nobody else noticed. */
static void
expect_refused(int caller, enum call_end end)
{
	uint64_t ends = site_ends(end);

	TURN_UNTIL(site_ends(end) == ends + 1);
	site_expect_end(caller);
	site_all_over();
	cr_assert_lt(site_accepted(listener), 0);
	cr_assert_eq(count_fds(), before);
}

static void
expect_service_alive(void)
{
	int caller = caller_call("fine");

	service_end(service_begin(listener, "fine"), 42 << 8);
	caller_expect_status(caller, 42 << 8);
	site_all_over();
	cr_assert_eq(count_fds(), before);
}

Test(call_hostile, bytes_in_the_wrong_place)
{
	static const struct {
		const char *bytes; /* after the signalling byte and so many descriptors */
		size_t len;
		int fds;
	} rows[] = {
		{ "\1", 1, -1 },                  /* the signalling byte */
		{ "\0\0", 2, -1 },                /* no descriptor */
		{ "\0", 1, 2 },                   /* the third lacks its own */
		{ "\0\0\0\0", 4, 3 },             /* length 0 */
		{ "\0\0\0\1x", 5, 3 },            /* no NUL */
		{ "\0\0\0\3A=b", 7, 3 },          /* likewise */
		{ "\0\0\0\x9noequals\0", 13, 3 }, /* an environment string without = */
		{ "\0\0\0\3"
		  "0\0\0",
		  7, 3 }, /* another */
		{ "\xff\xff\xff\xff"
		  "A=b",
		  7, 3 },             /* four gigabytes */
		{ "\1\0\0\1", 4, 3 }, /* one byte over the bound */
	};

	serve();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int caller = caller_connect("public");
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (rows[i].fds >= 0)
			site_put(caller, "", 1);
		for (int k = 0; k < rows[i].fds; k++)
			site_put_fds(caller, "", 1, &null, 1);
		close(null);
		site_put(caller, rows[i].bytes, rows[i].len);
		expect_refused(caller, CALL_BAD_REQUEST);
	}
	expect_service_alive();
}

/* Every proper beginning of a request, then the end. */
Test(call_hostile, early_end)
{
	static const uint8_t rest[] = "\0\0\0\6A=\0\0x";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	serve();
	for (size_t cut = 0; cut < 1 + PFI_FDS + 10; cut++) {
		int caller = caller_connect("public");
		for (size_t i = 0; i < cut; i++) {
			if (i >= 1 && i <= PFI_FDS)
				site_put_fds(caller, "", 1, &null, 1);
			else
				site_put(caller, i == 0 ? rest : rest + i - 1 - PFI_FDS, 1);
		}
		turn_for_nothing();
		shutdown(caller, SHUT_WR);
		expect_refused(caller, CALL_LEFT);
	}
	close(null);
	before--;
	expect_service_alive();
}

static void
bomb(size_t count, bool with_signal, const char *bytes, size_t len)
{
	int fds[253];
	int caller = caller_connect("public");

	for (size_t i = 0; i < count; i++) {
		/* Whatever a descriptor can be: also the connection itself. */
		fds[i] = i % 4 == 0   ? open(temp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			 : i % 4 == 1 ? dup(caller)
			 : i % 4 == 2 ? open("/dev/null", O_RDWR | O_CLOEXEC)
				      : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_geq(fds[i], 0);
	}
	if (!with_signal)
		site_put(caller, "", 1);
	site_put_fds(caller, bytes, len, fds, count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	expect_refused(caller, CALL_BAD_REQUEST);
}

Test(call_hostile, too_many_descriptors)
{
	serve();
	bomb(253, false, "", 1);
	bomb(2, false, "", 1);
	bomb(3, false, "\0\0\0", 3);
	bomb(253, true, "", 1);
	bomb(1, true, "", 1);
	bomb(253, true, "\0\0\0\0", 4);
	expect_service_alive();
}

/* Behind the third descriptor there are none: not with the length, the message, or after it. */
Test(call_hostile, stray_descriptors)
{
	static const char request[] = "\0\0\0\2\0\0";

	serve();
	for (size_t at = 0; at <= 6; at++) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		int many[100];
		int caller = caller_connect("public");
		for (int i = 0; i < 100; i++)
			many[i] = null;
		caller_put_fds(caller, (int[]){ null, null, null });
		if (at > 0)
			site_put(caller, request, at);
		turn_for_nothing();
		int service = at < 6 ? -1 : service_begin(listener, "");
		site_put_fds(caller, request + at, at < 6 ? 6 - at : 1, many, 100);
		close(null);
		if (at < 6) {
			expect_refused(caller, CALL_BAD_REQUEST);
			continue;
		}
		/* One byte too many, whatever is with it. */
		uint8_t byte;
		ssize_t got = -1;
		TURN_UNTIL((got = site_read(service, &byte, 1)) >= 0);
		cr_assert_eq(got, 0);
		service_end(service, 2);
		caller_expect_status(caller, 2);
	}
	expect_service_alive();
}

Test(call_hostile, directories_and_the_socket_itself_are_passed_on)
{
	struct given given;

	serve();
	int caller = caller_connect("public");
	int directory = open(temp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	caller_put_fds(caller, (int[]){ directory, caller, listener });
	close(directory);
	caller_put_message(caller, "\0", 1);
	int service = site_accept(listener);
	service_greet(service);
	service_take(&given, service);
	given_close(&given);
	service_end(service, 0);
	caller_expect_status(caller, 0);
	site_all_over();
	cr_assert_eq(count_fds(), before);
}

/* A request announced, never sent: it costs what came of it, not what was announced. */
Test(call_hostile, announced_messages_take_no_memory)
{
	int callers[32];

	serve();
	for (int i = 0; i < 32; i++) {
		callers[i] = caller_connect("public");
		caller_put_fds(callers[i], (int[]){ 0, 1, 2 });
		site_put(callers[i], "\1\0\0\0A=b", 7);
	}
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_COLLECTING), 32u);
	cr_assert_leq(site.worker.memory.used, 32u * 2 * CALL_READ_MAX);
	int caller = caller_call("fine");
	service_end(service_begin(listener, "fine"), 0);
	caller_expect_status(caller, 0);
	for (int i = 0; i < 32; i++)
		close(callers[i]);
	site_all_over();
	cr_assert_eq(count_fds(), before);
}

/* The worker has no descriptor left: who wants to pass one is closed, nobody else. */
Test(call_hostile, no_descriptors_left)
{
	struct rlimit limit, old;

	serve();
	int patient = caller_connect("public");
	int caller = caller_connect("public");
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	site_put(caller, "", 1);
	turn_for_nothing();
	limit = old;
	limit.rlim_cur = (rlim_t)caller + 1;
	int fds[] = { 0, 1, 2 };
	site_put_fds(caller, "", 1, fds, 3);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	TURN_UNTIL(site_ends(CALL_OVERLOAD) == 1);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	site_expect_end(caller);
	caller_ask(patient, "patient");
	service_end(service_begin(listener, "patient"), 0);
	caller_expect_status(patient, 0);
	site_all_over();
	cr_assert_eq(count_fds(), before);
}

Test(call_hostile, other_users)
{
	struct channel_message hello = site_service();

	hello.service.uid_count = 2;
	hello.service.uids[0] = getuid() + 1;
	hello.service.uids[1] = getuid() + 2;
	listener = site_serve(&hello);
	int caller = site_connect("public");
	site_expect_end(caller); /* not even greeted */
	cr_assert_eq(site_ends(CALL_FORBIDDEN), 1u);
	hello.service.uids[1] = getuid();
	site_say(&hello, -1);
	before = count_fds();
	expect_service_alive();
}

enum {
	SILENT = CALLS_COLLECTING_MAX
};

static int silent[SILENT];

/* As many silent ones as may be. */
static void
fill(void)
{
	struct channel_message hello = site_service();
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 3 * SILENT)
		cr_skip_test("it takes %d descriptors", 3 * SILENT);
	site_say(&hello, site_listen("public", 4096));
	listener = site_listen("svc1", 128);
	site_generation(1, SERVICE_GENERATION_USE, "svc1");
	before = count_fds();
	for (int i = 0; i < SILENT; i++)
		silent[i] = site_connect("public");
	TURN_UNTIL(site_count(CALL_COLLECTING) >= SILENT);
}

/* How long the first of them has been silent; its place is another's after a while. */
static uint64_t
silent_ms(void)
{
	const struct call *first = TAILQ_FIRST(&site_found()->calls[CALL_COLLECTING]);

	return (worker_now(&site.worker) - first->began_at) / MS;
}

static void
serve_late(int late)
{
	caller_ask(late, "late");
	service_end(service_begin(listener, "late"), 0);
	caller_expect_status(late, 0);
}

static void
close_silent(int from)
{
	for (int i = from; i < SILENT; i++)
		close(silent[i]);
	site_all_over();
	expect_service_alive();
}

/* More than the bound of silent ones: the next wait ungreeted, and get their turn. */
Test(call_hostile, silent_clients_are_bounded)
{
	uint8_t byte;

	fill();
	/* One was armed already. */
	int waiting = site_connect("public"), late = site_connect("public");
	turn_for_nothing();
	cr_assert_leq(site_count(CALL_COLLECTING), SILENT + 1u);
	if (silent_ms() < CALLS_COLLECTING_FAIR_MS)
		cr_assert_eq(site_read(late, &byte, 1), -1);
	close(silent[0]);
	close(silent[1]);
	site_expect(late, GREETING, sizeof GREETING);
	serve_late(late);
	close(waiting);
	close_silent(2);
}

/* They need not leave for that: the oldest ones make room, but only for who is there. */
Test(call_hostile, silent_clients_make_room)
{
	uint8_t byte;

	fill();
	TURN_UNTIL(silent_ms() >= CALLS_COLLECTING_FAIR_MS);
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_COLLECTING), SILENT);
	int first = site_connect("public"), second = site_connect("public");
	site_expect(first, GREETING, sizeof GREETING);
	site_expect(second, GREETING, sizeof GREETING);
	cr_assert_eq(site_count(CALL_COLLECTING), SILENT);
	cr_assert_eq(site_ends(CALL_SLOW_REQUEST), 2u);
	serve_late(first);
	serve_late(second);
	for (int i = 0; i < 2; i++) {
		site_expect(silent[i], GREETING, sizeof GREETING);
		site_expect_end(silent[i]);
	}
	site_expect(silent[2], GREETING, sizeof GREETING);
	cr_assert_eq(site_read(silent[2], &byte, 1), -1);
	close_silent(2);
}
