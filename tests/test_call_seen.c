/*
 * test_call_seen.c - what is seen of calls: rows for an operator, kills, counters in the memory
 * that control reads, and those that took too long.
 */
#include "tests/call_site.h"

TestSuite(call_seen, .init = site_up, .fini = site_down);

/* Calls of the one service from behind `number` on. */
static const struct channel_rows *
ask_rows(uint64_t number, uint32_t max)
{
	struct channel_message message = {
		.type = CHANNEL_QUERY,
		.query = { .token = 5, .kind = CHANNEL_CALLS, .all = 1, .number = number },
	};
	unsigned answers = site_answers;

	message.query.index = number > 0 ? 3 : 0;
	message.query.max = max;
	cr_assert_eq(channel_send(site.control, &message, -1), 0);
	TURN_UNTIL(site_answers > answers);
	cr_assert_eq(site_rows.rows.token, 5u);
	return &site_rows.rows;
}

static bool
kill_call(uint64_t number, enum channel_kind kind, bool dry_run)
{
	struct channel_message message = {
		.type = CHANNEL_KILL,
		.kill = { .token = 6, .kind = kind, .number = number, .dry_run = dry_run },
	};
	unsigned answers = site_answers;

	cr_assert_eq(channel_send(site.control, &message, -1), 0);
	TURN_UNTIL(site_answers > answers);
	cr_assert_eq(site_killed.kill.token, 6u);
	return site_killed.kill.found != 0;
}

static struct stats_service
counted(void)
{
	struct stats_service sum = { .calls = 0 };

	cr_assert(stats_service_add(&site.stats->services, "hello", &sum));
	return sum;
}

static void
gauges_are(uint64_t requests, uint64_t waiting, uint64_t running)
{
	struct stats_service sum = counted();

	cr_assert_eq(sum.gauges[STATS_SERVICE_REQUESTS], requests);
	cr_assert_eq(sum.gauges[STATS_SERVICE_WAITING], waiting);
	cr_assert_eq(sum.gauges[STATS_SERVICE_RUNNING], running);
}

/* One that runs, one that waits, one whose request has not come; their numbers grow so. */
static int
three_calls(int callers[3], int *service)
{
	struct channel_message hello = site_service();

	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	callers[0] = caller_call("first");
	*service = service_begin(listener, "first");
	TURN_UNTIL(site_count(CALL_RUNNING) == 1);
	callers[1] = caller_call("second");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	callers[2] = caller_connect("public");
	return listener;
}

Test(call_seen, rows)
{
	int callers[3], service;

	int listener = three_calls(callers, &service);
	const struct channel_rows *rows = ask_rows(0, CHANNEL_ROWS_MAX);
	cr_assert_eq(rows->count, 3u);
	cr_assert_eq(rows->index, CHANNEL_HOSTS_ALL);
	for (uint32_t i = 0; i < 3; i++) {
		const struct channel_row *row = &rows->rows[i];
		cr_assert_str_eq(row->host, "hello");
		cr_assert_eq(row->uid, getuid());
		cr_assert_eq(row->pid, (uint32_t)getpid());
		cr_assert(i == 0 || row->number > rows->rows[i - 1].number);
	}
	cr_assert_eq(rows->rows[0].state, CALL_RUNNING);
	cr_assert_eq(rows->rows[0].generation, 1u);
	cr_assert_eq(rows->rows[1].state, CALL_WAITING);
	cr_assert_eq(rows->rows[1].generation, 0u);
	cr_assert_gt(rows->rows[1].wait_us, 0u);
	cr_assert_eq(rows->rows[2].state, CALL_COLLECTING);
	cr_assert_eq(rows->rows[2].wait_us, 0u);
	cr_assert_gt(rows->rows[2].age_us, 0u);
	gauges_are(1, 1, 1);
	/* The time in the queue ends when the service has it. */
	uint64_t waited = ask_rows(0, 1)->rows[0].wait_us;
	turn_for_nothing();
	cr_assert_eq(ask_rows(0, 1)->rows[0].wait_us, waited);
	service_end(service, 0);
	caller_expect_status(callers[0], 0);
	service_end(service_begin(listener, "second"), 0);
	caller_expect_status(callers[1], 0);
	close(callers[2]);
	site_all_over();
	cr_assert_eq(ask_rows(0, CHANNEL_ROWS_MAX)->count, 0u);
	gauges_are(0, 0, 0);
}

/* More than a message takes, whatever its size; each once, in order. */
Test(call_seen, rows_in_pages)
{
	enum {
		MANY = 3 * CHANNEL_ROWS_MAX + 1
	};

	struct channel_message hello = site_service();
	int callers[MANY];

	site_serve(&hello);
	for (int i = 0; i < MANY; i++)
		callers[i] = caller_connect("public");
	for (uint32_t max = 1; max <= CHANNEL_ROWS_MAX; max += 5) {
		uint64_t number = 0;
		unsigned seen = 0;
		const struct channel_rows *rows;
		do {
			rows = ask_rows(number, max);
			for (uint32_t i = 0; i < rows->count; i++) {
				cr_assert_gt(rows->rows[i].number, number);
				number = rows->rows[i].number;
			}
			seen += rows->count;
			cr_assert(rows->index == CHANNEL_HOSTS_ALL || rows->number == number);
		} while (rows->index != CHANNEL_HOSTS_ALL);
		cr_assert_eq(seen, MANY);
	}
	for (int i = 0; i < MANY; i++)
		close(callers[i]);
	site_all_over();
}

/* In whatever state: both sides see the end, the others go on. */
Test(call_seen, kill)
{
	int callers[3], service;
	uint64_t numbers[3];

	int listener = three_calls(callers, &service);
	const struct channel_rows *rows = ask_rows(0, CHANNEL_ROWS_MAX);
	for (int i = 0; i < 3; i++)
		numbers[i] = rows->rows[i].number;
	cr_assert(kill_call(numbers[0], CHANNEL_CALLS, true));
	cr_assert_eq(ask_rows(0, CHANNEL_ROWS_MAX)->count, 3u, "a dry run does nothing");
	cr_assert_not(kill_call(numbers[0], CHANNEL_CLIENTS, false), "it is no client");
	cr_assert_not(kill_call(numbers[0], CHANNEL_LINKS, false), "nor a link");
	cr_assert_not(kill_call(numbers[2] + 100, CHANNEL_CALLS, false));
	cr_assert(kill_call(numbers[2], CHANNEL_CALLS, false));
	site_expect_end(callers[2]);
	cr_assert(kill_call(numbers[0], CHANNEL_CALLS, false));
	site_expect_end(callers[0]);
	site_expect_end(service);
	cr_assert_not(kill_call(numbers[0], CHANNEL_CALLS, false), "it is gone");
	/* Who waited has its place. */
	service = service_begin(listener, "second");
	cr_assert(kill_call(numbers[1], CHANNEL_CALLS, false));
	site_expect_end(callers[1]);
	site_expect_end(service);
	site_all_over();
	cr_assert_eq(site_ends(CALL_KILLED), 3u);
	cr_assert_eq(counted().ends[CALL_KILLED], 3u);
	cr_assert_eq(counted().calls, 3u);
	gauges_are(0, 0, 0);
}

/* Also one whose service has been removed. */
Test(call_seen, kill_in_a_service_that_leaves)
{
	struct channel_message hello = site_service();
	struct channel_message gone = {
		.type = CHANNEL_SERVICE_REMOVE,
		.service_generation = { .index = 3 },
	};
	int listener = site_serve(&hello);

	int caller = caller_call("x");
	int service = service_begin(listener, "x");
	TURN_UNTIL(site_count(CALL_RUNNING) == 1);
	uint64_t number = ask_rows(0, 1)->rows[0].number;
	site_say(&gone, -1);
	cr_assert_eq(ask_rows(0, 1)->count, 0u);
	gauges_are(0, 0, 1);
	cr_assert(kill_call(number, CHANNEL_CALLS, false));
	site_expect_end(caller);
	site_expect_end(service);
	TURN_UNTIL(site.worker.calls_count == 0);
	gauges_are(0, 0, 0);
}

/* All that began has ended, once; times are those of calls that were answered. */
Test(call_seen, counters)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	for (uint32_t i = 0; i < 5; i++) {
		int caller = caller_call("x");
		service_end(service_begin(listener, "x"), i);
		caller_expect_status(caller, i);
	}
	int caller = caller_call("broken");
	close(service_begin(listener, "broken"));
	site_expect_end(caller);
	close(caller_connect("public"));
	site_all_over();
	TURN_UNTIL(site_ends(CALL_LEFT) == 1);
	struct stats_service sum = counted();
	cr_assert_eq(sum.calls, 7u);
	cr_assert_eq(sum.ends[CALL_ANSWERED], 5u);
	cr_assert_eq(sum.ends[CALL_BROKEN], 1u);
	cr_assert_eq(sum.ends[CALL_LEFT], 1u);
	cr_assert_eq(stats_service_failed(&sum), 2u);
	cr_assert_eq(histogram_total(&sum.duration), 5u);
	cr_assert_eq(histogram_total(&sum.queue_wait), 6u, "what was broken was taken, too");
	cr_assert_leq(sum.queue_wait.sum_ns, sum.duration.sum_ns + 1000000000u);
	gauges_are(0, 0, 0);
}

/* A generation that ends before it greets has not taken the call. */
Test(call_seen, what_is_put_back_waits_on)
{
	struct channel_message hello = site_service();
	int listener = site_serve(&hello);

	int caller = caller_call("x");
	close(site_accept(listener));
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	gauges_are(0, 1, 0);
	cr_assert_eq(ask_rows(0, 1)->rows[0].generation, 0u);
	int next = site_listen("svc2", 128);
	site_generation(2, SERVICE_GENERATION_USE, "svc2");
	service_end(service_begin(next, "x"), 0);
	caller_expect_status(caller, 0);
	site_all_over();
	struct stats_service sum = counted();
	cr_assert_eq(histogram_total(&sum.queue_wait), 1u);
	cr_assert_eq(sum.calls, 1u);
}

/* --- slow ones -------------------------------------------------------------------------------- */

Test(call_seen, slow_calls_are_told)
{
	struct channel_message hello = site_service();

	hello.service.slow_call_ms = 20;
	hello.service.calls_max = 1;
	int listener = site_serve(&hello);
	int first = caller_call("first");
	int service = service_begin(listener, "first");
	int second = caller_call("second");
	TURN_UNTIL(site_count(CALL_WAITING) == 1);
	const uint64_t since = worker_now(&site.worker);
	TURN_UNTIL(worker_now(&site.worker) >= since + 30 * MS);
	service_end(service, 7 << 8);
	caller_expect_status(first, 7 << 8);
	TURN_UNTIL(site_slows == 1);
	const struct channel_service_slow *slow = &site_slow.service_slow;
	cr_assert_eq(slow->index, 3u);
	cr_assert_eq(slow->uid, getuid());
	cr_assert_eq(slow->pid, (uint32_t)getpid());
	cr_assert_eq(slow->end, (uint32_t)CALL_ANSWERED);
	cr_assert_eq(slow->status, 7u << 8);
	cr_assert_geq(slow->duration_us, 30000u);
	cr_assert_lt(slow->wait_us, slow->duration_us);
	/* One that was slow in the queue alone, and got no status. */
	close(service_begin(listener, "second"));
	site_expect_end(second);
	TURN_UNTIL(site_slows == 2);
	cr_assert_eq(slow->end, (uint32_t)CALL_BROKEN);
	cr_assert_eq(slow->status, 0u);
	cr_assert_geq(slow->wait_us, 30000u);
	site_all_over();
}

/* Who has not said what he wants is not slow; nor is anything where nothing shall be. */
Test(call_seen, other_calls_are_not_told)
{
	struct channel_message hello = site_service();

	hello.service.slow_call_ms = 10;
	int listener = site_serve(&hello);
	int silent = caller_connect("public");
	const uint64_t since = worker_now(&site.worker);
	TURN_UNTIL(worker_now(&site.worker) >= since + 20 * MS);
	close(silent);
	TURN_UNTIL(site_ends(CALL_LEFT) == 1);
	hello.service.slow_call_ms = 0;
	site_say(&hello, -1);
	int caller = caller_call("x");
	int service = service_begin(listener, "x");
	const uint64_t then = worker_now(&site.worker);
	TURN_UNTIL(worker_now(&site.worker) >= then + 20 * MS);
	service_end(service, 0);
	caller_expect_status(caller, 0);
	site_all_over();
	turn_for_nothing();
	cr_assert_eq(site_slows, 0u);
}

/* A flood of them takes no more of the channel than a flood of log lines. */
Test(call_seen, slow_calls_are_told_within_bounds)
{
	struct channel_message hello = site_service();

	hello.service.slow_call_ms = 1;
	int listener = site_serve(&hello);
	const uint64_t since = worker_now(&site.worker);
	for (int i = 0; i < 300; i++) {
		int caller = caller_call("x");
		int service = service_begin(listener, "x");
		const uint64_t then = worker_now(&site.worker);
		TURN_UNTIL(worker_now(&site.worker) >= then + 2 * MS);
		service_end(service, 0);
		caller_expect_status(caller, 0);
	}
	site_all_over();
	uint64_t seconds = (worker_now(&site.worker) - since) / 1000000000u + 2;
	cr_assert_gt(site_slows, 0u);
	cr_assert_leq(site_slows, seconds * LOG_LINES_PER_SECOND);
	cr_assert_eq(site.worker.log_dropped + site_slows, 300u);
}
