/*
 * exporter_round.h - what one round of questions has brought so far: replies, their memory, the
 * hosts of all pages.
 *
 * Knows no connection: bytes of a message come in, what is to be asked next goes out.  Bounded in
 * all: the memory that messages unpack to, pages, hosts; pages of which nothing is kept use the
 * same memory one after the other.
 */
#ifndef RELAY_EXPORTER_ROUND_H
#define RELAY_EXPORTER_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/metrics.h"
#include "wire/control_frame.h"

/* Hosts that may have rows of their own; those behind are only summed. */
#define EXPORTER_HOSTS_MAX 4096

/* A request of ours, packed; the longest cursor that is followed. */
#define EXPORTER_REQUEST_MAX 512
#define EXPORTER_CURSOR_MAX  256

/* More brings what less does. */
enum exporter_what {
	EXPORTER_HEALTH, /* health */
	EXPORTER_ALL,    /* health, info, stats */
};

enum exporter_progress {
	EXPORTER_MORE,    /* exporter_round_request() says what to ask next */
	EXPORTER_DONE,    /* round->daemon is complete */
	EXPORTER_REFUSED, /* round->error; the connection may go on */
	EXPORTER_BROKEN,  /* round->error; nothing more can be made of this connection */
};

struct exporter_round {
	struct metrics_daemon daemon;
	enum exporter_what what;
	size_t step;
	unsigned pages;
	uint32_t last_id;
	uint32_t keeper_pid;                  /* as the last Hello said; 0 = there was none */
	char cursor[EXPORTER_CURSOR_MAX + 1]; /* of the page to ask for, "" = the first */
	bool cut;                             /* there were more hosts than came: was logged */
	char error[256];                      /* printable */
	struct control_arena arena;
	void *memory;
	struct metrics_rest rest;
	Relay__Control__HostStats *hosts[EXPORTER_HOSTS_MAX];
};

/* False: no memory. */
bool exporter_round_init(struct exporter_round *round);
void exporter_round_fini(struct exporter_round *round);

/* Forgets what the last one brought. */
void exporter_round_begin(struct exporter_round *round);

/* Packs the next request; returns its length. */
size_t exporter_round_request(struct exporter_round *round, uint8_t out[EXPORTER_REQUEST_MAX]);

/* The first message of a connection: MORE if it is a Hello. */
enum exporter_progress exporter_round_hello(struct exporter_round *round, const uint8_t *bytes,
					    size_t len);

/* The answer to the request that was packed last. */
enum exporter_progress exporter_round_reply(struct exporter_round *round, const uint8_t *bytes,
					    size_t len);

/* Sets round->error, without what is not printable, and returns it. */
const char *exporter_round_explain(struct exporter_round *round, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
