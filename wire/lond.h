/*
 * lond.h - how a link to a lond is opened, as a state machine without I/O, and how its cipher key
 * is made.
 *
 *   C->S init | S->C challenge | C->S challenge | S->C ok | [C->S pong | S->C id:..] | C->S ekey |
 * S->C build key
 *
 * Source: gatewayc as observed, loncnew's documented states (which have no pong step).
 */
#ifndef WIRE_LOND_H
#define WIRE_LOND_H

#include "wire/idea.h"
#include "wire/wire.h"

/* A challenge, an ok, a pong reply or a build key longer than this is refused. */
#define LOND_LINE_MAX 4096
/* Room that lond_start and lond_on_line may need in `out` for one step. */
#define LOND_OUT_MAX (LOND_LINE_MAX + 1)

#define LOND_STATES(X)                           \
	X(LOND_NEW, "new")                       \
	X(LOND_WAIT_CHALLENGE, "wait_challenge") \
	X(LOND_WAIT_OK, "wait_ok")               \
	X(LOND_WAIT_PONG, "wait_pong")           \
	X(LOND_WAIT_KEY, "wait_key")             \
	X(LOND_READY, "ready")                   \
	X(LOND_FAILED, "failed")

enum lond_state {
#define X(name, text) name,
	LOND_STATES(X)
#undef X
};

struct lond {
	enum lond_state state;
	bool pong; /* ask for the pong step, as gatewayc did */
};

const char *lond_state_text(enum lond_state state);

/* Begins: appends `init` LF. */
void lond_start(struct lond *lond, bool pong, struct wire_out *out);

/*
 * One line of the peer, without its LF; appends what is to be sent next.  At LOND_READY the line
 * was the build key: *build_key is a view of it (into `line`). WIRE_OK           one step further;
 * look at lond->state. WIRE_BAD_REFUSED  the peer answered something else than `ok`; the state is
 * LOND_FAILED. WIRE_BAD_FORM     the build key was empty; LOND_FAILED. WIRE_BAD_LONG     the line
 * was longer than LOND_LINE_MAX; LOND_FAILED. WIRE_BAD_ORDER    a line after the end; LOND_FAILED.
 */
WIRE_MUST_CHECK enum wire_status lond_on_line(struct lond *lond, struct wire_span line,
					      struct wire_out *out, struct wire_span *build_key);

/*
 * The raw key: K = upper(remote . local) with G..P and Q..Z mapped to 0..9; the first 32 characters
 * of K . B . K . B . K . B packed as Perl's `pack "H32"`, zero filled.  B is taken as given (no LF
 * in it).
 */
void lond_key(uint8_t raw[static IDEA_KEY_SIZE], struct wire_span remote_id,
	      struct wire_span local_id, struct wire_span build_key);

#endif
