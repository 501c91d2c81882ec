/*
 * peer_options.h - the command line of relay-peer.
 */
#ifndef BENCH_PEER_OPTIONS_H
#define BENCH_PEER_OPTIONS_H

#include "bench/peer_tricks.h"
#include "bench/protocol.h"

#include <sys/socket.h>

/* What a handshake may run into.  X(name, text, help) */
#define PEER_REFUSALS(X)                                                           \
	X(REFUSE_NOTHING, "nothing", "an ordinary handshake")                      \
	X(REFUSE_NO, "no", "`no` instead of `ok`, then closes")                    \
	X(REFUSE_CLOSE, "close", "closes at init")                                 \
	X(REFUSE_SILENCE, "silence", "never answers init")                         \
	X(REFUSE_GARBAGE, "garbage", "answers init with 1 MB of noise without LF") \
	X(REFUSE_LONG, "long-challenge", "a challenge of 64 KiB")                  \
	X(REFUSE_DISORDER, "disorder", "a second line right behind the challenge") \
	X(REFUSE_SILENT_OK, "silent-ok", "never answers the echoed challenge")     \
	X(REFUSE_CLOSE_OK, "close-ok", "closes right after `ok`")                  \
	X(REFUSE_EMPTY_KEY, "empty-key", "answers ekey with an empty line")        \
	X(REFUSE_SILENT_KEY, "silent-key", "never answers ekey")                   \
	X(REFUSE_CLOSE_KEY, "close-key", "closes at ekey")

enum refusal {
#define X(name, text, help) name,
	PEER_REFUSALS(X)
#undef X
};

#define PEER_LISTEN_MAX 128

struct peer_listen {
	struct sockaddr_storage address;
	socklen_t len;
};

struct peer_options {
	struct peer_listen listen[PEER_LISTEN_MAX];
	size_t listen_count;
	enum protocol protocol;
	const char *id;
	const char *local;
	const char *challenge; /* NULL: random, per connection */
	const char *build_key; /* NULL: random, per connection */
	const char *transcript;
	struct tricks tricks; /* applied to every request */
	bool prefixes;        /* requests may ask for tricks themselves */
	enum refusal refusal;
	uint64_t refuse_first; /* only so many connections meet it */
	uint64_t rate;         /* requests per second, 0 = no limit */
	uint64_t close_idle_ms;
	uint64_t close_after;
	bool stats;
};

/* Fills *options or ends the program with status 2 and a line that says why (0 after --help). */
void peer_options_parse(struct peer_options *options, int argc, char **argv);

#endif
