/*
 * message_site.h - a message store in a directory of its own, and messages to put into it.
 */
#ifndef TESTS_MESSAGE_SITE_H
#define TESTS_MESSAGE_SITE_H

#include "relay/message_store.h"
#include "tests/temp_dir.h"

#define CLIENT 0x0102030405060708ull
#define SENDER 0x1112131415161718ull
/* Real time of the first message. */
#define START_MS 1000000000000ll

#define assert_status(call, expected)                                                           \
	do {                                                                                    \
		enum message_status got_ = (call);                                              \
		cr_assert_eq(got_, (expected), "%s: %s (%s)", #call, message_status_text(got_), \
			     message_store_why(store));                                         \
	} while (0)

/* The id of a number; equal numbers have equal ids. */
static inline void
message_id(uint8_t id[static MESSAGE_ID_SIZE], unsigned number)
{
	memset(id, 0x5a, MESSAGE_ID_SIZE);
	memcpy(id, &number, sizeof number);
}

/* A notice by a client; `text` stays the caller's. */
static inline struct message
notice_of(unsigned number, uint64_t client, const char *text)
{
	struct message message = {
		.kind = MESSAGE_NOTICE,
		.client = client,
		.origin = MESSAGE_BY_CLIENT,
		.sender = SENDER,
		.accepted_ms = START_MS + number,
		.name = wire_span("", 0),
		.text = wire_span_str(text),
	};

	message_id(message.id, number);
	return message;
}

static inline struct message
reply_of(uint64_t session, uint64_t number, uint64_t client, struct wire_span text)
{
	struct message message = {
		.kind = MESSAGE_REPLY,
		.client = client,
		.origin = MESSAGE_BY_RELAY,
		.accepted_ms = START_MS,
		.name = wire_span("", 0),
		.text = text,
	};

	message_reply_id(message.id, session, number);
	return message;
}

#endif
