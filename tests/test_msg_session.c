/*
 * test_msg_session.c - the session of librelay-msg against a small relay, on virtual time, with a
 * network that loses, repeats and reorders by a seed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "relay/msg/session.h"
#include "tests/msg_relay_stage.h"

#define CLIENT  0x0123456789abcdefu
#define PACKETS 1024
#define SEEDS   40

struct packet {
	uint64_t due_ms; /* 0: none */
	bool to_relay;
	size_t len;
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
};

static struct packet packets[PACKETS];
static struct msg_relay relay;
static struct session *session;
static struct fake_random chance;
static unsigned loss, twice;
static uint64_t now_ms;
static struct datagram_cipher cipher;
static uint8_t secret[DATAGRAM_KEY_SIZE] = { 7, 7, 7 };

/* --- the network */

static void
carry(bool to_relay, const uint8_t *bytes, size_t len)
{
	unsigned copies = fake_chance(&chance, loss) ? 0 : fake_chance(&chance, twice) ? 2 : 1;
	struct packet *packet = packets;

	cr_assert_leq(len, sizeof packet->bytes);
	for (; copies > 0; copies--) {
		while (packet->due_ms != 0)
			cr_assert_lt(++packet, packets + PACKETS);
		packet->due_ms = now_ms + fake_between(&chance, 1, loss == 0 ? 1 : 40);
		packet->to_relay = to_relay;
		packet->len = len;
		memcpy(packet->bytes, bytes, len);
	}
}

static void
from_client(void *context, const uint8_t *bytes, size_t len)
{
	(void)context;
	carry(true, bytes, len);
}

static void
from_relay(void *context, const uint8_t *bytes, size_t len)
{
	(void)context;
	carry(false, bytes, len);
}

static void
random_bytes(void *context, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	(void)context;
	while (len-- > 0)
		*at++ = (uint8_t)fake_random_next(&chance);
}

/* --- the stage */

static struct session_settings
settings_of(bool is_sealed)
{
	return (struct session_settings){
		.client = CLIENT,
		.key = is_sealed ? secret : NULL,
		.resend_first_ms = 50,
		.resend_max_ms = 200,
		.tries = 30,
		.timeout_ms = 60000,
		.size = DATAGRAM_SIZE_DEFAULT,
		.reply_max = 65536,
		.open_max = 256,
	};
}

static void
begin(uint64_t seed, unsigned loss_permille, const struct session_settings *settings)
{
	struct session_world world = { NULL, from_client, random_bytes };

	memset(packets, 0, sizeof packets);
	chance = (struct fake_random){ .state = seed };
	loss = twice = loss_permille;
	now_ms = 1000;
	memset(&relay, 0, sizeof relay);
	relay.client = CLIENT;
	relay.random.state = seed + 1;
	relay.send = from_relay;
	relay.resend_ms = 60;
	if (settings->key != NULL) {
		datagram_cipher_init(&cipher, CLIENT, secret);
		relay.cipher = &cipher;
	}
	session = session_new(settings, &world, now_ms);
	cr_assert_not_null(session);
}

/* To the next moment at which anything happens, at most to `end_ms`. */
static void
step(uint64_t end_ms)
{
	uint64_t due = end_ms, other;

	for (size_t i = 0; i < PACKETS; i++)
		if (packets[i].due_ms != 0 && packets[i].due_ms < due)
			due = packets[i].due_ms;
	other = session_due_ms(session);
	if (other < due)
		due = other;
	other = stage_due_ms(&relay);
	if (other < due)
		due = other;
	if (due > now_ms)
		now_ms = due;
	for (size_t i = 0; i < PACKETS; i++) {
		if (packets[i].due_ms == 0 || packets[i].due_ms > now_ms)
			continue;
		struct packet packet = packets[i];
		packets[i].due_ms = 0;
		if (packet.to_relay)
			stage_take(&relay, packet.bytes, packet.len, now_ms);
		else
			session_take(session, packet.bytes, packet.len, now_ms);
	}
	stage_tick(&relay, now_ms);
	session_tick(session, now_ms);
}

static void
end(void)
{
	session_free(session);
}

/* --- requests */

#define REQUESTS 200

static unsigned ended[REQUESTS + 1];
static enum relay_msg_outcome outcomes[REQUESTS + 1];

static size_t
length_of(uint64_t id)
{
	return id % 7 == 0 ? (size_t)(id * 97 % 9000) : (size_t)(id % 50);
}

static void
ask(uint64_t expected_id)
{
	char line[32];
	uint64_t id;
	int len = snprintf(line, sizeof line, "%lu:%zu", expected_id, length_of(expected_id));

	cr_assert_eq(session_request(session, wire_span_str("host"), wire_span(line, (size_t)len),
				     false, now_ms, &id),
		     0);
	cr_assert_eq(id, expected_id);
}

static void
check_answer(const struct relay_msg_event *event)
{
	cr_assert(event->id >= 1 && event->id <= REQUESTS);
	ended[event->id]++;
	outcomes[event->id] = event->outcome;
	if (event->outcome != RELAY_MSG_ANSWERED)
		return;
	cr_assert_eq(event->length, length_of(event->id), "a reply of another length");
	for (size_t i = 0; i < event->length; i++)
		cr_assert_eq(event->bytes[i], stage_reply(event->id, i), "a wrong reply");
}

/* Asks up to `together` at a time; restarts the relay now and then.  Counts those answered. */
static unsigned
run_requests(unsigned together, unsigned restart_permille)
{
	uint64_t asked = 0, done = 0, end_ms = now_ms + 3000000;
	struct relay_msg_event event;
	unsigned answered = 0;

	memset(ended, 0, sizeof ended);
	while (done < REQUESTS) {
		while (asked < REQUESTS && asked - done < together)
			ask(++asked);
		if (fake_chance(&chance, restart_permille))
			stage_restart(&relay);
		step(end_ms);
		cr_assert_lt(now_ms, end_ms, "no end");
		while (session_next(session, 0, &event, now_ms)) {
			if (event.what != RELAY_MSG_ANSWER)
				continue;
			check_answer(&event);
			done++;
			answered += event.outcome == RELAY_MSG_ANSWERED;
		}
	}
	for (uint64_t id = 1; id <= REQUESTS; id++) {
		cr_assert_eq(ended[id], 1, "request %lu ended %u times", id, ended[id]);
		cr_assert_leq(relay.runs[id], 1, "request %lu was run twice", id);
		if (outcomes[id] == RELAY_MSG_ANSWERED)
			cr_assert_eq(relay.runs[id], 1);
	}
	return answered;
}

Test(msg_session, all_are_answered_once_through_a_bad_network)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct session_settings settings = settings_of(seed % 4 == 0);
		begin(seed, 300, &settings);
		relay.busy_permille = seed % 3 == 0 ? 200 : 0;
		cr_assert_eq(run_requests(1 + (unsigned)seed % 100, 0), REQUESTS, "seed %lu", seed);
		end();
	}
}

Test(msg_session, none_runs_twice_when_the_relay_restarts)
{
	unsigned answered = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct session_settings settings = settings_of(seed % 4 == 0);
		begin(seed, 300, &settings);
		answered += run_requests(1 + (unsigned)seed % 20, 10);
		for (uint64_t id = 1; id <= REQUESTS; id++)
			cr_assert(outcomes[id] == RELAY_MSG_ANSWERED ||
				      outcomes[id] == RELAY_MSG_CON_LOST ||
				      outcomes[id] == RELAY_MSG_UNREACHABLE,
				  "seed %lu: %s", seed, relay_msg_outcome_name(outcomes[id]));
		end();
	}
	cr_assert_gt(answered, SEEDS * REQUESTS / 10);
	cr_assert_lt(answered, SEEDS * REQUESTS);
}

/* A good network: one datagram each way, and the confirm rides on the next request. */
Test(msg_session, a_confirm_costs_no_datagram_of_its_own)
{
	struct session_settings settings = settings_of(false);

	begin(1, 0, &settings);
	cr_assert_eq(run_requests(1, 0), REQUESTS);
	/* Parts of long replies are confirmed before the last one; 28 replies are long. */
	cr_assert_leq(relay.once.window.top, REQUESTS + 1 + REQUESTS / 7 * 8);
	end();
}

Test(msg_session, without_a_relay_requests_end)
{
	struct session_settings settings = settings_of(false);

	settings.tries = 3;
	begin(1, 1000, &settings);
	cr_assert_eq(run_requests(5, 0), 0);
	for (uint64_t id = 1; id <= REQUESTS; id++)
		cr_assert_eq(outcomes[id], RELAY_MSG_UNREACHABLE);
	end();
}

Test(msg_session, a_relay_that_falls_silent_ends_the_session)
{
	struct session_settings settings = settings_of(false);
	struct relay_msg_event event;
	bool was_offline = false;

	begin(1, 0, &settings);
	cr_assert_eq(run_requests(1, 0), REQUESTS);
	loss = 1000;
	uint64_t since = now_ms;
	while (!was_offline) {
		step(now_ms + 100000);
		while (session_next(session, 0, &event, now_ms))
			was_offline |= event.what == RELAY_MSG_OFFLINE;
	}
	cr_assert_leq(now_ms - since, 4001, "keep_alive_ms of the welcome");
	end();
}

Test(msg_session, what_is_held_is_bounded)
{
	struct session_settings settings = settings_of(false);
	uint64_t id;

	begin(1, 1000, &settings);
	for (uint32_t i = 0; i < settings.open_max; i++)
		cr_assert_eq(session_request(session, wire_span_str("h"), wire_span_str("x"), false,
					     now_ms, &id),
			     0);
	cr_assert_eq(
	    session_request(session, wire_span_str("h"), wire_span_str("x"), false, now_ms, &id),
	    -EAGAIN);
	end();
	begin(1, 1000, &settings);
	static const char long_line[DATAGRAM_SIZE_DEFAULT];
	cr_assert_eq(session_request(session, wire_span_str("h"),
				     wire_span(long_line, sizeof long_line), false, now_ms, &id),
		     -EMSGSIZE);
	cr_assert_eq(
	    session_request(session, wire_span_str("h"), wire_span_str("a\nb"), false, now_ms, &id),
	    -EINVAL);
	cr_assert_eq(
	    session_request(session, wire_span_str(""), wire_span_str("a"), false, now_ms, &id),
	    -EINVAL);
	end();
}

/* The relay puts request number 2 of the session off, for longer than the client waits. */
static void
say_busy(uint64_t of_session)
{
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	const struct datagram_header header = { .client = CLIENT,
						.kind = DATAGRAM_BUSY,
						.session = of_session,
						.flags = DATAGRAM_RELAY,
						.about = 2,
						.value = 10000 };

	datagram_put_bare(&out, &header);
	session_take(session, out.data, out.len, now_ms);
}

/* How a request ends of which so many copies were sent, and so many were answered by busy. */
static enum relay_msg_outcome
put_off(unsigned copies, unsigned answered)
{
	struct session_settings settings = settings_of(false);
	struct relay_msg_event event = { 0 };
	uint64_t id, of_session, end_ms;

	settings.timeout_ms = 2000;
	begin(1, 0, &settings);
	while (!session_next(session, 0, &event, now_ms) || event.what != RELAY_MSG_ONLINE)
		step(now_ms + 10000);
	of_session = event.session;
	loss = 1000; /* the test answers */
	cr_assert_eq(
	    session_request(session, wire_span_str("h"), wire_span_str("x"), false, now_ms, &id),
	    0);
	session_tick(session, now_ms);
	end_ms = now_ms + 10000;
	while (copies-- > 1) {
		now_ms += 600; /* more than the longest wait for a repeat */
		session_tick(session, now_ms);
	}
	while (answered-- > 0)
		say_busy(of_session);
	while (now_ms < end_ms && event.what != RELAY_MSG_ANSWER) {
		step(end_ms);
		(void)session_next(session, 0, &event, now_ms);
	}
	cr_assert_eq(event.what, RELAY_MSG_ANSWER);
	cr_assert_eq(event.number, 2);
	enum relay_msg_outcome outcome = event.outcome;
	end();
	return outcome;
}

/* Busy means that it was not run: not of one of which another copy is on its way, or was taken. */
Test(msg_session, busy_is_not_said_of_what_may_be_run)
{
	cr_assert_eq(put_off(1, 1), RELAY_MSG_BUSY);
	cr_assert_eq(put_off(2, 1), RELAY_MSG_GIVEN_UP);
	cr_assert_eq(put_off(1, 2), RELAY_MSG_GIVEN_UP, "the network has made copies");
}

/* A whole reply in one part. */
static void
say_reply(const struct datagram_header *about, struct wire_span whole)
{
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct datagram_header header = *about;

	header.client = CLIENT;
	header.kind = DATAGRAM_REPLY;
	header.flags |= DATAGRAM_RELAY | DATAGRAM_LAST;
	datagram_begin(&out, &header);
	datagram_part_put(&out, &(struct datagram_part){ .total = (uint32_t)whole.len,
							 .bytes = whole,
							 .is_last = true });
	datagram_end(&out, &header);
	session_take(session, out.data, out.len, now_ms);
}

/* The session ends while the caller has not taken a durable reply, and it comes out of the store.
 */
Test(msg_session, a_durable_reply_is_shown_once)
{
	static const uint8_t line[] = "done";
	struct session_settings settings = settings_of(false);
	struct datagram_header over = { .client = CLIENT,
					.kind = DATAGRAM_ERROR,
					.flags = DATAGRAM_RELAY,
					.code = DATAGRAM_NEW_SESSION };
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct relay_msg_event event = { 0 };
	unsigned answers = 0, late = 0;
	uint64_t id, before, end_ms;

	begin(1, 0, &settings);
	while (!session_next(session, 0, &event, now_ms) || event.what != RELAY_MSG_ONLINE)
		step(now_ms + 10000);
	before = event.session;
	loss = 1000;
	cr_assert_eq(
	    session_request(session, wire_span_str("h"), wire_span_str("x"), true, now_ms, &id), 0);
	session_tick(session, now_ms);
	say_reply(&(struct datagram_header){ .session = before, .number = 1000, .about = 2 },
		  wire_span(line, 4));
	loss = 0;
	over.session = before;
	over.about = 3;
	datagram_put_bare(&out, &over);
	session_take(session, out.data, out.len, now_ms);
	for (end_ms = now_ms + 1000; now_ms < end_ms;)
		step(end_ms);
	cr_assert_neq(relay.session, before);
	uint8_t stored[20];
	struct wire_out whole = wire_out(stored, sizeof stored);
	datagram_stored_put(&whole, &(struct datagram_stored){ before, 2, wire_span(line, 4) });
	say_reply(&(struct datagram_header){ .session = relay.session,
					     .flags = DATAGRAM_DURABLE,
					     .number = 1000,
					     .about = 1000 },
		  wire_span(stored, whole.len));
	while (session_next(session, 0, &event, now_ms)) {
		answers += event.what == RELAY_MSG_ANSWER && event.outcome == RELAY_MSG_ANSWERED;
		late += event.what == RELAY_MSG_LATE;
	}
	cr_assert_eq(answers, 1);
	cr_assert_eq(late, 0);
	end();
}

/* What the store puts in front of a line does not count against the longest reply. */
static bool
late_line_comes(uint32_t len)
{
	static const uint8_t line[64];
	struct session_settings settings = settings_of(false);
	struct relay_msg_event event = { 0 };
	uint8_t stored[DATAGRAM_STORED_PREFIX + sizeof line];
	struct wire_out whole = wire_out(stored, sizeof stored);
	bool came = false;

	settings.reply_max = 40;
	begin(1, 0, &settings);
	while (!session_next(session, 0, &event, now_ms) || event.what != RELAY_MSG_ONLINE)
		step(now_ms + 10000);
	datagram_stored_put(&whole, &(struct datagram_stored){ 77, 2, wire_span(line, len) });
	say_reply(&(struct datagram_header){ .session = event.session,
					     .flags = DATAGRAM_DURABLE,
					     .number = 1000,
					     .about = 1000 },
		  wire_span(stored, whole.len));
	while (session_next(session, 0, &event, now_ms))
		came |= event.what == RELAY_MSG_LATE && event.length == len;
	end();
	return came;
}

Test(msg_session, the_longest_reply_also_comes_out_of_the_store)
{
	cr_assert(late_line_comes(40 - DATAGRAM_STORED_PREFIX));
	cr_assert(late_line_comes(40 - DATAGRAM_STORED_PREFIX + 1));
	cr_assert(late_line_comes(40));
	cr_assert_not(late_line_comes(41));
}

/* --- notices */

#define NOTICES 40

static char texts[NOTICES][3000];

static void
store_notices(void)
{
	for (size_t i = 0; i < NOTICES; i++) {
		size_t len = i % 5 == 0 ? sizeof texts[0] : 1 + i;
		memset(texts[i], 'a' + (int)(i % 26), len);
		stage_store(&relay, wire_span(texts[i], len));
	}
}

static size_t
notice_of(const struct relay_msg_event *event)
{
	for (size_t i = 0; i < relay.notice_count; i++)
		if (memcmp(relay.notices[i].id, event->notice, NOTICE_ID_SIZE) == 0)
			return i;
	cr_assert_fail("a notice that nobody sent");
	return 0;
}

static size_t
gone(void)
{
	size_t count = 0;

	for (size_t i = 0; i < relay.notice_count; i++)
		count += relay.notices[i].is_gone;
	return count;
}

static void
run_notices(uint64_t seed, unsigned restart_permille)
{
	unsigned shown[NOTICES] = { 0 };
	struct relay_msg_event event;
	uint64_t end_ms = now_ms + 3000000;

	store_notices();
	while (gone() < NOTICES || session_unconfirmed(session) > 0) {
		if (fake_chance(&chance, restart_permille))
			stage_restart(&relay);
		step(end_ms);
		cr_assert_lt(now_ms, end_ms, "seed %lu: no end", seed);
		while (session_next(session, 0, &event, now_ms)) {
			if (event.what != RELAY_MSG_NOTICE)
				continue;
			size_t i = notice_of(&event);
			cr_assert_not(relay.notices[i].is_gone, "confirmed before it was taken");
			cr_assert_eq(++shown[i], 1, "seed %lu: notice %zu shown twice", seed, i);
			cr_assert_eq(event.length, i % 5 == 0 ? sizeof texts[0] : 1 + i);
			cr_assert_eq(memcmp(event.bytes, texts[i], event.length), 0);
		}
	}
	for (size_t i = 0; i < NOTICES; i++)
		cr_assert_eq(shown[i], 1);
}

Test(msg_session, notices_are_shown_once)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct session_settings settings = settings_of(seed % 4 == 0);
		begin(seed, 300, &settings);
		run_notices(seed, seed % 2 == 0 ? 5 : 0);
		end();
	}
}

Test(msg_session, a_notice_of_the_client_is_accepted)
{
	static const uint8_t id[NOTICE_ID_SIZE] = { 1 }, none[NOTICE_ID_SIZE];
	struct session_settings settings = settings_of(true);
	struct relay_msg_event event;
	uint64_t ask_id;
	bool is_over = false;

	begin(3, 300, &settings);
	cr_assert_eq(session_notice(session, 42, wire_span_str("hi"), none, now_ms, &ask_id),
		     -EINVAL);
	cr_assert_eq(session_notice(session, 42, wire_span_str("hi"), id, now_ms, &ask_id), 0);
	while (!is_over) {
		step(now_ms + 10000);
		while (session_next(session, 0, &event, now_ms)) {
			if (event.what != RELAY_MSG_ANSWER)
				continue;
			cr_assert_eq(event.id, ask_id);
			cr_assert_eq(event.outcome, RELAY_MSG_ACCEPTED);
			is_over = true;
		}
	}
	end();
}
