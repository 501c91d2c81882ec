/*
 * fuzz_msg_session.c - what librelay-msg does with datagrams of a relay that means no good: no
 * crash, no leak, no more events than were asked for, nothing longer than allowed.
 *
 * Input: datagrams, each behind a byte of time (10 ms) and two of length.  Client, session and the
 * relay's flag are made right, so that what is behind them is reached.
 */
#include <stdint.h>
#include <stdlib.h>

#include "relay/msg/session.h"

#define CLIENT    0x2a
#define SESSION   0x5e55
#define REPLY_MAX 4096
#define REQUESTS  4

static uint64_t hello, now_ms, state;
static struct session *session;
static uint64_t answers;

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
on_send(void *context, const uint8_t *bytes, size_t len)
{
	struct datagram_terms terms = { DATAGRAM_OF_CLIENT, false, DATAGRAM_SIZE_MIN };
	struct datagram datagram;

	(void)context;
	must(datagram_look(&datagram, wire_span(bytes, len), &terms) == DATAGRAM_OK);
	if (datagram.header.kind == DATAGRAM_HELLO)
		hello = datagram.header.number;
}

static void
on_random(void *context, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	(void)context;
	while (len-- > 0)
		*at++ =
		    (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static void
welcome(void)
{
	struct datagram_header header = { .client = CLIENT,
					  .kind = DATAGRAM_WELCOME,
					  .flags = DATAGRAM_RELAY,
					  .session = SESSION,
					  .about = hello };
	struct datagram_welcome terms = { DATAGRAM_SIZE_MIN, REPLY_MAX, 5000, 64, 1024 };
	uint8_t bytes[DATAGRAM_SIZE_MIN];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	datagram_begin(&out, &header);
	datagram_welcome_put(&out, &terms);
	session_take(session, bytes, out.len, now_ms);
}

static void
drain(void)
{
	struct relay_msg_event event;

	session_tick(session, now_ms);
	while (session_next(session, 0, &event, now_ms)) {
		must(event.length <=
		     (event.what == RELAY_MSG_NOTICE ? RELAY_MSG_TEXT_MAX : REPLY_MAX));
		/* Every byte is there. */
		for (size_t i = 0; i < event.length; i++)
			state += event.bytes[i];
		answers += event.what == RELAY_MSG_ANSWER;
	}
	must(answers <= REQUESTS);
}

static void
begin(void)
{
	struct session_settings settings = { CLIENT,    NULL, 50, 200, 3, 1000, DATAGRAM_SIZE_MIN,
					     REPLY_MAX, 16 };
	struct session_world world = { NULL, on_send, on_random };
	static const uint8_t notice[RELAY_MSG_ID_SIZE] = { 1 };
	uint64_t id;

	now_ms = 1000;
	state = 1;
	answers = 0;
	session = session_new(&settings, &world, now_ms);
	must(session != NULL);
	for (int i = 1; i < REQUESTS; i++)
		must(session_request(session, wire_span_str("h"), wire_span_str("x"), i == 2,
				     now_ms, &id) == 0);
	must(session_notice(session, 7, wire_span_str("hi"), notice, now_ms, &id) == 0);
	session_tick(session, now_ms);
	welcome();
	drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	while (size >= 3) {
		size_t len = (size_t)data[1] << 8 | data[2];
		now_ms += data[0] * 10u;
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		/* Exactly so many bytes, that a read behind them is seen. */
		uint8_t *bytes = malloc(len + 1);
		must(bytes != NULL);
		memcpy(bytes, data, len);
		if (len >= DATAGRAM_HEADER_SIZE) {
			datagram_put_u64(bytes, CLIENT);
			bytes[8] = DATAGRAM_VERSION;
			bytes[10] |= DATAGRAM_RELAY;
			datagram_put_u64(bytes + 16, SESSION);
		}
		session_take(session, bytes, len, now_ms);
		free(bytes);
		data += len;
		size -= len;
		drain();
	}
	session_free(session);
	return 0;
}
