/*
 * control_verbs.c - the requests of the control socket: is it one of ours, who may, what is asked
 * and with what; then its handler.
 *
 * Never reads or writes a socket.  Owns the calls under way and the memory of their requests.
 */
#include "relay/control_server.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/log.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_ROOM (64 * 1024) /* of what is unpacked, beyond the message's own length */

#define MUTATES CONTROL_OPTION_MUTATES
#define PAGED   CONTROL_OPTION_PAGED
#define STREAM  CONTROL_OPTION_STREAM
#define SELECTS CONTROL_OPTION_SELECTS

static const struct control_verb verbs[] = {
#define VERB(name_, role_, handler_, arguments_, options_, help_) \
	{ .name = name_,                                          \
	  .role = CONTROL_ROLE_##role_,                           \
	  .handler = control_do_##handler_,                       \
	  .arguments = arguments_,                                \
	  .options = options_,                                    \
	  .help = help_ },
#include "relay/control_verbs.def"
#undef VERB
};

const struct control_verb *
control_verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

const char *
control_role_text(enum control_role role)
{
	switch (role) {
	case CONTROL_ROLE_NONE:
		return "none";
	case CONTROL_ROLE_VIEW:
		return "view";
	case CONTROL_ROLE_OPERATE:
		return "operate";
	case CONTROL_ROLE_ADMIN:
		return "admin";
	}
	return "none";
}

/* --- checks ----------------------------------------------------------------------------------- */

/* What a usage line says is to come. */
struct shape {
	size_t min;
	size_t max;
	bool body;
};

static struct shape
shape_of(const char *arguments)
{
	struct shape shape = { .max = 0 };

	while (*(arguments += strspn(arguments, " ")) != '\0') {
		size_t len = strcspn(arguments, " ");
		bool many = len > 3 && memcmp(arguments + len - 3, "...", 3) == 0;
		if (arguments[0] == '\'' || (len == 4 && memcmp(arguments, "FILE", 4) == 0)) {
			shape.body = true;
		} else {
			shape.min += arguments[0] != '[';
			shape.max += many ? CONTROL_ARGUMENTS_MAX : 1;
		}
		arguments += len;
	}
	if (shape.max > CONTROL_ARGUMENTS_MAX)
		shape.max = CONTROL_ARGUMENTS_MAX;
	return shape;
}

static bool
refuse(struct control_call *call, Relay__Control__Code code, const char *text)
{
	control_answer_error(call, code, "%s: %s", call->request->verb, text);
	return false;
}

static bool
check_options(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;
	unsigned options = call->verb->options;

	if (!(options & MUTATES) &&
	    (request->dry_run || request->if_generation != 0 || request->wait_ms != 0))
		return refuse(call, RELAY__CONTROL__CODE__USAGE,
			      "it changes nothing: no dry run, generation or waiting");
	if (!(options & CONTROL_OPTION_SELECTS) &&
	    (request->client[0] != '\0' || request->older_ms != 0))
		return refuse(call, RELAY__CONTROL__CODE__USAGE,
			      "it takes neither a client nor an age");
	if (!(options & PAGED) && (request->cursor[0] != '\0' || request->page_size != 0))
		return refuse(call, RELAY__CONTROL__CODE__USAGE, "its answer has no pages");
	return true;
}

static bool
check(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;

	if (call->verb == NULL && call->role == CONTROL_ROLE_NONE)
		return refuse(call, RELAY__CONTROL__CODE__DENIED, "you have no role here");
	if (call->verb == NULL)
		return refuse(call, RELAY__CONTROL__CODE__USAGE, "there is no such verb");
	if (call->role < call->verb->role) {
		control_answer_error(call, RELAY__CONTROL__CODE__DENIED,
				     "%s: this needs the role %s, yours is %s", call->verb->name,
				     control_role_text(call->verb->role),
				     control_role_text(call->role));
		return false;
	}
	struct shape shape = shape_of(call->verb->arguments);
	if (request->n_arguments < shape.min || request->n_arguments > shape.max)
		return refuse(call, RELAY__CONTROL__CODE__USAGE,
			      shape.max == 0 ? "it takes no arguments"
					     : "a wrong number of arguments");
	if (request->body.len > 0 && !shape.body)
		return refuse(call, RELAY__CONTROL__CODE__USAGE, "it takes no body");
	if (!check_options(call))
		return false;
	if (request->if_generation != 0 && request->if_generation != call->control->generation) {
		control_answer_error(call, RELAY__CONTROL__CODE__GENERATION_CONFLICT,
				     "the generation is %llu; nothing was done",
				     (unsigned long long)call->control->generation);
		return false;
	}
	return true;
}

/* --- a request -------------------------------------------------------------------------------- */

/* Who changes something is in the log; what a body says is not. */
static void
note_operator(struct control_call *call, uid_t uid)
{
	const Relay__Control__Request *request = call->request;
	const char *about = request->n_arguments > 0 ? request->arguments[0] : "";

	if (call->verb->role == CONTROL_ROLE_VIEW || request->dry_run)
		return;
	log_info(NULL, "operator (uid %lu): %s%s%s", (unsigned long)uid, call->verb->name,
		 about[0] == '\0' ? "" : " ", about);
	control_event(call->control, "operator", NULL, "uid %lu: %s%s%s", (unsigned long)uid,
		      call->verb->name, about[0] == '\0' ? "" : " ", about);
}

/* The arena stands at the start of the memory that it gives out. */
static struct control_arena *
new_arena(struct control_connection *connection, size_t len)
{
	size_t size = sizeof(struct control_arena) + len + REQUEST_ROOM;

	if (!control_server_take(connection, size + sizeof(struct control_pending)))
		return NULL;
	struct control_arena *arena = malloc(size);
	if (arena == NULL)
		control_server_give(connection->server, size + sizeof(struct control_pending));
	else
		control_arena_init(arena, arena, size);
	if (arena != NULL)
		arena->used = (sizeof *arena + alignof(max_align_t) - 1) / alignof(max_align_t) *
			      alignof(max_align_t);
	return arena;
}

static void
no_room(struct control_connection *connection)
{
	control_connection_refuse(connection, RELAY__CONTROL__CODE__LIMIT,
				  "no memory for the request");
}

void
control_request(struct control_connection *connection, const uint8_t *bytes, size_t len)
{
	struct control_server *server = connection->server;
	struct control_arena *arena = new_arena(connection, len);
	struct control_pending *pending = arena == NULL ? NULL : calloc(1, sizeof *pending);

	if (pending == NULL) {
		if (arena != NULL)
			control_server_give(server, arena->size + sizeof *pending);
		free(arena);
		no_room(connection);
		return;
	}
	const Relay__Control__Request *request = (const Relay__Control__Request *)control_unpack(
	    &relay__control__request__descriptor, arena, bytes, len);
	if (request == NULL || request->id == 0) {
		control_server_give(server, arena->size + sizeof *pending);
		free(arena);
		free(pending);
		control_connection_refuse(connection, RELAY__CONTROL__CODE__MALFORMED,
					  request == NULL ? "it is no request"
							  : "the request has no id");
		return;
	}
	*pending = (struct control_pending){
		.connection = connection,
		.request_memory = arena,
		.call = { .control = server->control,
			  .verb = control_verb_find(request->verb),
			  .request = request,
			  .role = connection->role,
			  .deadline_ms =
			      request->wait_ms == 0 ? 0 : child_clock_ms() + request->wait_ms },
	};
	TAILQ_INSERT_TAIL(&connection->calls, pending, entry);
	connection->calls_count++;
	if (!check(&pending->call))
		return;
	note_operator(&pending->call, connection->uid);
	pending->call.verb->handler(&pending->call);
}

/* --- times and ends --------------------------------------------------------------------------- */

uint64_t
control_calls_deadline(const struct control_connection *connection)
{
	const struct control_pending *pending;
	uint64_t next = UINT64_MAX;

	TAILQ_FOREACH(pending, &connection->calls, entry) {
		uint64_t at = pending->call.deadline_ms;
		if (at != 0 && at < next)
			next = at;
	}
	return next;
}

void
control_calls_due(struct control_connection *connection, uint64_t now_ms)
{
	struct control_pending *pending;
	struct control_pending *next;

	for (pending = TAILQ_FIRST(&connection->calls); pending != NULL; pending = next) {
		next = TAILQ_NEXT(pending, entry);
		if (pending->call.deadline_ms == 0 || pending->call.deadline_ms > now_ms)
			continue;
		pending->call.deadline_ms = 0;
		if (pending->call.due != NULL)
			pending->call.due(&pending->call);
		else
			control_answer_error(&pending->call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
					     "it is not done yet");
	}
}

bool
control_calls_stream(const struct control_connection *connection)
{
	const struct control_pending *pending;

	TAILQ_FOREACH(pending, &connection->calls, entry) {
		if (pending->call.verb->options & STREAM)
			return true;
	}
	return false;
}

void
control_calls_end(struct control_connection *connection)
{
	struct control_pending *pending, *next;

	for (pending = TAILQ_FIRST(&connection->calls); pending != NULL; pending = next) {
		next = TAILQ_NEXT(pending, entry);
		if (pending->call.gone != NULL)
			pending->call.gone(&pending->call);
		control_call_end(pending);
	}
}

void
control_calls_deny(struct control_connection *connection)
{
	struct control_pending *pending;
	struct control_pending *next;

	for (pending = TAILQ_FIRST(&connection->calls); pending != NULL; pending = next) {
		next = TAILQ_NEXT(pending, entry);
		if ((pending->call.verb->options & STREAM) &&
		    pending->call.verb->role > connection->role)
			control_answer_error(&pending->call, RELAY__CONTROL__CODE__DENIED,
					     "%s: your role is %s by now", pending->call.verb->name,
					     control_role_text(connection->role));
	}
}

void
control_calls_stop(struct control_connection *connection)
{
	struct control_pending *pending;
	struct control_pending *next;

	for (pending = TAILQ_FIRST(&connection->calls); pending != NULL; pending = next) {
		next = TAILQ_NEXT(pending, entry);
		if (pending->call.verb->handler == control_do_stop)
			control_answer_ok(&pending->call);
	}
}
