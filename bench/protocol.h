/*
 * protocol.h - what client and peer may speak: the peer's end of a relay is not the same for all
 * that are compared.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "wire/wire.h"

/* X(name, text, help) */
#define BENCH_PROTOCOLS(X)                                                               \
	X(PROTOCOL_LOND, "lond", "lines, on TCP behind the handshake of a lond")         \
	X(PROTOCOL_BARE, "bare", "lines and no handshake: for a relay that only copies") \
	X(PROTOCOL_REDIS, "redis", "the same lines as keys and values of redis commands")

enum protocol {
#define X(name, text, help) name,
	BENCH_PROTOCOLS(X)
#undef X
};

/* False if there is none of this name. */
static inline bool
protocol_parse(const char *text, enum protocol *protocol)
{
#define X(name, word, help)              \
	if (strcmp(text, (word)) == 0) { \
		*protocol = name;        \
		return true;             \
	}
	BENCH_PROTOCOLS(X)
#undef X
	return false;
}

static inline const char *
protocol_text(enum protocol protocol)
{
	switch (protocol) {
#define X(name, text, help) \
	case name:          \
		return text;
		BENCH_PROTOCOLS(X)
#undef X
	}
	return "?";
}

#endif
