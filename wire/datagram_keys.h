/*
 * datagram_keys.h - the text of the key file: one `ID KEY` per line, both hexadecimal, 16 and 64
 * digits; blank lines and lines that begin with `#` mean nothing.
 *
 * Nothing is guessed: one bad line refuses the whole text.
 */
#ifndef WIRE_DATAGRAM_KEYS_H
#define WIRE_DATAGRAM_KEYS_H

#include "wire/datagram.h"

#define DATAGRAM_KEYS_MAX 65536
/* Room for the longest text that can hold them, comments aside. */
#define DATAGRAM_KEYS_TEXT_MAX (8u * 1024 * 1024)

#define DATAGRAM_KEYS_FAULTS(X)                                          \
	X(DATAGRAM_KEYS_FINE, "no fault")                                \
	X(DATAGRAM_KEYS_BAD_LINE, "not `ID KEY`")                        \
	X(DATAGRAM_KEYS_BAD_ID, "the id is not 16 hexadecimal digits")   \
	X(DATAGRAM_KEYS_ZERO_ID, "the id is 0")                          \
	X(DATAGRAM_KEYS_BAD_KEY, "the key is not 64 hexadecimal digits") \
	X(DATAGRAM_KEYS_ZERO_KEY, "the key is 0")                        \
	X(DATAGRAM_KEYS_TWICE, "the id is there twice")                  \
	X(DATAGRAM_KEYS_MANY, "more keys than there is room for")        \
	X(DATAGRAM_KEYS_LONG, "the text is longer than allowed")

enum datagram_keys_fault {
#define X(name, text) name,
	DATAGRAM_KEYS_FAULTS(X)
#undef X
};

struct datagram_key {
	uint64_t client;
	uint32_t line; /* of the text, from 1 */
	uint8_t secret[DATAGRAM_KEY_SIZE];
};

const char *datagram_keys_fault_text(enum datagram_keys_fault fault);

/*
 * Fills keys[0 .. *count), sorted by client.  On a fault *count is 0, keys[] is wiped and *line is
 * the line of the fault, the later one of two; 0 if it is in none.
 */
WIRE_MUST_CHECK enum datagram_keys_fault datagram_keys_parse(struct datagram_key *keys, size_t max,
							     size_t *count, struct wire_span text,
							     uint32_t *line);

/* Of keys sorted by client; NULL: unknown. */
const struct datagram_key *datagram_keys_find(const struct datagram_key *keys, size_t count,
					      uint64_t client);

#endif
