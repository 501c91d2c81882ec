/*
 * notice.h - notices: one-way messages to a client, in the three forms in which they travel
 * (DATAGRAM.md, "Notices").
 *
 *   encoded     from relay to client and back, in channels, in the store
 *   text        one datagram to the webpager socket, easily written by a shell
 *   original    the webpager datagram of IServerd
 *
 * Source of the original form: README/wwp-format.txt and utils/webpager.cpp of IServerd.
 */
#ifndef WIRE_NOTICE_H
#define WIRE_NOTICE_H

#include "wire/wire.h"

#define NOTICE_ID_SIZE    16
#define NOTICE_HEAD_SIZE  48
#define NOTICE_TEXT_MAX   8192
#define NOTICE_SENDER_MAX 64
#define NOTICE_MAIL_MAX   64
/* Room for any encoded notice, and for any datagram to the webpager socket. */
#define NOTICE_SIZE_MAX (NOTICE_HEAD_SIZE + NOTICE_SENDER_MAX + NOTICE_MAIL_MAX + NOTICE_TEXT_MAX)
#define NOTICE_PAGE_MAX (NOTICE_TEXT_MAX + 1024)
/* Bounds of the original; its strings' NULs are not counted. */
#define NOTICE_ORIGINAL_MAIL_MAX 64
#define NOTICE_ORIGINAL_NAME_MAX 32
#define NOTICE_ORIGINAL_TEXT_MAX 450
/* Room for either answer to a sender. */
#define NOTICE_ANSWER_MAX 64

#define NOTICE_ORIGINS(X)                                                            \
	X(NOTICE_OF_CLIENT, 1, "client")     /* `from` says which */                 \
	X(NOTICE_OF_WEBPAGER, 2, "webpager") /* its sender may have named himself */ \
	X(NOTICE_OF_ORIGINAL, 3, "original") /* webpager, in the original's form */

enum notice_origin {
#define X(origin, number, name) origin = (number),
	NOTICE_ORIGINS(X)
#undef X
};

#define NOTICE_FAULTS(X)                                                     \
	X(NOTICE_FINE, "fine")                                               \
	/* of the form */                                                    \
	X(NOTICE_MALFORMED, "malformed")                                     \
	X(NOTICE_TOO_LONG, "too_long")                                       \
	X(NOTICE_EMPTY, "empty_text")                                        \
	X(NOTICE_NO_TARGET, "no_target")                                     \
	X(NOTICE_BAD_TARGET, "bad_target")                                   \
	X(NOTICE_BAD_ID, "bad_id")                                           \
	X(NOTICE_BAD_SENDER, "bad_sender")                                   \
	X(NOTICE_NUL, "nul_byte")                                            \
	X(NOTICE_UNKNOWN_FIELD, "unknown_field")                             \
	X(NOTICE_TWICE, "field_twice")                                       \
	/* of what is done with it: said by others, answered by this file */ \
	X(NOTICE_NOT_ALLOWED, "not_allowed")                                 \
	X(NOTICE_UNKNOWN_CLIENT, "unknown_client")                           \
	X(NOTICE_STORE_FULL, "store_full")                                   \
	X(NOTICE_STORE_FAILED, "store_failed")

enum notice_fault {
#define X(name, text) name,
	NOTICE_FAULTS(X)
#undef X
};

struct notice {
	uint8_t id[NOTICE_ID_SIZE]; /* all zeros: none was given, the relay makes one */
	uint64_t to;
	uint64_t from;    /* client; 0 if not OF_CLIENT */
	uint64_t time_ms; /* since 1970, when the relay took it; 0: not yet */
	enum notice_origin origin;
	struct wire_span sender; /* may be empty; never with LF or NUL */
	struct wire_span mail;   /* of OF_ORIGINAL, may be empty */
	struct wire_span text;   /* 1 to NOTICE_TEXT_MAX bytes without NUL */
};

/* A word, also the REASON of `refused REASON`.  Never NULL. */
const char *notice_fault_name(enum notice_fault fault);

bool notice_has_id(const struct notice *notice);

/* --- encoded */

size_t notice_size(const struct notice *notice);

/* On anything but NOTICE_FINE *notice is untouched; all in it are views of `bytes`. */
WIRE_MUST_CHECK enum notice_fault notice_get(struct notice *notice, struct wire_span bytes);

/* Appends notice_size() bytes.  NOTICE_FINE, or which rule the notice breaks: nothing written. */
WIRE_MUST_CHECK enum notice_fault notice_put(struct wire_out *out, const struct notice *notice);

/* --- to the webpager socket */

/* A datagram of either form, told apart by its first byte.  As notice_get(). */
WIRE_MUST_CHECK enum notice_fault notice_page_get(struct notice *notice, struct wire_span bytes);

/* The form in text, for who sends it. */
WIRE_MUST_CHECK enum notice_fault notice_page_put(struct wire_out *out,
						  const struct notice *notice);

/* The answers: `ok ID` and `refused REASON`, each with a LF; at most NOTICE_ANSWER_MAX bytes. */
void notice_put_ok(struct wire_out *out, const uint8_t id[static NOTICE_ID_SIZE]);
void notice_put_refused(struct wire_out *out, enum notice_fault reason);

/* Takes an answer apart: true and the id, or false and the reason (view; empty: no answer at all).
 */
bool notice_answer_get(uint8_t id[static NOTICE_ID_SIZE], struct wire_span *reason,
		       struct wire_span answer);

#endif
