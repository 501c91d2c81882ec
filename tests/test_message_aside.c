/*
 * test_message_aside.c - messages whose bytes a disk has changed, in a way that leaves the file in
 * order: what becomes of them and, above all, of the others.
 *
 * The storage thread's work is done by the test itself: so it says what is in a batch.
 */
#include <sqlite3.h>
#include <time.h>

#include "relay/storage_messages.h"
#include "tests/message_site.h"

#define OTHER (CLIENT + 1)
#define EACH  5u /* messages of each client; ids 1 .. EACH, and 100 more for OTHER */

static struct storage_messages messages;
static struct storage_queue queue;
static struct message_store *store; /* that of `messages`, for assert_status */
static struct storage_result results[STORAGE_BATCH_MAX];
static size_t result_count;
static char path[600];
static unsigned commits;
static bool fail;

static void
start(void)
{
	cr_assert_eq(storage_messages_init(&messages, path, &message_bounds_default, &queue), 0);
	store = messages.store;
}

static void
text_of(char text[static 40], unsigned number)
{
	snprintf(text, 40, "the text of message %04u, all of it", number);
}

/* Closed, with five messages for each of two clients. */
static void
make_file(void)
{
	char text[40];

	assert_status(message_store_begin(store), MESSAGE_DONE);
	for (unsigned i = 1; i <= 2 * EACH; i++) {
		unsigned number = i <= EACH ? i : i - EACH + 100;
		text_of(text, number);
		struct message message = notice_of(number, i <= EACH ? CLIENT : OTHER, text);
		assert_status(message_store_put(store, &message), MESSAGE_DONE);
	}
	assert_status(message_store_commit(store), MESSAGE_DONE);
	storage_messages_fini(&messages);
}

static void
drop_results(void)
{
	while (result_count > 0)
		storage_result_fini(&results[--result_count]);
}

static void
set_up(void)
{
	temp_dir_make();
	snprintf(path, sizeof path, "%s", temp_path("messages.db"));
	cr_assert_eq(storage_queue_init(&queue), 0);
	start();
	make_file();
	start();
}

static void
tear_down(void)
{
	drop_results();
	storage_messages_fini(&messages);
	storage_queue_fini(&queue);
	temp_dir_remove();
}

TestSuite(message_aside, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- orders ---- */

static void
order(const struct message_order *what)
{
	bool too_long;
	struct message_task *task = message_task_new(queue.message_count, what, &too_long);

	cr_assert_not_null(task);
	cr_assert_eq(storage_queue_push_message(&queue, task), 0);
}

static void
order_next(uint64_t client)
{
	struct message_order next = { .verb = MESSAGE_NEXT, .max = 10 };

	next.message.client = client;
	order(&next);
}

static void
order_of(enum message_verb verb, unsigned number, uint64_t client)
{
	char text[40];

	text_of(text, number);
	struct message_order what = { .verb = verb, .now_ms = START_MS + 1000 };
	what.message = notice_of(number, client, text);
	order(&what);
}

/* One batch of what was ordered; its answers in `results`. */
static void
do_batch(void)
{
	drop_results();
	storage_messages_do(&messages);
	while (storage_queue_take(&queue, &results[result_count]))
		result_count += results[result_count].type == STORAGE_MESSAGE;
}

static const struct message_view *
answer(size_t at, enum message_status status)
{
	cr_assert_lt(at, result_count);
	const struct message_view *view = results[at].message;
	cr_assert_eq(view->status, status, "%zu: %s (%s)", at, message_status_text(view->status),
		     view->why);
	return view;
}

/* All of a client's but one (0: all), whole. */
static void
expect_page(size_t at, unsigned first, unsigned but)
{
	const struct message_page *page = &answer(at, MESSAGE_DONE)->page;
	unsigned number = first;
	char text[40];

	cr_assert_eq(page->count, EACH - (but != 0));
	for (size_t i = 0; i < page->count; i++, number++) {
		number += number == but;
		text_of(text, number);
		cr_assert(wire_span_equal(page->messages[i].text, wire_span_str(text)));
	}
}

static struct message_totals
totals_now(void)
{
	const struct message_order what = { .verb = MESSAGE_TOTALS };

	order(&what);
	do_batch();
	return answer(0, MESSAGE_DONE)->totals;
}

/* ---- damage ---- */

/* Where in the file these bytes are, of which there is one place. */
static long
place_of(const void *bytes, size_t len)
{
	size_t size;
	char *file = read_file(path, &size);
	char *at = memmem(file, size, bytes, len);

	cr_assert_not_null(at);
	cr_assert_null(memmem(at + 1, size - (size_t)(at + 1 - file), bytes, len));
	long place = at - file;
	free(file);
	return place;
}

/* Changes a byte as many bytes behind the start of a message's text. */
static void
damage(unsigned number, long offset, uint8_t from, uint8_t to)
{
	char text[40];
	uint8_t byte;

	text_of(text, number);
	long place = place_of(text, strlen(text)) + offset;
	FILE *file = fopen(path, "r+");
	cr_assert_not_null(file);
	cr_assert_eq(fseek(file, place, SEEK_SET), 0);
	cr_assert_eq(fread(&byte, 1, 1, file), 1);
	cr_assert_eq(byte, from, "%02x at %ld", byte, offset);
	cr_assert_eq(fseek(file, place, SEEK_SET), 0);
	cr_assert_eq(fwrite(&to, 1, 1, file), 1);
	fclose(file);
}

/*
 * A row, up to its text: length of the header, a type for each of 12 columns, then the values that
 * have bytes: id 16, client 8, sender 8, accepted_ms 6, bytes 2.
 */
enum {
	AT_BYTES = -2,
	AT_ACCEPTED = AT_BYTES - 6,
	AT_SENDER = AT_ACCEPTED - 8,
	AT_CLIENT = AT_SENDER - 8,
	AT_ID = AT_CLIENT - 16,
	AT_TYPES = AT_ID - 12,
	TYPE_KIND = 1,
	TYPE_ID,
	TYPE_CLIENT,
	TYPE_ORIGIN,
	TYPE_NAME = 10,
};

static const struct {
	const char *what;
	long offset;
	uint8_t from, to;
	long further; /* 0: that is all */
	uint8_t also_from, also_to;
} damages[] = {
	{ "a length that is not that of name and text", AT_BYTES + 1, 0xa3, 0xa1, 0, 0, 0 },
	{ "another client", AT_CLIENT + 7, 0x08, 0x18, 0, 0, 0 },
	{ "a kind that there is not", AT_TYPES + TYPE_KIND, 0x09, 0x08, 0, 0, 0 },
	{ "a notice of nobody", AT_TYPES + TYPE_ORIGIN, 0x09, 0x08, 0, 0, 0 },
	{ "an id that is too short", AT_TYPES + TYPE_ID, 0x2c, 0x2a, TYPE_NAME - TYPE_ID, 0x0c,
	  0x0e },
	{ "a time before all time", AT_ACCEPTED, 0x00, 0x80, 0, 0, 0 },
};

#define DAMAGES (sizeof damages / sizeof damages[0])

static void
damage_by(size_t which, unsigned number)
{
	long also = damages[which].offset + damages[which].further;

	damage(number, damages[which].offset, damages[which].from, damages[which].to);
	if (damages[which].further != 0)
		damage(number, also, damages[which].also_from, damages[which].also_to);
}

static void
expect_aside(size_t at, unsigned number)
{
	const struct message_view *view = answer(at, MESSAGE_DONE);

	cr_assert_eq(view->aside_count, 1u);
	cr_assert_eq(view->aside[0].cursor, number);
	cr_assert_eq(view->aside[0].client, CLIENT);
	cr_assert_eq(view->aside[0].kind, MESSAGE_NOTICE);
}

/* ---- the tests ---- */

Test(message_aside, a_damaged_message_stands_in_nobodys_way)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		char text[40];

		damage_by(i, 3);
		order_next(OTHER);
		order_of(MESSAGE_PUT, 200, OTHER + 1);
		order_next(CLIENT);
		order_of(MESSAGE_CONFIRM, 101, OTHER);
		do_batch();
		expect_page(0, 101, 0);
		answer(1, MESSAGE_DONE);
		expect_page(2, 1, 3);
		answer(3, MESSAGE_DONE);
		expect_aside(2, 3);
		/* Said once, and for ever: also when the file is opened anew. */
		storage_messages_fini(&messages);
		start();
		order_next(CLIENT);
		do_batch();
		expect_page(0, 1, 3);
		cr_assert_eq(answer(0, MESSAGE_DONE)->aside_count, 0u, "%s", damages[i].what);
		struct message_totals totals = totals_now();
		cr_assert_eq(totals.aside, 1u);
		cr_assert_eq(totals.count, 2 * EACH, "the one confirmed is gone, one is new");
		storage_messages_fini(&messages);
		text_of(text, 3);
		(void)place_of(text, strlen(text)); /* it is still there */
		cr_assert_eq(unlink(path), 0);
		start();
		make_file();
		start();
	}
}

Test(message_aside, several_damaged_ones_are_all_put_aside)
{
	damage_by(0, 1);
	damage_by(1, 2);
	damage_by(4, 5);
	order_next(CLIENT);
	do_batch();
	cr_assert_eq(answer(0, MESSAGE_DONE)->aside_count, 3u);
	cr_assert_eq(answer(0, MESSAGE_DONE)->page.count, 2u);
	cr_assert_eq(totals_now().aside, 3u);
}

static void
order_list(bool of_client)
{
	struct message_order list = { .verb = MESSAGE_LIST,
				      .list = {
					  .of_client = of_client, .client = CLIENT, .max = 100 } };

	order(&list);
}

Test(message_aside, it_is_listed_by_what_the_indexes_know)
{
	uint8_t id[MESSAGE_ID_SIZE];

	damage_by(4, 3);
	order_list(false);
	order_list(true);
	do_batch();
	expect_aside(0, 3);
	message_id(id, 3);
	for (size_t i = 0; i < 2; i++) {
		const struct message_page *page = &answer(i, MESSAGE_DONE)->page;
		cr_assert_eq(page->count, i == 0 ? 2 * EACH : EACH);
		const struct message *message = &page->messages[2];
		cr_assert(message->aside);
		cr_assert_not(page->messages[1].aside);
		cr_assert_eq(message->cursor, 3u);
		cr_assert_eq(message->client, CLIENT);
		cr_assert_eq(message->kind, MESSAGE_NOTICE);
		cr_assert_eq(message->accepted_ms, START_MS + 3);
		cr_assert_arr_eq(message->id, id, sizeof id);
		cr_assert_eq(message->text.len, 0u);
	}
}

Test(message_aside, who_confirms_or_repeats_it_is_answered)
{
	damage_by(0, 3);
	order_next(CLIENT);
	do_batch();
	order_of(MESSAGE_PUT, 3, CLIENT);
	order_of(MESSAGE_CONFIRM, 3, CLIENT);
	order_of(MESSAGE_CONFIRM, 2, CLIENT);
	do_batch();
	answer(0, MESSAGE_ASIDE);
	answer(1, MESSAGE_REPEATED);
	answer(2, MESSAGE_DONE);
	struct message_totals totals = totals_now();
	cr_assert_eq(totals.count, 2 * EACH - 1);
	cr_assert_eq(totals.aside, 1u);
}

/* Its row and the indexes do not agree: the library refuses to remove it. */
Test(message_aside, one_that_cannot_be_removed_keeps_no_other_from_it)
{
	struct message_order expire = { .verb = MESSAGE_EXPIRE };

	expire.now_ms = START_MS + (int64_t)message_bounds_default.age_ms + 1000;
	damage_by(1, 3);
	order_of(MESSAGE_PUT, 300, OTHER);
	order(&expire);
	do_batch();
	answer(0, MESSAGE_DONE);
	expect_aside(1, 3);
	cr_assert_eq(answer(1, MESSAGE_DONE)->removed, 2 * EACH);
	struct message_totals totals = totals_now();
	cr_assert_eq(totals.count, 1u);
	cr_assert_eq(totals.aside, 1u);
	/* Not by its id either: but the others of the batch know nothing of it. */
	order_of(MESSAGE_PUT, 301, OTHER);
	order_of(MESSAGE_DROP, 3, CLIENT);
	order_next(CLIENT);
	do_batch();
	answer(0, MESSAGE_DONE);
	answer(1, MESSAGE_ASIDE);
	cr_assert_eq(answer(2, MESSAGE_DONE)->page.count, 0u);
	cr_assert_eq(totals_now().count, 2u);
}

Test(message_aside, one_that_can_be_removed_is_dropped_by_its_id_alone)
{
	struct message_order expire = { .verb = MESSAGE_EXPIRE };
	struct message_order drop = { .verb = MESSAGE_DROP_CLIENT, .now_ms = START_MS + 1000 };

	expire.now_ms = START_MS + (int64_t)message_bounds_default.age_ms + 1000;
	drop.message.client = CLIENT;
	damage_by(0, 3);
	order_next(CLIENT);
	order(&drop);
	order(&expire);
	do_batch();
	cr_assert_eq(answer(1, MESSAGE_DONE)->removed, EACH - 1);
	cr_assert_eq(answer(2, MESSAGE_DONE)->removed, EACH);
	order_of(MESSAGE_DROP, 3, CLIENT);
	do_batch();
	cr_assert_eq(answer(0, MESSAGE_DONE)->removed, 1u);
	struct message_totals totals = totals_now();
	cr_assert_eq(totals.aside, 0u);
	cr_assert_eq(totals.count, 0u);
}

Test(message_aside, what_proved_to_be_no_message_is_marked)
{
	struct message_order mark = { .verb = MESSAGE_MARK, .now_ms = START_MS };

	mark.message.cursor = 2;
	order(&mark);
	order(&mark);
	do_batch();
	expect_aside(0, 2);
	cr_assert_eq(answer(1, MESSAGE_ASIDE)->aside_count, 0u);
	order_next(CLIENT);
	do_batch();
	expect_page(0, 1, 2);
}

/* A client's entry in an index that has become another's: nobody gets what is not his. */
Test(message_aside, an_index_that_names_another_client_delivers_nothing)
{
	/* Length of the header, types of client, seq and, once more, seq; then these. */
	static const uint8_t entry[] = { 4, 6, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 5, 5 };
	long place = place_of(entry, sizeof entry);
	FILE *file = fopen(path, "r+");

	/* The last of CLIENT's becomes the first of OTHER's: the index is in order. */
	cr_assert_eq(fseek(file, place + 11, SEEK_SET), 0);
	cr_assert_eq(fputc(9, file), 9);
	fclose(file);
	order_next(OTHER);
	do_batch();
	expect_page(0, 101, 0);
	expect_aside(0, 5);
}

/* ---- a store that fails as a whole ---- */

static int
on_commit(void *context)
{
	(void)context;
	commits++;
	return fail;
}

static int
on_open(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
	(void)error, (void)api;
	sqlite3_commit_hook(db, on_commit, NULL);
	return SQLITE_OK;
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

Test(message_aside, a_store_that_fails_is_left_alone_for_longer_and_longer)
{
	cr_assert_eq(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
	storage_messages_fini(&messages);
	start();
	fail = true;
	uint64_t began = clock_ms();
	for (unsigned i = 0; i < 200; i++) {
		order_of(MESSAGE_PUT, 400 + i, CLIENT);
		do_batch();
		answer(0, MESSAGE_DAMAGED);
	}
	/* At once, once more, and then after pauses that double: however long all of that took. */
	unsigned may = 2;
	uint64_t passed = clock_ms() - began;
	for (uint64_t pause = 1000; pause <= passed; passed -= pause, pause *= 2)
		may++;
	cr_assert_geq(commits, 2u);
	cr_assert_leq(commits, may);
	cr_assert_geq(messages.pause_ms, 1000u);
	/* The pause has a bound. */
	for (unsigned i = 0; i < 20; i++) {
		messages.broken_ms -= messages.pause_ms;
		order_of(MESSAGE_PUT, 400, CLIENT);
		do_batch();
		answer(0, MESSAGE_DAMAGED);
	}
	cr_assert_eq(messages.pause_ms, 30000u);
	/* Another file is tried at once, and then all is as before. */
	fail = false;
	cr_assert_eq(rename(path, temp_path("moved")), 0);
	order_of(MESSAGE_PUT, 400, CLIENT);
	do_batch();
	answer(0, MESSAGE_DONE);
	cr_assert_eq(totals_now().count, 1u);
	cr_assert_eq(messages.broken, MESSAGE_DONE);
}

/* A file of a relay that put nothing aside. */
Test(message_aside, an_older_file_is_taken_over)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "DROP TRIGGER aside_out; DROP TABLE aside", NULL, NULL, NULL),
		     SQLITE_OK);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
	damage_by(0, 3);
	order_next(CLIENT);
	do_batch();
	expect_page(0, 1, 3);
	expect_aside(0, 3);
}
