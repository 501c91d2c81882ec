/*
 * test_storage_messages.c - orders for the message store, as the loop of the control process gives
 * them: group commit, exactly one answer each, bounds, and a process that is killed at any moment.
 *
 * A hook in the library counts the commits, and can hold one or make it fail: it stands for a disk
 * that takes its time, or breaks.
 */
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/storage.h"
#include "tests/message_site.h"

#define WAIT_MS 20000

static struct storage *storage;
static struct message_bounds bounds;
static struct storage_result result;
static char path[600];

static atomic_uint commits;
static atomic_bool hold;
static atomic_bool fail;
static sem_t held;
static sem_t go_on;

static int
on_commit(void *context)
{
	(void)context;
	atomic_fetch_add(&commits, 1);
	if (atomic_exchange(&hold, false)) {
		sem_post(&held);
		sem_wait(&go_on);
	}
	return atomic_load(&fail);
}

static int
on_open(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
	(void)error, (void)api;
	sqlite3_commit_hook(db, on_commit, NULL);
	return SQLITE_OK;
}

static void
start(void)
{
	struct storage_options options = {
		.delayed_dir = temp_path("delayed"),
		.messages_db = path,
		.messages_bounds = bounds,
	};

	cr_assert_eq(storage_new(&storage, &options), 0);
}

static void
restart(void)
{
	storage_free(storage);
	start();
}

static void
set_up(void)
{
	temp_dir_make();
	snprintf(path, sizeof path, "%s", temp_path("messages.db"));
	bounds = message_bounds_default;
	sem_init(&held, 0, 0);
	sem_init(&go_on, 0, 0);
	cr_assert_eq(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
	start();
}

static void
tear_down(void)
{
	storage_free(storage);
	temp_dir_remove();
}

TestSuite(storage_messages, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- what the loop does ---- */

static void
take(void)
{
	struct pollfd poll_fd = { .fd = storage_fd(storage), .events = POLLIN };

	while (!storage_take(storage, &result))
		cr_assert_eq(poll(&poll_fd, 1, WAIT_MS), 1, "no result");
}

/* Notices overtake answers: how many came first is a matter of time. */
static void
take_answer(void)
{
	do
		take();
	while (result.type == STORAGE_NOTICE);
}

/* The answer to an order; what it brought is freed. */
static void
expect_answer(uint64_t token, enum message_status status)
{
	take();
	cr_assert_eq(result.type, STORAGE_MESSAGE, "type %d, error %d", (int)result.type,
		     result.error);
	cr_assert_eq(result.token, token, "%llu", (unsigned long long)result.token);
	cr_assert_eq(result.message->status, status, "%s (%s)",
		     message_status_text(result.message->status), result.message->why);
	storage_result_fini(&result);
}

static void
expect_notice(int error, const char *text)
{
	take();
	cr_assert_eq(result.type, STORAGE_NOTICE, "type %d", (int)result.type);
	cr_assert_eq(result.notice.thing, STORAGE_MESSAGES);
	cr_assert_eq(result.error, error, "%s", strerror(-result.error));
	if (text != NULL)
		cr_assert_str_eq(result.notice.text, text);
	else
		cr_assert_null(result.notice.text);
}

static void
expect_nothing(void)
{
	cr_assert_not(storage_take(storage, &result), "type %d", (int)result.type);
}

static int
order_put(uint64_t token, unsigned number, struct wire_span text)
{
	struct message_order order = { .verb = MESSAGE_PUT,
				       .message = notice_of(number, CLIENT, "") };

	order.message.text = text;
	return storage_message(storage, token, &order);
}

static void
put(uint64_t token)
{
	cr_assert_eq(order_put(token, (unsigned)token, wire_span_str("the text")), 0);
}

static uint64_t
count_waiting(void)
{
	struct message_order order = { .verb = MESSAGE_TOTALS };

	cr_assert_eq(storage_message(storage, 1, &order), 0);
	take();
	cr_assert_eq(result.type, STORAGE_MESSAGE, "type %d", (int)result.type);
	cr_assert_eq(result.message->status, MESSAGE_DONE, "%s",
		     message_status_text(result.message->status));
	uint64_t count = result.message->totals.count;
	storage_result_fini(&result);
	return count;
}

/* Puts one whose commit takes until let_go. */
static void
hold_with(uint64_t token)
{
	/* The thread makes the file first. */
	count_waiting();
	atomic_store(&hold, true);
	put(token);
	sem_wait(&held);
}

static void
let_go(void)
{
	sem_post(&go_on);
}

/* ---- single orders ---- */

Test(storage_messages, every_order_is_answered)
{
	struct message_order order = { .verb = MESSAGE_SEEN, .now_ms = START_MS };

	put(1);
	expect_answer(1, MESSAGE_DONE);
	put(1);
	expect_answer(1, MESSAGE_REPEATED);
	order.message.client = CLIENT;
	cr_assert_eq(storage_message(storage, 2, &order), 0);
	expect_answer(2, MESSAGE_DONE);

	order.verb = MESSAGE_LAST_SEEN;
	cr_assert_eq(storage_message(storage, 3, &order), 0);
	take();
	cr_assert_eq(result.message->seen_ms, START_MS);
	storage_result_fini(&result);

	order.verb = MESSAGE_NEXT;
	order.max = 8;
	cr_assert_eq(storage_message(storage, 4, &order), 0);
	take();
	cr_assert_eq(result.message->page.count, 1);
	cr_assert(
	    wire_span_equal(result.message->page.messages[0].text, wire_span_str("the text")));
	cr_assert_eq(result.message->message.client, CLIENT);
	storage_result_fini(&result);

	order.verb = MESSAGE_CLIENTS;
	cr_assert_eq(storage_message(storage, 5, &order), 0);
	take();
	cr_assert_eq(result.message->clients.count, 1);
	storage_result_fini(&result);

	order.verb = MESSAGE_LIST;
	order.list.max = 8;
	cr_assert_eq(storage_message(storage, 6, &order), 0);
	take();
	cr_assert_eq(result.message->page.count, 1);
	storage_result_fini(&result);

	order.verb = MESSAGE_WAITING;
	cr_assert_eq(storage_message(storage, 7, &order), 0);
	take();
	cr_assert_eq(result.message->totals.count, 1);
	storage_result_fini(&result);

	message_id(order.message.id, 1);
	order.message.kind = MESSAGE_NOTICE;
	order.verb = MESSAGE_CONFIRM;
	cr_assert_eq(storage_message(storage, 8, &order), 0);
	expect_answer(8, MESSAGE_DONE);
	order.verb = MESSAGE_DROP;
	cr_assert_eq(storage_message(storage, 9, &order), 0);
	expect_answer(9, MESSAGE_UNKNOWN);
	expect_nothing();
}

Test(storage_messages, orders_that_remove_say_how_many)
{
	static const enum message_verb verbs[] = { MESSAGE_DROP_CLIENT, MESSAGE_DROP_OLDER,
						   MESSAGE_EXPIRE };
	struct message_order order = {
		.message = { .client = CLIENT },
		.before_ms = START_MS + 100,
		.now_ms = INT64_MAX,
	};

	for (size_t i = 0; i < 3; i++) {
		put(2 * i + 1);
		expect_answer(2 * i + 1, MESSAGE_DONE);
		put(2 * i + 2);
		expect_answer(2 * i + 2, MESSAGE_DONE);
		order.verb = verbs[i];
		cr_assert_eq(storage_message(storage, 9, &order), 0);
		take();
		cr_assert_eq(result.message->removed, 2, "%zu", i);
		storage_result_fini(&result);
	}
}

Test(storage_messages, without_a_store_orders_are_refused)
{
	struct storage_options options = { .delayed_dir = temp_path("delayed") };

	storage_free(storage);
	cr_assert_eq(storage_new(&storage, &options), 0);
	cr_assert_eq(order_put(1, 1, wire_span_str("x")), -ENOENT);
}

Test(storage_messages, what_no_store_takes_is_not_even_copied)
{
	static uint8_t text[1];
	struct message_order order = { .verb = MESSAGE_PUT };

	order.message = reply_of(1, 1, CLIENT, wire_span(text, MESSAGE_REPLY_MAX + 1u));
	cr_assert_eq(storage_message(storage, 1, &order), -EMSGSIZE);
	order.message = notice_of(1, CLIENT, "");
	order.message.name = wire_span(text, MESSAGE_NAME_MAX + 1u);
	cr_assert_eq(storage_message(storage, 1, &order), -EMSGSIZE);
}

Test(storage_messages, bounds_can_be_changed)
{
	struct message_order order = { .verb = MESSAGE_BOUNDS, .bounds = bounds };

	order.bounds.count = 1;
	cr_assert_eq(storage_message(storage, 9, &order), 0);
	expect_answer(9, MESSAGE_DONE);
	put(1);
	expect_answer(1, MESSAGE_DONE);
	put(2);
	expect_answer(2, MESSAGE_STORE_COUNT);
}

/* ---- group commit ---- */

Test(storage_messages, what_waits_is_one_transaction)
{
	hold_with(1000);
	unsigned before = atomic_load(&commits);
	for (unsigned i = 1; i <= 2 * STORAGE_BATCH_MAX + 1; i++)
		put(i);
	expect_nothing();
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	for (unsigned i = 1; i <= 2 * STORAGE_BATCH_MAX + 1; i++)
		expect_answer(i, MESSAGE_DONE);
	cr_assert_eq(atomic_load(&commits) - before, 3, "%u commits",
		     atomic_load(&commits) - before);
	expect_nothing();
}

Test(storage_messages, a_transaction_is_bounded_by_bytes)
{
	static uint8_t text[STORAGE_BATCH_BYTES_MAX / 2];
	struct message_order order = { .verb = MESSAGE_PUT };

	hold_with(1000);
	unsigned before = atomic_load(&commits);
	for (unsigned i = 0; i < 6; i++) {
		order.message = reply_of(1, i, CLIENT, wire_span(text, sizeof text));
		cr_assert_eq(storage_message(storage, i, &order), 0);
	}
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	for (unsigned i = 0; i < 6; i++)
		expect_answer(i, MESSAGE_DONE);
	cr_assert_eq(atomic_load(&commits) - before, 3);
}

/* A store that failed is tried again before long. */
static void
put_until_done(unsigned number)
{
	enum message_status status = MESSAGE_DAMAGED;

	for (unsigned tries = 0; status == MESSAGE_DAMAGED && tries < 2000; tries++) {
		put(number);
		take_answer();
		status = result.message->status;
		storage_result_fini(&result);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	cr_assert_eq(status, MESSAGE_DONE, "%s", message_status_text(status));
}

Test(storage_messages, a_transaction_that_fails_refuses_each_once)
{
	hold_with(1000);
	for (unsigned i = 1; i <= 10; i++)
		put(i);
	atomic_store(&fail, true);
	let_go();
	expect_notice(-EUCLEAN, message_status_text(MESSAGE_DAMAGED));
	expect_answer(1000, MESSAGE_DAMAGED);
	for (unsigned i = 1; i <= 10; i++)
		expect_answer(i, MESSAGE_DAMAGED);
	expect_nothing();
	atomic_store(&fail, false);
	put_until_done(5);
	cr_assert_eq(count_waiting(), 1);
}

/* Also what was only read goes out only with a commit. */
Test(storage_messages, a_full_store_refuses_the_batch_and_goes_on_when_there_is_room)
{
	static uint8_t text[MESSAGE_NOTICE_MAX];
	struct message_order order = { .verb = MESSAGE_DROP, .now_ms = START_MS };
	unsigned accepted = 0;
	unsigned refused = 0;

	bounds.file_bytes = 1024u * 1024;
	restart();
	hold_with(1000);
	expect_nothing();
	for (unsigned i = 0; i < 300; i++)
		cr_assert_eq(order_put(i, i, wire_span(text, sizeof text)), 0);
	let_go();
	take_answer();
	cr_assert_eq(result.token, 1000);
	cr_assert_eq(result.message->status, MESSAGE_DONE);
	storage_result_fini(&result);
	for (unsigned i = 0; i < 300; i++) {
		take_answer();
		cr_assert_eq(result.token, i);
		accepted += result.message->status == MESSAGE_DONE;
		refused += result.message->status == MESSAGE_NO_SPACE;
		storage_result_fini(&result);
	}
	cr_assert_eq(accepted + refused, 300);
	cr_assert_gt(refused, 0);
	/* Batches are all or nothing. */
	while (storage_take(storage, &result))
		cr_assert_eq(result.type, STORAGE_NOTICE);
	bounds.file_bytes = 0;
	restart();
	cr_assert_eq(count_waiting(), accepted + 1);
	message_id(order.message.id, 1000);
	order.message.kind = MESSAGE_NOTICE;
	cr_assert_eq(storage_message(storage, 7, &order), 0);
	expect_answer(7, MESSAGE_DONE);
	cr_assert_eq(order_put(8, 500, wire_span(text, sizeof text)), 0);
	expect_answer(8, MESSAGE_DONE);
}

/* ---- beside the other jobs ---- */

Test(storage_messages, other_jobs_wait_for_one_transaction_at_most)
{
	hold_with(1000);
	for (unsigned i = 1; i <= 2 * STORAGE_BATCH_MAX; i++)
		put(i);
	cr_assert_eq(storage_scan(storage), 0);
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	take();
	cr_assert_eq(result.type, STORAGE_SCANNED);
	storage_result_fini(&result);
	expect_answer(1, MESSAGE_DONE);
}

Test(storage_messages, orders_wait_for_a_bounded_number_of_other_jobs)
{
	unsigned scans = 0;

	hold_with(1000);
	for (unsigned i = 0; i < 200; i++)
		cr_assert_eq(storage_scan(storage), 0);
	put(1);
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	for (;; scans++) {
		take();
		if (result.type == STORAGE_MESSAGE)
			break;
		cr_assert_eq(result.type, STORAGE_SCANNED);
		storage_result_fini(&result);
	}
	storage_result_fini(&result);
	cr_assert_eq(scans, 64, "%u", scans);
}

Test(storage_messages, what_is_on_its_way_is_bounded_by_count)
{
	hold_with(1000);
	for (unsigned i = 1; i < STORAGE_MESSAGES_MAX; i++)
		put(i);
	cr_assert_eq(order_put(9999, 9999, wire_span_str("x")), -ENOBUFS);
	/* The others keep their room. */
	cr_assert_eq(storage_scan(storage), 0);
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	put(9999);
	take();
	cr_assert_eq(result.type, STORAGE_SCANNED);
	storage_result_fini(&result);
	for (unsigned i = 1; i < STORAGE_MESSAGES_MAX; i++)
		expect_answer(i, MESSAGE_DONE);
	expect_answer(9999, MESSAGE_DONE);
}

Test(storage_messages, what_is_on_its_way_is_bounded_by_bytes)
{
	static uint8_t text[1024 * 1024];
	unsigned fits = STORAGE_MESSAGES_BYTES_MAX / sizeof text - 1;
	struct message_order order = { .verb = MESSAGE_PUT };

	hold_with(1000); /* it counts for a few bytes itself */
	for (unsigned i = 0; i <= fits; i++) {
		order.message = reply_of(1, i, CLIENT, wire_span(text, sizeof text));
		cr_assert_eq(storage_message(storage, i, &order), i < fits ? 0 : -ENOBUFS, "%u", i);
	}
	put(2000);
	let_go();
	expect_answer(1000, MESSAGE_DONE);
	for (unsigned i = 0; i < fits; i++) {
		take();
		cr_assert_eq(result.token, i);
		storage_result_fini(&result);
	}
	expect_answer(2000, MESSAGE_DONE);
}

Test(storage_messages, a_stop_finishes_what_was_accepted)
{
	hold_with(1000);
	for (unsigned i = 1; i <= 300; i++)
		put(i);
	let_go();
	storage_stop(storage);
	cr_assert_eq(order_put(1, 1, wire_span_str("x")), -ESHUTDOWN);
	expect_answer(1000, MESSAGE_DONE);
	for (unsigned i = 1; i <= 300; i++)
		expect_answer(i, MESSAGE_DONE);
	expect_nothing();
	restart();
	cr_assert_eq(count_waiting(), 301);
}

/* ---- a file that cannot be used ---- */

Test(storage_messages, a_damaged_file_is_said_at_the_start_and_replaced_by_the_operator)
{
	storage_free(storage);
	temp_write("messages.db",
		   "no database at all, but long enough to be looked at as if it were "
		   "one, which takes a hundred bytes");
	start();
	expect_notice(-EUCLEAN, message_status_text(MESSAGE_DAMAGED));
	put(1);
	expect_answer(1, MESSAGE_DAMAGED);
	expect_nothing();
	cr_assert_eq(rename(path, temp_path("aside")), 0);
	put_until_done(1);
	cr_assert_eq(count_waiting(), 1);
}
