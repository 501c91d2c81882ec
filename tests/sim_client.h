/*
 * sim_client.h - a simulated client from inside: what sim_client.c (what it does) and sim_reply.c
 * (what it is told) share.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "tests/sim.h"

enum {
	ASKED_MAX = 32,
	OUT_MAX = 1024 * 1024,
	LINE_ROOM = SIM_LINE_MAX + 64
};

/* A request that this connection waits for. */
struct asked {
	uint32_t number;
	uint64_t end;         /* of the stream, behind its LF */
	uint64_t complete_at; /* when its last byte was in the socket; 0 = not yet */
};

enum phase {
	PHASE_RESTING, /* no connection */
	PHASE_ASKING,
	PHASE_ENDLESS, /* a line without end was sent, con_lost and the end are to come */
	PHASE_HALF,    /* our half is closed */
	PHASE_SILENT,  /* idle, or not reading */
	PHASE_DONE,
};

struct sim_client {
	struct sim *sim;
	unsigned index;
	enum phase phase;
	enum sim_style style;
	struct sim_host *host;
	struct fake_end *end;
	struct uring_timer timer;
	uint64_t began_at;
	uint64_t accepted_at; /* as far as we know */
	uint64_t since;       /* when this phase began */
	uint64_t next;        /* when it asks or writes again */
	uint64_t until;       /* of a phase with a length of its own */

	unsigned to_ask;
	unsigned burst; /* requests that may be open at a time */
	size_t piece;   /* bytes per write and read; 0 = all */
	uint64_t pause; /* between pieces, at most */
	unsigned leave_after;

	struct asked asked[ASKED_MAX];
	unsigned asked_count;
	unsigned answered;
	uint64_t answered_at;
	bool lost_last; /* the line without end was answered */

	uint8_t *out;
	size_t out_len;
	uint64_t queued;
	uint64_t written;
	uint8_t *line; /* what was read of a reply */
	size_t line_len;
};

/* To be looked at no later than then. */
void sim_client_wake(struct sim_client *client, uint64_t at);

/* A moment within the next `most` nanoseconds. */
uint64_t sim_client_soon(struct sim_client *client, uint64_t most);

/* Reads and checks replies.  false = the relay closed the connection. */
bool sim_client_read(struct sim_client *client);

#endif
