/*
 * sim_peer.h - a simulated peer from inside: what sim_peer.c (its life), sim_peer_open.c (the
 * handshake) and sim_peer_talk.c (requests and replies) share.
 */
#ifndef TESTS_SIM_PEER_H
#define TESTS_SIM_PEER_H

#include "tests/sim.h"
#include "wire/wire.h"

enum {
	HONEST = -1,
	PENDING_MAX = 64,
	CHALLENGE_MAX = 64,
	READ_SIZE = 4096
};

enum step {
	STEP_INIT,
	STEP_ECHO,
	STEP_EKEY,
	STEP_SERVING,
	STEP_MUTE, /* reads on, says nothing */
};

struct pending {
	uint32_t number;
	uint64_t since;
	uint64_t due;
};

struct sim_peer {
	LIST_ENTRY(sim_peer) entry;
	struct sim *sim;
	struct sim_host *host;
	struct fake_end *end;
	uint32_t serial;
	enum step step;
	int fault;
	unsigned fault_at; /* requests that are served well before */
	bool deaf;         /* reads no more */
	uint64_t act_at;   /* when a deaf or idle one closes; 0 = never */
	size_t piece;      /* bytes per write; 0 = all */
	struct idea_key key;
	uint8_t challenge[CHALLENGE_MAX];
	size_t challenge_len;

	uint8_t *in; /* no whole line yet */
	size_t in_len;
	uint64_t read_total;
	uint8_t *out; /* not yet written */
	size_t out_len;
	uint64_t written;
	struct pending pending[PENDING_MAX];
	unsigned pending_count;
	unsigned served;
	bool farewell; /* it was told `exit` */

	uint64_t given;       /* of the relay, as last seen */
	uint64_t quiet_given; /* when the unasked line was written: all of it was answered */
	uint64_t extra_end;   /* of our stream, behind the unasked line; 0 = there is none */
	bool caught;   /* the relay has it and had asked nothing: it must let go of the link */
	bool confused; /* the relay may have taken it for the reply to a new request */
	struct uring_timer timer;
};

/* To be looked at no later than then. */
void sim_peer_wake(struct sim_peer *peer, uint64_t at);

/* Counts that its fault has struck. */
void sim_peer_struck(struct sim_peer *peer);

/* Reads no more: what the relay sends from now on stays in the socket.  Closes after a while. */
void sim_peer_go_deaf(struct sim_peer *peer);

/* --- sim_peer_open.c -------------------------------------------------------------------------- */

/* A line of the handshake. */
void sim_peer_handshake(struct sim_peer *peer, struct wire_span line);

/* --- sim_peer_talk.c -------------------------------------------------------------------------- */

/* A whole request: checks it, and that no other link had it. */
void sim_peer_request(struct sim_peer *peer, struct wire_span line);

/* A request of which a part came is this link's for ever. */
void sim_peer_note_part(struct sim_peer *peer);

void sim_peer_say(struct sim_peer *peer, const void *bytes, size_t len);

/* A stretch without a LF. */
void sim_peer_say_noise(struct sim_peer *peer, size_t len);
void sim_peer_say_encrypted(struct sim_peer *peer, const uint8_t *plain, size_t len);
void sim_peer_say_reply(struct sim_peer *peer, uint32_t number);

/* An unasked line, or the beginning of one, when nothing is asked: the relay can tell. */
void sim_peer_say_unasked(struct sim_peer *peer, bool whole);

/* Writes of what was said as much as goes, or a piece. */
void sim_peer_write(struct sim_peer *peer);

#endif
