/*
 * control_call.h - one request of the control socket while it is being answered: what a verb's
 * handler sees.
 *
 * A handler answers at once with control_answer(), or keeps the call and answers from a later
 * event: a call lives until its last answer.  If its connection ends before that, `gone` is called
 * (when set) and the call must not be used any more.  Nothing here blocks.
 */
#ifndef RELAY_CONTROL_CALL_H
#define RELAY_CONTROL_CALL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"

struct control;

enum control_role {
	CONTROL_ROLE_NONE,
	CONTROL_ROLE_VIEW,
	CONTROL_ROLE_OPERATE,
	CONTROL_ROLE_ADMIN,
};

/* Options of control_verbs.def. */
enum control_option {
	CONTROL_OPTION_MUTATES = 1 << 0, /* --wait, --dry-run, --if-generation */
	CONTROL_OPTION_PAGED = 1 << 1,   /* cursor, page_size */
	CONTROL_OPTION_STREAM = 1 << 2,  /* replies until the client leaves */
	CONTROL_OPTION_SELECTS = 1 << 3, /* --client, --older in place of an argument */
};

struct control_call;
typedef void control_handler(struct control_call *call);

struct control_verb {
	const char *name;
	enum control_role role;
	control_handler *handler;
	const char *arguments;
	unsigned options;
	const char *help;
};

struct control_call {
	struct control *control;
	const struct control_verb *verb;
	const Relay__Control__Request
	    *request; /* valid until the last answer; already checked: the
		       * number of arguments, the options, the generation */
	enum control_role role;
	uint64_t deadline_ms; /* of wait_ms, on child_clock_ms()'s clock; 0 = do not wait */
	void *state;          /* the handler's own, while it keeps the call */
	void (*gone)(struct control_call *call);
	void (*due)(struct control_call *call); /* called once when deadline_ms is over */
};

/*
 * Memory for building one answer; it is freed when the answer was packed.  Bounded: NULL when the
 * answer grows beyond what a frame takes (the call is then answered with LIMIT by
 * control_answer()).
 */
void *control_alloc(struct control_call *call, size_t size); /* zeroed */
char *control_text(struct control_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A copy in which everything that is not printable UTF-8 has become '?'. */
char *control_clean(struct control_call *call, const char *text);

/*
 * Sends `reply` (id, generation filled in here).  With reply->more the call lives on (streams),
 * else this was its last answer.  False: the connection is gone or full, and so is the call.
 */
bool control_answer(struct control_call *call, Relay__Control__Reply *reply);

/* The last answer, without a body. */
void control_answer_ok(struct control_call *call);
void control_answer_error(struct control_call *call, Relay__Control__Code code, const char *format,
			  ...) __attribute__((format(printf, 3, 4)));

/* By name; NULL = there is none. */
const struct control_verb *control_verb_find(const char *name);

const char *control_role_text(enum control_role role);

#define VERB(name, role, handler, arguments, options, help) \
	void control_do_##handler(struct control_call *call);
#include "relay/control_verbs.def"
#undef VERB

#endif
