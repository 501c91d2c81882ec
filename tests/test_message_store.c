/*
 * test_message_store.c - what the message store keeps, refuses, lists and forgets.
 */
#include "tests/message_site.h"

static struct message_store *store;
static struct message_bounds bounds;
static size_t removed;

static void
start(void)
{
	store = message_store_new(temp_path("messages.db"), &bounds);
	cr_assert_not_null(store);
}

static void
set_up(void)
{
	temp_dir_make();
	bounds = message_bounds_default;
	start();
}

static void
tear_down(void)
{
	message_store_free(store);
	temp_dir_remove();
}

TestSuite(message_store, .init = set_up, .fini = tear_down, .timeout = 60);

static void
begin(void)
{
	assert_status(message_store_begin(store), MESSAGE_DONE);
}

static void
commit(void)
{
	assert_status(message_store_commit(store), MESSAGE_DONE);
}

static void
reopen(void)
{
	message_store_free(store);
	start();
}

/* A batch of one. */
static void
put(const struct message *message, enum message_status expected)
{
	begin();
	assert_status(message_store_put(store, message), expected);
	commit();
}

static void
put_notice(unsigned number, uint64_t client, enum message_status expected)
{
	struct message message = notice_of(number, client, "the text");

	put(&message, expected);
}

static void
confirm(unsigned number, uint64_t client, enum message_status expected)
{
	uint8_t id[MESSAGE_ID_SIZE];

	message_id(id, number);
	begin();
	assert_status(message_store_confirm(store, client, MESSAGE_NOTICE, id, START_MS), expected);
	commit();
}

static void
expect_totals(uint64_t count, uint64_t bytes)
{
	struct message_totals totals;

	begin();
	assert_status(message_store_totals(store, &totals), MESSAGE_DONE);
	commit();
	cr_assert_eq(totals.count, count, "%llu", (unsigned long long)totals.count);
	cr_assert_eq(totals.bytes, bytes, "%llu", (unsigned long long)totals.bytes);
}

/* The numbers of the messages that wait for a client, oldest first. */
static void
expect_waiting(uint64_t client, const unsigned *numbers, size_t count)
{
	struct message_page page;
	uint8_t id[MESSAGE_ID_SIZE];

	begin();
	assert_status(message_store_next(store, client, 0, MESSAGE_NEXT_MAX, &page), MESSAGE_DONE);
	commit();
	cr_assert_eq(page.count, count, "%zu", page.count);
	for (size_t i = 0; i < count; i++) {
		message_id(id, numbers[i]);
		cr_assert_arr_eq(page.messages[i].id, id, MESSAGE_ID_SIZE);
	}
	message_page_fini(&page);
}

#define EXPECT_WAITING(client, ...)                               \
	expect_waiting(client, (const unsigned[]){ __VA_ARGS__ }, \
		       sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned))

#define WEIGHT (MESSAGE_OVERHEAD + 8) /* of "the text" */

/* ---- one message ---- */

Test(message_store, gives_back_what_was_put_after_a_restart)
{
	struct message message = notice_of(1, UINT64_MAX, "");
	struct message_page page;

	message.origin = MESSAGE_BY_USER;
	message.sender = 1000;
	message.pid = UINT32_MAX;
	message.gid = 100;
	message.name = wire_span("N\0a@b", 5);
	message.text = wire_span("\0\xff\n", 3);
	put(&message, MESSAGE_DONE);
	reopen();
	begin();
	assert_status(message_store_next(store, UINT64_MAX, 0, 1, &page), MESSAGE_DONE);
	commit();
	cr_assert_eq(page.count, 1);
	cr_assert_not(page.more);
	const struct message *got = &page.messages[0];
	cr_assert_eq(got->kind, MESSAGE_NOTICE);
	cr_assert_eq(got->client, UINT64_MAX);
	cr_assert_eq(got->origin, MESSAGE_BY_USER);
	cr_assert_eq(got->sender, 1000);
	cr_assert_eq(got->pid, UINT32_MAX);
	cr_assert_eq(got->gid, 100);
	cr_assert_eq(got->accepted_ms, message.accepted_ms);
	cr_assert_eq(got->bytes, MESSAGE_OVERHEAD + 8);
	cr_assert(wire_span_equal(got->name, message.name));
	cr_assert(wire_span_equal(got->text, message.text));
	message_page_fini(&page);
}

Test(message_store, the_file_is_for_its_owner_alone)
{
	struct stat st;

	put_notice(1, CLIENT, MESSAGE_DONE);
	cr_assert_eq(stat(temp_path("messages.db"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(stat(temp_path("messages.db-wal"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(message_store, a_repeat_is_harmless)
{
	struct message other = notice_of(1, CLIENT, "another text");

	put_notice(1, CLIENT, MESSAGE_DONE);
	put_notice(1, CLIENT, MESSAGE_REPEATED);
	put(&other, MESSAGE_TAKEN);
	other = notice_of(1, CLIENT, "the text");
	other.sender++;
	put(&other, MESSAGE_TAKEN);
	expect_totals(1, WEIGHT);
	/* The same id for somebody else is another message. */
	put_notice(1, CLIENT + 1, MESSAGE_DONE);
	expect_totals(2, 2ull * WEIGHT);
}

Test(message_store, a_repeat_after_the_confirm_is_not_kept_again)
{
	struct message other = notice_of(1, CLIENT, "the text");

	put_notice(1, CLIENT, MESSAGE_DONE);
	confirm(1, CLIENT + 1, MESSAGE_UNKNOWN);
	confirm(1, CLIENT, MESSAGE_DONE);
	confirm(1, CLIENT, MESSAGE_REPEATED);
	reopen();
	put_notice(1, CLIENT, MESSAGE_REPEATED);
	other.sender++;
	put(&other, MESSAGE_TAKEN);
	confirm(2, CLIENT, MESSAGE_UNKNOWN);
	expect_totals(0, 0);
}

Test(message_store, ids_are_remembered_up_to_a_bound)
{
	bounds.ended = 2;
	reopen();
	for (unsigned i = 1; i <= 3; i++) {
		put_notice(i, CLIENT, MESSAGE_DONE);
		confirm(i, CLIENT, MESSAGE_DONE);
	}
	confirm(1, CLIENT, MESSAGE_UNKNOWN);
	confirm(2, CLIENT, MESSAGE_REPEATED);
	put_notice(3, CLIENT, MESSAGE_REPEATED);
	put_notice(1, CLIENT, MESSAGE_DONE);
}

Test(message_store, replies_are_known_by_session_and_number)
{
	struct message reply = reply_of(7, UINT64_MAX, CLIENT, wire_span_str("the reply"));
	uint64_t session;
	uint64_t number;

	put(&reply, MESSAGE_DONE);
	put(&reply, MESSAGE_REPEATED);
	message_reply_number(reply.id, &session, &number);
	cr_assert_eq(session, 7);
	cr_assert_eq(number, UINT64_MAX);
	begin();
	assert_status(message_store_confirm(store, CLIENT, MESSAGE_NOTICE, reply.id, START_MS),
		      MESSAGE_UNKNOWN);
	assert_status(message_store_confirm(store, CLIENT, MESSAGE_REPLY, reply.id, START_MS),
		      MESSAGE_DONE);
	commit();
	expect_totals(0, 0);
}

static char long_text[MESSAGE_REPLY_MAX + 1];

Test(message_store, lengths_at_their_bounds_and_one_over)
{
	struct message message = notice_of(1, CLIENT, "");

	message.text = wire_span(long_text, MESSAGE_NOTICE_MAX);
	message.name = wire_span(long_text, MESSAGE_NAME_MAX);
	put(&message, MESSAGE_DONE);
	message_id(message.id, 2);
	message.text.len++;
	put(&message, MESSAGE_TOO_LONG);
	message.text.len--;
	message.name.len++;
	put(&message, MESSAGE_TOO_LONG);
	begin();
	message_store_set_bounds(store, &(struct message_bounds){ .count = 9,
								  .bytes = UINT64_MAX,
								  .client_count = 9,
								  .client_bytes = UINT64_MAX });
	commit();
	message = reply_of(1, 1, CLIENT, wire_span(long_text, MESSAGE_REPLY_MAX));
	put(&message, MESSAGE_DONE);
	message = reply_of(1, 2, CLIENT, wire_span(long_text, MESSAGE_REPLY_MAX + 1));
	put(&message, MESSAGE_TOO_LONG);
}

Test(message_store, what_is_no_message_is_refused)
{
	struct message message = notice_of(1, CLIENT, "x");

	message.origin = MESSAGE_BY_RELAY;
	put(&message, MESSAGE_MALFORMED);
	message = reply_of(1, 1, CLIENT, wire_span_str("x"));
	message.origin = MESSAGE_BY_CLIENT;
	put(&message, MESSAGE_MALFORMED);
	message.kind = (enum message_kind)3;
	put(&message, MESSAGE_MALFORMED);
	expect_totals(0, 0);
}

/* ---- batches ---- */

Test(message_store, a_batch_that_is_rolled_back_never_was)
{
	struct message first = notice_of(1, CLIENT, "the text");
	struct message second = notice_of(2, CLIENT, "the text");

	put(&first, MESSAGE_DONE);
	begin();
	assert_status(message_store_confirm(store, CLIENT, MESSAGE_NOTICE, first.id, START_MS),
		      MESSAGE_DONE);
	assert_status(message_store_put(store, &second), MESSAGE_DONE);
	message_store_rollback(store);
	EXPECT_WAITING(CLIENT, 1);
	expect_totals(1, WEIGHT);
	put(&second, MESSAGE_DONE);
	confirm(1, CLIENT, MESSAGE_DONE);
}

Test(message_store, a_batch_that_was_not_committed_is_gone_after_a_restart)
{
	struct message second = notice_of(2, CLIENT, "the text");

	put_notice(1, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_put(store, &second), MESSAGE_DONE);
	reopen();
	EXPECT_WAITING(CLIENT, 1);
}

/* ---- bounds ---- */

/* With room for two; what is refused says by which bound, and fits once one is gone. */
static void
expect_bound(enum message_status refused, uint64_t third_client, uint64_t third_sender)
{
	struct message third = notice_of(3, third_client, "the text");

	message_store_set_bounds(store, &bounds);
	third.sender = third_sender;
	put_notice(1, CLIENT, MESSAGE_DONE);
	put_notice(2, CLIENT, MESSAGE_DONE);
	put(&third, refused);
	put_notice(2, CLIENT, MESSAGE_REPEATED);
	expect_totals(2, 2ull * WEIGHT);
	confirm(1, CLIENT, MESSAGE_DONE);
	put(&third, MESSAGE_DONE);
	expect_totals(2, 2ull * WEIGHT);
}

Test(message_store, the_store_is_bounded_by_count)
{
	bounds.count = 2;
	expect_bound(MESSAGE_STORE_COUNT, CLIENT + 1, SENDER + 1);
}

Test(message_store, the_store_is_bounded_by_bytes)
{
	bounds.bytes = 3ull * WEIGHT - 1;
	expect_bound(MESSAGE_STORE_BYTES, CLIENT + 1, SENDER + 1);
}

Test(message_store, a_client_is_bounded_by_count)
{
	bounds.client_count = 2;
	put_notice(9, CLIENT + 1, MESSAGE_DONE);
	confirm(9, CLIENT + 1, MESSAGE_DONE);
	expect_bound(MESSAGE_CLIENT_COUNT, CLIENT, SENDER + 1);
	put_notice(4, CLIENT + 1, MESSAGE_DONE);
}

Test(message_store, a_client_is_bounded_by_bytes)
{
	bounds.client_bytes = 3ull * WEIGHT - 1;
	expect_bound(MESSAGE_CLIENT_BYTES, CLIENT, SENDER + 1);
}

Test(message_store, a_sender_is_bounded_by_count)
{
	struct message by_user = notice_of(4, CLIENT, "the text");

	bounds.sender_count = 2;
	expect_bound(MESSAGE_SENDER_COUNT, CLIENT + 1, SENDER);
	/* A user with the same number is somebody else. */
	by_user.origin = MESSAGE_BY_USER;
	put(&by_user, MESSAGE_DONE);
}

Test(message_store, a_sender_is_bounded_by_bytes)
{
	bounds.sender_bytes = 3ull * WEIGHT - 1;
	expect_bound(MESSAGE_SENDER_BYTES, CLIENT + 1, SENDER);
}

Test(message_store, exactly_the_bytes_of_a_bound_fit)
{
	bounds.bytes = bounds.client_bytes = bounds.sender_bytes = 2ull * WEIGHT;
	message_store_set_bounds(store, &bounds);
	put_notice(1, CLIENT, MESSAGE_DONE);
	put_notice(2, CLIENT, MESSAGE_DONE);
	put_notice(3, CLIENT, MESSAGE_STORE_BYTES);
}

/* ---- reading ---- */

Test(message_store, next_goes_on_behind_a_cursor)
{
	struct message_page page;

	for (unsigned i = 1; i <= 5; i++) {
		put_notice(i, CLIENT, MESSAGE_DONE);
		put_notice(i, CLIENT + 1, MESSAGE_DONE);
	}
	begin();
	assert_status(message_store_next(store, CLIENT, 0, 3, &page), MESSAGE_DONE);
	cr_assert_eq(page.count, 3);
	cr_assert(page.more);
	cr_assert_eq(page.messages[2].accepted_ms, START_MS + 3);
	uint64_t cursor = page.cursor;
	message_page_fini(&page);
	assert_status(message_store_next(store, CLIENT, cursor, 2, &page), MESSAGE_DONE);
	cr_assert_eq(page.count, 2);
	cr_assert_not(page.more);
	cr_assert_eq(page.messages[0].accepted_ms, START_MS + 4);
	cr_assert_eq(page.messages[1].client, CLIENT);
	message_page_fini(&page);
	assert_status(message_store_next(store, CLIENT, 0, 0, &page), MESSAGE_MALFORMED);
	assert_status(message_store_next(store, CLIENT, 0, MESSAGE_NEXT_MAX + 1, &page),
		      MESSAGE_MALFORMED);
	commit();
}

/* A cursor would miss a message whose place was given out before. */
Test(message_store, places_are_not_used_twice)
{
	struct message_page page;

	put_notice(1, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_next(store, CLIENT, 0, 1, &page), MESSAGE_DONE);
	commit();
	uint64_t cursor = page.cursor;
	message_page_fini(&page);
	confirm(1, CLIENT, MESSAGE_DONE);
	reopen();
	put_notice(2, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_next(store, CLIENT, cursor, 1, &page), MESSAGE_DONE);
	commit();
	cr_assert_eq(page.count, 1);
	message_page_fini(&page);
}

Test(message_store, a_page_is_bounded_by_bytes)
{
	static const size_t sizes[] = { MESSAGE_NEXT_BYTES_MAX - 10, 10, 1,
					MESSAGE_NEXT_BYTES_MAX + 1, 0 };
	static const size_t pages[] = { 2, 1, 1, 1 };
	struct message_page page;
	uint64_t cursor = 0;

	for (size_t i = 0; i < 5; i++) {
		struct message reply = reply_of(1, i, CLIENT, wire_span(long_text, sizes[i]));
		put(&reply, MESSAGE_DONE);
	}
	begin();
	for (size_t i = 0; i < 4; i++) {
		assert_status(message_store_next(store, CLIENT, cursor, 9, &page), MESSAGE_DONE);
		cr_assert_eq(page.count, pages[i], "page %zu has %zu", i, page.count);
		cr_assert_eq(page.more, i < 3);
		cursor = page.cursor;
		message_page_fini(&page);
	}
	commit();
}

/* Sums up what all pages of a list show: its numbers as decimal digits. */
static unsigned
list_all(struct message_list list)
{
	struct message_page page;
	unsigned shown = 0;
	bool more;

	do {
		begin();
		assert_status(message_store_list(store, &list, &page), MESSAGE_DONE);
		commit();
		cr_assert_leq(page.count, list.max);
		for (size_t i = 0; i < page.count; i++) {
			shown = shown * 10 + page.messages[i].id[0];
			cr_assert_eq(page.messages[i].bytes, WEIGHT);
			cr_assert_eq(page.messages[i].text.len, 0);
		}
		list.cursor = page.cursor;
		more = page.more;
		message_page_fini(&page);
	} while (more);
	return shown;
}

Test(message_store, lists_go_either_way_in_pages)
{
	for (unsigned i = 1; i <= 5; i++)
		put_notice(i, i % 2 == 1 ? CLIENT : CLIENT + 1, MESSAGE_DONE);
	for (size_t max = 1; max <= 6; max++) {
		struct message_list list = { .max = max };
		cr_assert_eq(list_all(list), 12345);
		list.newest_first = true;
		cr_assert_eq(list_all(list), 54321);
		list.of_client = true;
		list.client = CLIENT;
		cr_assert_eq(list_all(list), 531);
		list.newest_first = false;
		cr_assert_eq(list_all(list), 135);
	}
}

Test(message_store, a_page_of_a_list_has_a_bound)
{
	struct message_page page;
	struct message_list list = { .max = MESSAGE_PAGE_MAX };

	begin();
	assert_status(message_store_list(store, &list, &page), MESSAGE_DONE);
	message_page_fini(&page);
	list.max++;
	assert_status(message_store_list(store, &list, &page), MESSAGE_MALFORMED);
	list.max = 0;
	assert_status(message_store_list(store, &list, &page), MESSAGE_MALFORMED);
	commit();
}

/* ---- removing ---- */

Test(message_store, drops_by_id)
{
	uint8_t id[MESSAGE_ID_SIZE];

	put_notice(1, CLIENT, MESSAGE_DONE);
	put_notice(2, CLIENT, MESSAGE_DONE);
	message_id(id, 1);
	begin();
	assert_status(message_store_drop(store, MESSAGE_NOTICE, id, START_MS, &removed),
		      MESSAGE_DONE);
	cr_assert_eq(removed, 1);
	assert_status(message_store_drop(store, MESSAGE_NOTICE, id, START_MS, &removed),
		      MESSAGE_UNKNOWN);
	commit();
	EXPECT_WAITING(CLIENT, 2);
	/* It does not come back by itself. */
	put_notice(1, CLIENT, MESSAGE_REPEATED);
}

Test(message_store, drops_by_client_piece_by_piece)
{
	begin();
	for (unsigned i = 0; i <= MESSAGE_DROP_MAX; i++) {
		struct message message = notice_of(i, CLIENT, "the text");
		assert_status(message_store_put(store, &message), MESSAGE_DONE);
	}
	commit();
	put_notice(1, CLIENT + 1, MESSAGE_DONE);
	begin();
	assert_status(message_store_drop_client(store, CLIENT, START_MS, &removed), MESSAGE_DONE);
	cr_assert_eq(removed, MESSAGE_DROP_MAX);
	assert_status(message_store_drop_client(store, CLIENT, START_MS, &removed), MESSAGE_DONE);
	cr_assert_eq(removed, 1);
	commit();
	expect_totals(1, WEIGHT);
}

Test(message_store, drops_what_is_older)
{
	for (unsigned i = 1; i <= 3; i++)
		put_notice(i, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_drop_older(store, START_MS + 3, START_MS, &removed),
		      MESSAGE_DONE);
	cr_assert_eq(removed, 2);
	commit();
	EXPECT_WAITING(CLIENT, 3);
}

Test(message_store, what_is_older_than_the_bound_expires)
{
	bounds.age_ms = 1000;
	message_store_set_bounds(store, &bounds);
	put_notice(1, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_expire(store, START_MS + 1001, &removed), MESSAGE_DONE);
	cr_assert_eq(removed, 0, "exactly as old");
	assert_status(message_store_expire(store, START_MS + 1002, &removed), MESSAGE_DONE);
	cr_assert_eq(removed, 1);
	/* A clock that was set back, or an age without end. */
	assert_status(message_store_expire(store, 500, &removed), MESSAGE_DONE);
	bounds.age_ms = UINT64_MAX;
	message_store_set_bounds(store, &bounds);
	assert_status(message_store_expire(store, INT64_MAX, &removed), MESSAGE_DONE);
	commit();
	expect_totals(0, 0);
}

Test(message_store, says_what_waits_for_a_client)
{
	uint64_t count;
	uint64_t bytes;

	put_notice(1, CLIENT, MESSAGE_DONE);
	begin();
	assert_status(message_store_waiting(store, CLIENT, &count, &bytes), MESSAGE_DONE);
	cr_assert_eq(count, 1);
	cr_assert_eq(bytes, WEIGHT);
	/* Its sender is no receiver. */
	assert_status(message_store_waiting(store, SENDER, &count, &bytes), MESSAGE_DONE);
	cr_assert_eq(count, 0);
	commit();
}

/* ---- last seen ---- */

static void
expect_seen(uint64_t client, int64_t expected_ms)
{
	int64_t seen_ms;

	begin();
	assert_status(message_store_last_seen(store, client, &seen_ms),
		      expected_ms > 0 ? MESSAGE_DONE : MESSAGE_UNKNOWN);
	commit();
	cr_assert_eq(seen_ms, expected_ms);
}

static void
see(uint64_t client, int64_t seen_ms)
{
	begin();
	assert_status(message_store_seen(store, client, seen_ms), MESSAGE_DONE);
	commit();
}

Test(message_store, last_seen_never_goes_back)
{
	expect_seen(CLIENT, 0);
	see(CLIENT, 100);
	see(CLIENT, 200);
	see(CLIENT, 150);
	reopen();
	expect_seen(CLIENT, 200);
	expect_seen(CLIENT + 1, 0);
}

Test(message_store, the_longest_unseen_are_forgotten)
{
	bounds.clients = 2;
	message_store_set_bounds(store, &bounds);
	see(1, 300);
	see(2, 100);
	see(1, 400);
	see(UINT64_MAX, 200);
	expect_seen(2, 0);
	expect_seen(1, 400);
	expect_seen(UINT64_MAX, 200);
}

Test(message_store, clients_are_listed_in_pages)
{
	struct message_clients clients;
	uint64_t after = 0;
	uint64_t seen = 0;

	see(3, 1);
	see(UINT64_MAX, 2);
	see(1, 4);
	for (unsigned i = 0; i < 3; i++) {
		begin();
		assert_status(message_store_clients(store, i > 0 ? &after : NULL, 1, &clients),
			      MESSAGE_DONE);
		commit();
		cr_assert_eq(clients.count, 1);
		cr_assert_eq(clients.more, i < 2);
		after = clients.clients[0].client;
		seen += (uint64_t)clients.clients[0].seen_ms;
		message_clients_fini(&clients);
	}
	cr_assert_eq(seen, 7);
	begin();
	assert_status(message_store_clients(store, NULL, MESSAGE_PAGE_MAX + 1, &clients),
		      MESSAGE_MALFORMED);
	commit();
}
