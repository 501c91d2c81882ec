/*
 * test_service.c - a service in a worker and what control has to do with it: generations come and
 * go, calls wait for the next one, sockets are replaced, the worker stops.
 */
#include "tests/call_site.h"

#include <pthread.h>
#include <sys/epoll.h>

TestSuite(service, .init = site_up, .fini = site_down);

static void
refused_once(unsigned refusals)
{
	TURN_UNTIL(site_refusals > refusals);
	cr_assert_eq(site_told.index, 3u);
	cr_assert_eq(site_told.running, 0u);
}

/* Nobody to give it to: it waits, control is told. */
Test(service, waits_for_a_generation)
{
	struct channel_message hello = site_service();

	site_say(&hello, site_listen("public", 128));
	int caller = caller_call("x");
	TURN_UNTIL(site_told.waiting == 1);
	cr_assert_eq(site_told.generation, 0u);
	/* A path where nobody is. */
	site_generation(1, SERVICE_GENERATION_USE, "nowhere");
	refused_once(0);
	cr_assert_eq(site_told.generation, 1u);
	cr_assert_eq(site_told.waiting, 1u);
	cr_assert_eq(site_told.calls, 0u);
	/* A socket on which nobody listens. */
	close(site_listen("svc2", 1));
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	refused_once(1);
	int listener = site_listen("svc3", 128);
	site_generation(3, SERVICE_GENERATION_USE, "svc3");
	cr_assert_eq(site_found()->not_before, 0u, "not later because another one refused");
	service_end(service_begin(listener, "x"), 4 << 8);
	caller_expect_status(caller, 4 << 8);
	site_all_over();
	TURN_UNTIL(site_told.generation == 3 && site_told.calls == 1 && site_told.running == 0);
	cr_assert_eq(site_told.waiting, 0u);
}

/* One that did not accept is tried again, even if control says nothing: it may run elsewhere. */
Test(service, refused_is_tried_again)
{
	struct channel_message hello = site_service();

	site_say(&hello, site_listen("public", 128));
	site_generation(1, SERVICE_GENERATION_USE, "svc1");
	int caller = caller_call("x");
	refused_once(0);
	int listener = site_listen("svc1", 128);
	service_end(service_begin(listener, "x"), 0);
	caller_expect_status(caller, 0);
	site_all_over();
	cr_assert_eq(site_refusals, 1u);
}

/* Ended, or not of this protocol, before the greeting: nothing was given, so the next generation
 * gets the calls, in their order. */
Test(service, calls_go_on_to_the_next_generation)
{
	static const char *const names[] = { "0", "1", "2", "3" };
	static const char *const garbage[] = { "", "PFI\n", "HTTP/1.1", "PFI\n\0\0\0\1" };
	struct channel_message hello = site_service();
	int callers[4], services[4];

	int old = site_serve(&hello);
	for (int i = 0; i < 4; i++) {
		callers[i] = caller_call(names[i]);
		turn_for_nothing();
	}
	int last = caller_call("last");
	for (int i = 0; i < 4; i++)
		services[i] = site_accept(old);
	/* Neither from the first on nor from the last on. */
	static const int order[] = { 2, 0, 3, 1 };
	for (int i = 0; i < 4; i++) {
		site_put(services[order[i]], garbage[i], i == 3 ? 8 : strlen(garbage[i]));
		close(services[order[i]]);
		turn_for_nothing();
	}
	TURN_UNTIL(site_count(CALL_WAITING) == 5);
	cr_assert_geq(site_refusals, 1u);
	cr_assert_eq(site_found()->put_back, 4u);
	close(old);
	int listener = site_listen("svc2", 128);
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	for (int i = 0; i < 4; i++) {
		service_end(service_begin(listener, names[i]), (uint32_t)i << 8);
		caller_expect_status(callers[i], (uint32_t)i << 8);
	}
	service_end(service_begin(listener, "last"), 0);
	caller_expect_status(last, 0);
	site_all_over();
	cr_assert_eq(site_ends(CALL_ANSWERED), 5u);
}

/* After the first byte it is never given again. */
Test(service, a_call_that_was_begun_is_not_repeated)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);
	struct given given;

	for (int way = 0; way < 3; way++) {
		int caller = caller_call("x");
		int service = site_accept(listener);
		service_greet(service);
		if (way > 0) {
			service_take(&given, service);
			given_close(&given);
		} else {
			TURN_UNTIL(site_count(CALL_RUNNING) == 1);
		}
		if (way == 2)
			site_put(service, "\0\0\7", 3); /* three quarters of a status */
		close(service);
		site_expect_end(caller);
	}
	site_all_over();
	cr_assert_lt(site_accepted(listener), 0);
	cr_assert_eq(site_ends(CALL_BROKEN), 3u);
	cr_assert_eq(site_refusals, 0u);
}

/* The old one ends what it has, the new one gets what comes; control is told when the old one has
 * nothing left. */
Test(service, drains)
{
	struct channel_message hello = site_service();
	int old = site_serve(&hello);

	int first = caller_call("first");
	int running = service_begin(old, "first");
	int listener = site_listen("svc2", 128);
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	site_generation(1, SERVICE_GENERATION_DRAIN, "svc1");
	cr_assert_eq(site_told.generation, 1u);
	cr_assert_eq(site_told.running, 1u);
	int second = caller_call("second");
	int other = service_begin(listener, "second");
	cr_assert_lt(site_accepted(old), 0);
	/* Control waits for this: it is not kept until all the rest is told. */
	turn_for_nothing();
	site_found()->tell_at = UINT64_MAX;
	service_end(running, 1 << 8);
	caller_expect_status(first, 1 << 8);
	TURN_UNTIL(site_told.generation == 1 && site_told.running == 0 && site_told.calls == 1);
	site_generation(1, SERVICE_GENERATION_GONE, "svc1");
	service_end(other, 2 << 8);
	caller_expect_status(second, 2 << 8);
	site_all_over();
	/* One that drains without any call says so, too. */
	unsigned tellings = site_tellings;
	site_generation(2, SERVICE_GENERATION_DRAIN, "svc2");
	TURN_UNTIL(site_tellings > tellings && site_told.generation == 2);
	cr_assert_eq(site_told.running, 0u);
}

/* Gone: who only waits for its greeting goes elsewhere, who runs on it is answered. */
Test(service, gone)
{
	struct channel_message hello = site_service();
	int old = site_serve(&hello);

	int first = caller_call("first");
	int running = service_begin(old, "first");
	int second = caller_call("second");
	int ungreeted = site_accept(old);
	site_generation(1, SERVICE_GENERATION_GONE, "svc1");
	site_expect_end(ungreeted);
	int listener = site_listen("svc2", 128);
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	service_end(service_begin(listener, "second"), 2 << 8);
	caller_expect_status(second, 2 << 8);
	service_end(running, 1 << 8);
	caller_expect_status(first, 1 << 8);
	site_all_over();
}

/* A full listen queue is no refusal. */
Test(service, busy)
{
	struct channel_message hello = site_service();
	int callers[4], services[4];

	site_say(&hello, site_listen("public", 128));
	int listener = site_listen("svc1", 0);
	site_generation(1, SERVICE_GENERATION_USE, "svc1");
	for (int i = 0; i < 4; i++)
		callers[i] = caller_call("x");
	TURN_UNTIL(site_count(CALL_WAITING) + site_count(CALL_CONNECTED) == 4);
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_CONNECTED), 1u);
	for (int i = 0; i < 4; i++)
		services[i] = service_begin(listener, "x");
	for (int i = 0; i < 4; i++) {
		service_end(services[i], 0);
		caller_expect_status(callers[i], 0);
	}
	site_all_over();
	cr_assert_eq(site_refusals, 0u);
}

/* --- told about again ------------------------------------------------------------------------- */

/* Its path had to be bound anew: who waits at the old socket is served, who comes finds the new. */
Test(service, a_replaced_socket_loses_nobody)
{
	struct channel_message hello = site_service();
	int callers[8];

	int listener = site_serve(&hello);
	for (int i = 0; i < 8; i++)
		callers[i] = site_connect("public");
	cr_assert_eq(channel_send(site.control, &hello, site_listen("public", 128)), 0);
	for (int i = 0; i < 8; i++)
		site_expect(callers[i], GREETING, sizeof GREETING);
	for (int i = 0; i < 8; i++) {
		caller_ask(callers[i], "old");
		service_end(service_begin(listener, "old"), 0);
		caller_expect_status(callers[i], 0);
	}
	int caller = caller_call("new");
	service_end(service_begin(listener, "new"), 0);
	caller_expect_status(caller, 0);
	site_all_over();
}

/* Settings are those of now; calls that wait see them. */
/* Is woken first for what comes to a socket, once, and leaves it at that. */
static void *
take_the_wake_up(void *context)
{
	const int *epoll = context;
	struct epoll_event event;

	cr_assert_eq(epoll_wait(*epoll, &event, 1, 30000), 1);
	return NULL;
}

Test(service, a_wake_up_that_somebody_else_got)
{
	struct channel_message hello = site_service();
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	pthread_t other;

	int listener = site_listen("public", 128);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
	cr_assert_eq(pthread_create(&other, NULL, take_the_wake_up, &epoll), 0);
	site_say(&hello, listener);
	turn_for_nothing();
	site_generation(1, SERVICE_GENERATION_USE, "svc1");
	int service = site_listen("svc1", 128);
	int caller = caller_call("x");
	pthread_join(other, NULL);
	service_end(service_begin(service, "x"), 0);
	caller_expect_status(caller, 0);
	close(epoll);
	site_all_over();
}

Test(service, settings_change)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	int first = caller_call("1"), second = caller_call("2");
	int one = service_begin(listener, "1");
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_WAITING), 1u);
	hello.service.calls_max = 2;
	site_say(&hello, -1);
	int two = service_begin(listener, "2");
	service_end(one, 0);
	service_end(two, 0);
	caller_expect_status(first, 0);
	caller_expect_status(second, 0);
	site_all_over();
}

/* A control process that was restarted numbers anew: calls are not disturbed, and what it does not
 * name goes. */
Test(service, sync_with_another_index)
{
	struct channel_message hello = site_service(), other = site_service();
	struct channel_message begin = { .type = CHANNEL_SYNC_BEGIN };
	struct channel_message end = { .type = CHANNEL_SYNC_END };

	int listener = site_serve(&hello);
	int caller = caller_call("x");
	int service = service_begin(listener, "x");
	other.service.index = 5;
	snprintf(other.service.name, sizeof other.service.name, "other");
	site_say(&other, site_listen("other", 128));
	struct service *was = site_found(), *gone = site.worker.services[5];
	site_say(&begin, -1);
	hello.service.index = 5;
	site_say(&hello, -1);
	cr_assert_eq(site.worker.services[5], was);
	cr_assert_eq(site.worker.services[3], gone);
	site_say(&end, -1);
	cr_assert_null(site.worker.services[3]);
	cr_assert_eq(was->index, 5u);
	service_end(service, 6 << 8);
	caller_expect_status(caller, 6 << 8);
	TURN_UNTIL(site_told.index == 5 && site_told.generation == 1 && site_told.running == 0);
	site_all_over();
}

/* The same with a service that is new and comes first, where another one was: whose turn is still
 * to come loses neither his place in the queue nor who just connected. */
Test(service, sync_with_a_new_one_in_between)
{
	struct channel_message hello = site_service(), other = site_service();
	struct channel_message begin = { .type = CHANNEL_SYNC_BEGIN };
	struct channel_message end = { .type = CHANNEL_SYNC_END };

	site_say(&hello, site_listen("public", 128));
	int caller = caller_call("x");
	int silent = caller_connect("public");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	struct service *was = site_found();
	site_say(&begin, -1);
	snprintf(other.service.name, sizeof other.service.name, "other");
	site_say(&other, site_listen("other", 128));
	hello.service.index = 0;
	site_say(&hello, -1);
	site_say(&end, -1);
	cr_assert_eq(site.worker.services[0], was);
	cr_assert_str_eq(site.worker.services[3]->name, "other");
	for (uint32_t i = 0; i < site.worker.services_cap; i++)
		cr_assert(i == 0 || i == 3 || site.worker.services[i] == NULL);
	cr_assert(TAILQ_EMPTY(&site.worker.leaving_services));
	cr_assert_eq(was->counts[CALL_WAITING], 1u);
	cr_assert_eq(was->counts[CALL_COLLECTING], 1u);
	close(caller);
	close(silent);
	TURN_UNTIL(site.worker.calls_count == 0);
}

/* Those that are not named again go, wherever they had to make way to. */
Test(service, sync_replaces_one_by_another)
{
	struct channel_message hello = site_service(), other = site_service();
	struct channel_message begin = { .type = CHANNEL_SYNC_BEGIN };
	struct channel_message end = { .type = CHANNEL_SYNC_END };

	site_say(&hello, site_listen("public", 128));
	site_say(&begin, -1);
	snprintf(other.service.name, sizeof other.service.name, "other");
	site_say(&other, site_listen("other", 128));
	site_say(&end, -1);
	turn_for_nothing();
	cr_assert_str_eq(site.worker.services[3]->name, "other");
	for (uint32_t i = 0; i < site.worker.services_cap; i++)
		cr_assert(i == 3 || site.worker.services[i] == NULL);
	cr_assert(TAILQ_EMPTY(&site.worker.leaving_services));
}

/* A new control process begins generations of its own.  Those of the one before are of use until
 * then, and forgotten when they have no calls. */
Test(service, generations_of_a_former_control)
{
	struct channel_message hello = site_service();
	struct channel_message begin = { .type = CHANNEL_SYNC_BEGIN };
	struct channel_message end = { .type = CHANNEL_SYNC_END };

	int drained = site_serve(&hello);
	int first = caller_call("first");
	int one = service_begin(drained, "first");
	int old = site_listen("svc2", 128);
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	site_generation(1, SERVICE_GENERATION_DRAIN, "svc1");
	site_say(&begin, -1);
	site_say(&hello, -1);
	site_say(&end, -1);
	int second = caller_call("second");
	int two = service_begin(old, "second");
	int listener = site_listen("svc3", 128);
	site_generation(3, SERVICE_GENERATION_USE, "svc3");
	int third = caller_call("third");
	service_end(service_begin(listener, "third"), 3 << 8);
	caller_expect_status(third, 3 << 8);
	service_end(one, 1 << 8);
	service_end(two, 2 << 8);
	caller_expect_status(first, 1 << 8);
	caller_expect_status(second, 2 << 8);
	site_all_over();
	const struct service_generation *only = TAILQ_FIRST(&site_found()->generations);
	cr_assert_eq(only->number, 3u);
	cr_assert_null(TAILQ_NEXT(only, entry));
}

Test(service, removed)
{
	struct channel_message hello = site_service();
	struct channel_message remove = {
		.type = CHANNEL_SERVICE_REMOVE,
		.service_generation = { .index = 3 },
	};

	hello.service.calls_max = 1;
	int before = count_fds();
	int listener = site_serve(&hello);
	int first = caller_call("first");
	int service = service_begin(listener, "first");
	int waiting = caller_call("waiting");
	int silent = caller_connect("public");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	site_say(&remove, -1);
	site_expect_end(waiting);
	site_expect_end(silent);
	cr_assert_null(site_found());
	service_end(service, 1 << 8);
	caller_expect_status(first, 1 << 8);
	close(listener);
	TURN_UNTIL(!worker_has_services(&site.worker));
	site_all_over();
	cr_assert_eq(count_fds(), before);
	/* What comes about it afterwards means nobody. */
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	site_say(&remove, -1);
}

/* --- stop ------------------------------------------------------------------------------------- */

Test(service, stop_lets_calls_finish)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	int first = caller_call("first");
	int service = service_begin(listener, "first");
	int waiting = caller_call("waiting");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	worker_stop(&site.worker, 60000);
	site_expect_end(waiting);
	turn_for_nothing();
	cr_assert_eq(site.worker.state, WORKER_STOPPING);
	service_end(service, 1 << 8);
	caller_expect_status(first, 1 << 8);
	TURN_UNTIL(site.worker.state == WORKER_STOPPED);
	cr_assert_eq(site.worker.calls_count, 0u);
}

Test(service, stop_takes_no_longer_than_it_may)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	int caller = caller_call("x");
	service_begin(listener, "x");
	worker_stop(&site.worker, 50);
	TURN_UNTIL(site.worker.state == WORKER_STOPPED);
	cr_assert_eq(site.worker.calls_count, 1u);
	close(caller);
}

/* --- forwarded signals ------------------------------------------------------------------------ */

static int
extended_call(const char *argument)
{
	int fd = site_connect("extended");

	site_expect(fd, EXTENDED_GREETING, sizeof EXTENDED_GREETING);
	caller_ask(fd, argument);
	return fd;
}

static int
serve_extended(uint32_t calls_max)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = calls_max;
	int listener = site_serve(&hello);
	hello.service.extended = 1;
	site_say(&hello, site_listen("extended", 128));
	return listener;
}

static int
extended_begin(int listener, const char *argument)
{
	struct given given;
	int fd = site_accept(listener);

	site_put(fd, EXTENDED_GREETING, sizeof EXTENDED_GREETING);
	service_take(&given, fd);
	cr_assert_str_eq(given_argument(&given), argument);
	given_close(&given);
	return fd;
}

static void
expect_half_close(int service)
{
	uint8_t byte;
	ssize_t got = -1;

	TURN_UNTIL((got = site_read(service, &byte, 1)) >= 0);
	cr_assert_eq(got, 0);
}

Test(service, signals_are_passed_on)
{
	int listener = serve_extended(4);

	int caller = extended_call("x");
	int service = extended_begin(listener, "x");
	site_put(caller, "\1\2\3\4\5\6\7", 7);
	site_expect(service, "\1\2\3\4\5\6\7", 7);
	site_put(caller, "\7", 1);
	site_expect(service, "\7", 1);
	service_end(service, 2);
	caller_expect_status(caller, 2);
	/* A byte that is none breaks the protocol. */
	caller = extended_call("x");
	service = extended_begin(listener, "x");
	site_put(caller, "\7\10\2", 3);
	site_expect(service, "\7", 1);
	expect_half_close(service);
	service_end(service, 2);
	caller_expect_status(caller, 2);
	/* And its end is what it always was. */
	caller = extended_call("x");
	service = extended_begin(listener, "x");
	shutdown(caller, SHUT_WR);
	expect_half_close(service);
	service_end(service, 2);
	caller_expect_status(caller, 2);
	site_all_over();
}

/* Those glued to the request, and those that come while it is being given, arrive behind it. */
Test(service, signals_wait_for_the_request)
{
	static const uint8_t glued[] = "\0\0\0\2\0\0\7\6";
	int listener = serve_extended(4);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	int caller = site_connect("extended");
	caller_put_fds(caller, (int[]){ null, null, null });
	close(null);
	site_put(caller, glued, 6);
	turn_for_nothing();
	int service = extended_begin(listener, "");
	site_put(caller, glued + 6, 2);
	site_expect(service, "\7\6", 2);
	service_end(service, 0);
	site_expect(caller, EXTENDED_GREETING, sizeof EXTENDED_GREETING);
	caller_expect_status(caller, 0);
	site_all_over();
}

/* A caller whose request does not fit at once into the service's socket; returns that. */
static int
give_slowly(int listener, int *caller, size_t size)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t word[4];
	char *message = calloc(1, size);

	cr_assert_not_null(message);
	memset(message + 1, 'x', size - 2);
	*caller = site_connect("extended");
	site_expect(*caller, EXTENDED_GREETING, sizeof EXTENDED_GREETING);
	caller_put_fds(*caller, (int[]){ null, null, null });
	close(null);
	pfi_put_word(word, (uint32_t)size);
	site_put(*caller, word, sizeof word);
	for (size_t sent = 0; sent < size; turn()) {
		ssize_t n = send(*caller, message + sent, size - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	free(message);
	int service = site_accept(listener);
	site_put(service, EXTENDED_GREETING, sizeof EXTENDED_GREETING);
	TURN_UNTIL(site_count(CALL_GIVING) == 1);
	return service;
}

/* Who forwards signals while the request is being given is not lost sight of: his leave is noticed,
 * and his signals, also later ones, arrive behind the request. */
Test(service, signals_while_the_request_is_given)
{
	enum {
		SIZE = 1000000
	};

	static uint8_t bytes[SIZE];
	int listener = serve_extended(4), caller;
	size_t have = 0;

	int service = give_slowly(listener, &caller, SIZE);
	site_put(caller, "\7", 1);
	turn_for_nothing();
	close(caller);
	TURN_UNTIL(site_ends(CALL_LEFT) == 1);
	close(service);
	site_all_over();

	service = give_slowly(listener, &caller, SIZE);
	site_put(caller, "\7", 1);
	turn_for_nothing();
	cr_assert_eq(site_count(CALL_GIVING), 1u);
	while (have < 1 + PFI_FDS + PFI_LENGTH_SIZE + SIZE) {
		size_t left = 1 + PFI_FDS + PFI_LENGTH_SIZE + SIZE - have;
		ssize_t n = site_read(service, bytes, left < SIZE ? left : SIZE);
		have += n > 0 ? (size_t)n : 0;
		turn();
	}
	site_expect(service, "\7", 1);
	site_put(caller, "\6", 1);
	site_expect(service, "\6", 1);
	service_end(service, 0);
	caller_expect_status(caller, 0);
	site_all_over();
}

/* A service that knows version 1 alone is interrupted by what would end the call. */
Test(service, signals_to_a_service_of_version_1)
{
	int listener = serve_extended(4);

	for (uint8_t code = 1; code <= 7; code++) {
		int caller = extended_call("x");
		int service = service_begin(listener, "x");
		site_put(caller, &code, 1);
		if (code <= 4)
			expect_half_close(service);
		else
			site_expect_nothing(service);
		service_end(service, code);
		caller_expect_status(caller, code);
	}
	site_all_over();
}

/* Nobody has begun the call: what would end it does so at once. */
Test(service, signals_to_a_call_that_waits)
{
	int listener = serve_extended(1);

	int first = extended_call("first");
	int service = extended_begin(listener, "first");
	int second = extended_call("second"), third = extended_call("third");
	TURN_UNTIL(site_count(CALL_WAITING) == 2);
	site_put(second, "\7\4", 2);
	caller_expect_status(second, SIGTERM);
	site_put(third, "\5\6", 2);
	site_expect_nothing(third);
	service_end(service, 0);
	caller_expect_status(first, 0);
	/* Connected, but not greeted: likewise. */
	service = site_accept(listener);
	site_put(third, "\1", 1);
	caller_expect_status(third, SIGHUP);
	site_expect_end(service);
	site_all_over();
	cr_assert_eq(site_ends(CALL_SIGNALLED), 2u);
}

/* The plain socket knows no signals, whatever the service can. */
Test(service, no_signals_on_the_plain_socket)
{
	int listener = serve_extended(4);

	int caller = caller_call("x");
	int service = extended_begin(listener, "x");
	site_put(caller, "\7", 1);
	expect_half_close(service);
	service_end(service, 2);
	caller_expect_status(caller, 2);
	site_all_over();
}
