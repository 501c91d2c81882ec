/*
 * test_call.c - calls of a service through a worker: the request arrives whole, in order and once,
 * the status comes back as it was said, and whoever leaves or ends is heard of at once.
 */
#include "tests/call_site.h"

#include <sys/stat.h>

TestSuite(call, .init = site_up, .fini = site_down);

static bool
same_file(int a, int b)
{
	struct stat one, other;

	cr_assert_eq(fstat(a, &one), 0);
	cr_assert_eq(fstat(b, &other), 0);
	return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static void
three_files(int fds[PFI_FDS])
{
	for (int i = 0; i < PFI_FDS; i++) {
		char name[] = { (char)('a' + i), '\0' };
		fds[i] = open(temp_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		cr_assert_geq(fds[i], 0);
	}
}

static const uint8_t MESSAGE[] = "A=1\0B=\0\0exit\0"
				 "7";

Test(call, whole)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	struct given given;
	int files[PFI_FDS];

	int before = count_fds();
	three_files(files);
	int caller = caller_connect("public");
	caller_put_fds(caller, files);
	caller_put_message(caller, MESSAGE, sizeof MESSAGE);
	int service = site_accept(listener);
	/* Nothing before the greeting. */
	site_expect_nothing(service);
	site_put(service, GREETING, 5);
	site_expect_nothing(service);
	site_put(service, GREETING + 5, sizeof GREETING - 5);
	service_take(&given, service);
	cr_assert_eq(given.len, 1 + PFI_FDS + 4 + sizeof MESSAGE);
	cr_assert_arr_eq(given.bytes + 1 + PFI_FDS + 4, MESSAGE, sizeof MESSAGE);
	for (int i = 0; i < PFI_FDS; i++)
		cr_assert(same_file(given.fds[i], files[i]));
	given_close(&given);
	site_put(service, "\0\0", 2);
	site_expect_nothing(caller);
	site_put(service, "\7\0", 2);
	caller_expect_status(caller, 7 << 8);
	site_expect_end(service);
	for (int i = 0; i < PFI_FDS; i++)
		close(files[i]);
	site_all_over();
	cr_assert_eq(site_ends(CALL_ANSWERED), 1u);
	cr_assert_eq(count_fds(), before);
}

Test(call, every_byte_on_its_own)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	struct given given;
	int files[PFI_FDS];
	uint8_t word[4];

	three_files(files);
	int caller = caller_connect("public");
	site_put(caller, "", 1);
	for (int i = 0; i < PFI_FDS; i++) {
		turn();
		site_put_fds(caller, "", 1, files + i, 1);
	}
	pfi_put_word(word, sizeof MESSAGE);
	for (size_t i = 0; i < sizeof word; i++) {
		turn();
		site_put(caller, word + i, 1);
	}
	for (size_t i = 0; i < sizeof MESSAGE; i++) {
		turn();
		cr_assert_lt(site_accepted(listener), 0);
		site_put(caller, MESSAGE + i, 1);
	}
	int service = site_accept(listener);
	for (size_t i = 0; i < sizeof GREETING; i++) {
		turn();
		site_put(service, GREETING + i, 1);
	}
	service_take(&given, service);
	cr_assert_arr_eq(given.bytes + 1 + PFI_FDS + 4, MESSAGE, sizeof MESSAGE);
	given_close(&given);
	for (int i = 0; i < 4; i++) {
		turn();
		site_put(service, "\0\0\0\x0b" + i, 1);
	}
	caller_expect_status(caller, 11);
	close(service);
	site_all_over();
}

/* The original takes all of it before its greeting was read, in one piece too. */
Test(call, all_of_it_before_the_greeting)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	int caller = site_connect("public");

	caller_ask(caller, "early");
	service_end(service_begin(listener, "early"), 5 << 8);
	site_expect(caller, GREETING, sizeof GREETING);
	caller_expect_status(caller, 5 << 8);
	site_all_over();
}

Test(call, statuses_are_passed_on_exactly)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	for (uint32_t i = 0; i < 256 + 128; i++) {
		/* All exit codes, then all signals, with core and without. */
		uint32_t status = i < 256 ? i << 8 : i - 256;
		int caller = caller_call("x");
		service_end(service_begin(listener, "x"), status);
		caller_expect_status(caller, status);
	}
	for (uint32_t status = 0x7fffffff; status != 0xfffffffe; status += 0x7fffffff) {
		int caller = caller_call("x");
		service_end(service_begin(listener, "x"), status);
		caller_expect_status(caller, status);
	}
	site_all_over();
}

/* A large message, to a service that reads it slowly. */
Test(call, a_large_message)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	enum {
		SIZE = 3000000
	};

	uint8_t *message = malloc(SIZE), *got = malloc(SIZE + 8);
	uint8_t word[4];
	size_t sent = 0, have = 0;

	memset(message, 'x', SIZE);
	for (size_t i = 0; i < SIZE; i += 1000)
		message[i] = (uint8_t)('a' + i / 1000 % 26);
	message[0] = message[SIZE - 1] = '\0';
	int caller = caller_connect("public");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	caller_put_fds(caller, (int[]){ null, null, null });
	close(null);
	pfi_put_word(word, SIZE);
	site_put(caller, word, sizeof word);
	while (sent < SIZE) {
		ssize_t n = send(caller, message + sent, SIZE - sent, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		turn();
	}
	int service = site_accept(listener);
	service_greet(service);
	TURN_UNTIL(site_count(CALL_GIVING) == 1);
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_GIVING), 1u, "it does not fit at once");
	while (have < SIZE + 8) {
		ssize_t n = site_read(service, got + have, SIZE + 8 - have);
		have += n > 0 ? (size_t)n : 0;
		turn();
	}
	cr_assert_arr_eq(got + 4, word, 4);
	cr_assert(memcmp(got + 8, message, SIZE) == 0);
	TURN_UNTIL(site_count(CALL_RUNNING) == 1);
	cr_assert_eq(site.worker.memory.used, 0u, "freed as soon as it was given");
	service_end(service, 0);
	caller_expect_status(caller, 0);
	free(message);
	free(got);
	site_all_over();
}

/* A pipe into another program sees its end when the call's program closes it, not later. */
Test(call, descriptors_are_not_kept)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	struct given given;
	int pipes[2];
	uint8_t byte;

	cr_assert_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	int caller = caller_connect("public");
	caller_put_fds(caller, (int[]){ pipes[1], pipes[1], pipes[1] });
	close(pipes[1]);
	caller_put_message(caller, MESSAGE, sizeof MESSAGE);
	int service = site_accept(listener);
	service_greet(service);
	service_take(&given, service);
	cr_assert_eq(write(given.fds[1], "o", 1), 1);
	given_close(&given);
	turn_for_nothing();
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	cr_assert_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	service_end(service, 0);
	caller_expect_status(caller, 0);
	site_all_over();
}

/* --- the queue -------------------------------------------------------------------------------- */

Test(call, first_come_first_served)
{
	struct channel_message hello = site_service();
	static const char *const names[] = { "0", "1", "2", "3", "4" };
	int callers[5];

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	/* Whose request is complete first comes first, whoever connected first. */
	int late = caller_connect("public");
	for (int i = 0; i < 5; i++) {
		callers[i] = caller_call(names[i]);
		turn_for_nothing();
	}
	caller_ask(late, "late");
	for (int i = 0; i < 5; i++) {
		int service = service_begin(listener, names[i]);
		turn_for_nothing();
		cr_assert_lt(site_accepted(listener), 0, "one at a time");
		cr_assert_eq(site_count(CALL_WAITING), (uint32_t)(5 - i));
		service_end(service, (uint32_t)i << 8);
		caller_expect_status(callers[i], (uint32_t)i << 8);
	}
	service_end(service_begin(listener, "late"), 0);
	caller_expect_status(late, 0);
	site_all_over();
}

Test(call, many_at_once)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	int callers[200], running = 0, done = 0;
	int services[200];

	for (int i = 0; i < 200; i++)
		callers[i] = caller_call("x");
	while (done < 200) {
		int fd = site_accepted(listener);
		if (fd >= 0)
			services[running++] = fd;
		cr_assert_leq(running - done, 4);
		if (fd < 0 && running > done) {
			struct given given;
			service_greet(services[done]);
			service_take(&given, services[done]);
			given_close(&given);
			service_end(services[done++], 3 << 8);
		}
		turn();
	}
	for (int i = 0; i < 200; i++)
		caller_expect_status(callers[i], 3 << 8);
	site_all_over();
}

Test(call, silent_clients_occupy_nothing)
{
	struct channel_message hello = site_service();
	int silent[64];

	hello.service.calls_max = 1;
	hello.service.request_timeout_ms = 300;
	int listener = site_serve(&hello);
	for (int i = 0; i < 64; i++)
		silent[i] = caller_connect("public");
	int caller = caller_call("x");
	service_end(service_begin(listener, "x"), 1 << 8);
	caller_expect_status(caller, 1 << 8);
	/* One has said half of it: its time is the same. */
	caller_put_fds(silent[0], (int[]){ 0, 1, 2 });
	for (int i = 0; i < 64; i++)
		site_expect_end(silent[i]);
	site_all_over();
	cr_assert_eq(site_ends(CALL_SLOW_REQUEST), 64u);
}

/* --- leaving ---------------------------------------------------------------------------------- */

Test(call, who_leaves_before_it_is_given_is_not_served)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	int before = count_fds();
	int first = caller_call("first");
	int service = service_begin(listener, "first");
	int half = caller_connect("public");
	caller_put_fds(half, (int[]){ 0, 1, 2 });
	int waiting = caller_call("waiting");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	int last = caller_call("last");
	turn_for_nothing();
	close(half);
	close(waiting);
	TURN_UNTIL(site_count(CALL_COLLECTING) == 0 && site_count(CALL_WAITING) == 1);
	service_end(service, 0);
	caller_expect_status(first, 0);
	service_end(service_begin(listener, "last"), 0);
	caller_expect_status(last, 0);
	/* Connected already, but not greeted. */
	int connected = caller_call("connected");
	service = site_accept(listener);
	close(connected);
	site_expect_end(service);
	site_all_over();
	cr_assert_eq(site_ends(CALL_LEFT), 3u);
	cr_assert_eq(count_fds(), before);
}

Test(call, who_leaves_is_heard_of_at_once)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	int caller = caller_call("x");
	int service = service_begin(listener, "x");
	close(caller);
	site_expect_end(service);
	site_all_over();
	cr_assert_eq(site_ends(CALL_LEFT), 1u);
}

/* A half close and one more byte are the two ways to have a call interrupted and still be told how
 * it ended. */
Test(call, a_half_close_is_passed_on)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	uint8_t byte;
	ssize_t got = -1;

	for (int way = 0; way < 2; way++) {
		int caller = caller_call("x");
		int service = service_begin(listener, "x");
		site_expect_nothing(service);
		if (way == 0)
			shutdown(caller, SHUT_WR);
		else
			site_put(caller, "!", 1);
		TURN_UNTIL((got = site_read(service, &byte, 1)) >= 0);
		cr_assert_eq(got, 0);
		site_expect_nothing(caller);
		service_end(service, 2);
		caller_expect_status(caller, 2);
	}
	/* After it the caller may leave altogether. */
	int caller = caller_call("x");
	int service = service_begin(listener, "x");
	site_put(caller, "!", 1);
	TURN_UNTIL((got = site_read(service, &byte, 1)) >= 0);
	close(caller);
	TURN_UNTIL(site_ends(CALL_LEFT) == 1);
	close(service);
	site_all_over();
	cr_assert_eq(site_ends(CALL_ANSWERED), 2u);
}

/* While it waits it ends at once: nobody has begun it, and its turn may be far. */
Test(call, a_half_close_ends_a_call_that_waits)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	int first = caller_call("first");
	int service = service_begin(listener, "first");
	int second = caller_call("second");
	int third = caller_call("third");
	int fourth = caller_call("fourth");
	TURN_UNTIL(site_count(CALL_WAITING) == 3);
	shutdown(second, SHUT_WR);
	caller_expect_status(second, SIGINT);
	site_put(third, "!", 1);
	caller_expect_status(third, SIGINT);
	close(fourth); /* nobody is left to be told */
	TURN_UNTIL(site_count(CALL_WAITING) == 0);
	service_end(service, 0);
	caller_expect_status(first, 0);
	site_all_over();
	cr_assert_eq(site_ends(CALL_SIGNALLED), 2u);
	cr_assert_eq(site_ends(CALL_LEFT), 1u);
	cr_assert_lt(site_accepted(listener), 0);
}

/* And while the service has not greeted. */
Test(call, a_half_close_ends_a_call_that_is_not_greeted)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	int caller = caller_call("x");
	int service = site_accept(listener);

	shutdown(caller, SHUT_WR);
	caller_expect_status(caller, SIGINT);
	site_expect_end(service);
	site_all_over();
}

Test(call, bytes_glued_to_the_request_are_swallowed)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	static const uint8_t glued[] = "\0\0\0\2\0\0swallowed";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	int caller = caller_connect("public");
	caller_put_fds(caller, (int[]){ null, null, null });
	close(null);
	site_put(caller, glued, sizeof glued);
	int service = service_begin(listener, "");
	site_expect_nothing(service);
	service_end(service, 9 << 8);
	caller_expect_status(caller, 9 << 8);
	site_all_over();
}

Test(call, call_timeout_ends_both_sides)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	hello.service.call_timeout_ms = 100;
	int listener = site_serve(&hello);
	int caller = caller_call("x");
	int waiting = caller_call("y");
	int service = service_begin(listener, "x");
	site_expect_end(caller);
	site_expect_end(service);
	/* The clock of the other one began when it was complete. */
	site_expect_end(waiting);
	site_all_over();
	cr_assert_eq(site_ends(CALL_TIMED_OUT), 2u);
}
