/*
 * exporter_control.c - rounds of questions to the control socket; see exporter_control.h.
 *
 *   OFFLINE -> GREETING -> IDLE <-> ASKING        any -> OFFLINE (it broke, or was late)
 *
 * A round runs in GREETING and ASKING.  One request is open at a time; a connection with an answer
 * outstanding is never used again, so that no answer is taken for another's.  Never blocks: a UNIX
 * socket connects at once or not at all.  Owns the connection.
 */
#include "relay/exporter_control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/exporter_round.h"
#include "relay/log.h"
#include "wire/control_frame.h"

enum {
	READ_MAX = 256 * 1024, /* at once; libevent's own limit makes ten times the calls */
};

#define IN_MAX ((size_t)CONTROL_FRAME_MAX + CONTROL_FRAME_HEADER)

enum exporter_state {
	EXPORTER_OFFLINE,
	EXPORTER_GREETING,
	EXPORTER_IDLE,
	EXPORTER_ASKING,
};

struct exporter_control {
	struct event_base *base;
	struct sockaddr_un address;
	enum exporter_state state;
	struct bufferevent *connection;
	struct event *timer;             /* of the round */
	struct exporter_queries asking;  /* of the round */
	struct exporter_queries waiting; /* for the next */
	bool reused;                     /* the round began on a connection that was there */
	uint64_t connects;
	bool answered_last; /* the last round brought something: for the log */
	bool failed_last;
	struct exporter_round round;
};

static void begin_round(struct exporter_control *control);

/* --- the end of rounds ------------------------------------------------------------------------ */

static void
go_offline(struct exporter_control *control)
{
	if (control->connection != NULL)
		bufferevent_free(control->connection);
	control->connection = NULL;
	control->state = EXPORTER_OFFLINE;
}

static void
finish(struct exporter_query *query, const struct exporter_answer *answer)
{
	TAILQ_REMOVE(query->list, query, entry);
	query->list = NULL;
	if (query->timer != NULL)
		event_free(query->timer);
	query->timer = NULL;
	query->done(query, answer);
}

static void
finish_all(struct exporter_queries *queries, const struct exporter_answer *answer)
{
	struct exporter_query *query;

	while ((query = TAILQ_FIRST(queries)) != NULL)
		finish(query, answer);
}

/* Once when it begins to fail, once when it is well again. */
static void
log_change(struct exporter_control *control, const char *error)
{
	if (error != NULL && !control->failed_last)
		log_warning(NULL, "%s cannot be asked: %s", control->address.sun_path, error);
	else if (error == NULL && !control->answered_last)
		log_info(NULL, "%s answers", control->address.sun_path);
	control->failed_last = error != NULL;
	control->answered_last = error == NULL;
}

/* The connection is already OFFLINE or IDLE. */
static void
end_round(struct exporter_control *control, const char *error)
{
	struct exporter_answer answer = { .error = error };

	event_del(control->timer);
	log_change(control, error);
	if (error == NULL)
		answer.daemon = control->round.daemon;
	finish_all(&control->asking, &answer);
	if (!TAILQ_EMPTY(&control->waiting))
		begin_round(control);
}

static void
break_off(struct exporter_control *control, const char *error)
{
	go_offline(control);
	end_round(control, error);
}

static void
on_round_late(evutil_socket_t fd, short events, void *context)
{
	struct exporter_control *control = context;

	(void)fd, (void)events;
	break_off(control, exporter_round_explain(&control->round, "no answer in time"));
}

/* --- asking ----------------------------------------------------------------------------------- */

static void
send_request(struct exporter_control *control)
{
	uint8_t frame[CONTROL_FRAME_HEADER + EXPORTER_REQUEST_MAX];
	size_t len = exporter_round_request(&control->round, frame + CONTROL_FRAME_HEADER);

	control_frame_put_length(frame, len);
	bufferevent_write(control->connection, frame, CONTROL_FRAME_HEADER + len);
}

static void on_readable(struct bufferevent *connection, void *context);
static void on_event(struct bufferevent *connection, short events, void *context);

/* NULL, or why not. */
static const char *
connect_to(struct exporter_control *control)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return exporter_round_explain(&control->round, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&control->address, sizeof control->address) != 0) {
		int error = errno;

		close(fd);
		return exporter_round_explain(&control->round, "%s",
					      error == EAGAIN ? "it accepts no connections"
							      : strerror(error));
	}
	control->connection = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (control->connection == NULL) {
		close(fd);
		return exporter_round_explain(&control->round, "out of memory");
	}
	control->connects++;
	control->state = EXPORTER_GREETING;
	bufferevent_setcb(control->connection, on_readable, NULL, on_event, control);
	bufferevent_setwatermark(control->connection, EV_READ, 0, IN_MAX);
	bufferevent_set_max_single_read(control->connection, READ_MAX);
	bufferevent_enable(control->connection, EV_READ | EV_WRITE);
	return NULL;
}

/* All that wait take part; the most wanted is asked for. */
static void
begin_round(struct exporter_control *control)
{
	static const struct timeval limit = { EXPORTER_TIMEOUT_MS / 1000,
					      EXPORTER_TIMEOUT_MS % 1000 * 1000 };
	struct exporter_query *query;
	const char *error = NULL;

	exporter_round_begin(&control->round);
	control->round.what = EXPORTER_HEALTH;
	while ((query = TAILQ_FIRST(&control->waiting)) != NULL) {
		TAILQ_REMOVE(&control->waiting, query, entry);
		TAILQ_INSERT_TAIL(&control->asking, query, entry);
		query->list = &control->asking;
		if (query->what > control->round.what)
			control->round.what = query->what;
	}
	event_add(control->timer, &limit);
	control->reused = control->state == EXPORTER_IDLE;
	if (control->reused) {
		control->state = EXPORTER_ASKING;
		send_request(control);
	} else {
		error = connect_to(control);
	}
	if (error != NULL)
		end_round(control, error);
}

/* --- what comes ------------------------------------------------------------------------------- */

static void
on_message(struct exporter_control *control, const uint8_t *bytes, size_t len)
{
	struct exporter_round *round = &control->round;
	bool greeted = control->state == EXPORTER_ASKING;

	switch (greeted ? exporter_round_reply(round, bytes, len)
			: exporter_round_hello(round, bytes, len)) {
	case EXPORTER_MORE:
		control->state = EXPORTER_ASKING;
		send_request(control);
		return;
	case EXPORTER_DONE:
		control->state = EXPORTER_IDLE;
		end_round(control, NULL);
		return;
	case EXPORTER_REFUSED:
		control->state = EXPORTER_IDLE;
		end_round(control, round->error);
		return;
	case EXPORTER_BROKEN:
		break_off(control, round->error);
		return;
	}
}

/* False: no whole frame is there. */
static bool
take_frame(struct exporter_control *control)
{
	struct evbuffer *in = bufferevent_get_input(control->connection);
	uint8_t header[CONTROL_FRAME_HEADER];
	ev_ssize_t got = evbuffer_copyout(in, header, sizeof header);
	size_t total;

	if (got != (ev_ssize_t)sizeof header)
		return false;
	(void)control_frame_look(header, sizeof header, CONTROL_FRAME_MAX, &total);
	size_t len = total - CONTROL_FRAME_HEADER;
	if (len == 0) { /* too long, or empty */
		break_off(control, exporter_round_explain(
				       &control->round, "it does not speak the control protocol"));
		return false;
	}
	if (evbuffer_get_length(in) < total)
		return false;
	const uint8_t *bytes = evbuffer_pullup(in, (ev_ssize_t)total);
	if (bytes == NULL) {
		break_off(control, exporter_round_explain(&control->round, "out of memory"));
		return false;
	}
	/* What is unpacked is copied; the frame must be gone before anything new is asked. */
	uint32_t connects = (uint32_t)control->connects;
	on_message(control, bytes + CONTROL_FRAME_HEADER, len);
	if (control->connection == NULL || (uint32_t)control->connects != connects)
		return false;
	evbuffer_drain(in, total);
	return control->state != EXPORTER_IDLE;
}

static void
on_readable(struct bufferevent *connection, void *context)
{
	struct exporter_control *control = context;

	if (control->state == EXPORTER_IDLE) {
		log_warning(NULL, "%s speaks without being asked", control->address.sun_path);
		go_offline(control);
		return;
	}
	while (control->connection == connection && take_frame(control))
		continue;
}

static void
on_event(struct bufferevent *connection, short events, void *context)
{
	struct exporter_control *control = context;
	const char *error = exporter_round_explain(
	    &control->round, "%s",
	    events & BEV_EVENT_EOF ? "it closed the connection" : strerror(EVUTIL_SOCKET_ERROR()));

	(void)connection;
	enum exporter_state before = control->state;
	go_offline(control);
	if (before == EXPORTER_IDLE)
		return;
	/* A connection that was kept may have been dead before: that says nothing of the daemon. */
	if (before == EXPORTER_ASKING && control->reused) {
		control->reused = false;
		exporter_round_begin(&control->round);
		error = connect_to(control);
		if (error == NULL)
			return;
	}
	end_round(control, error);
}

/* --- queries ---------------------------------------------------------------------------------- */

static void
on_query_late(evutil_socket_t fd, short events, void *context)
{
	static const struct exporter_answer late = { .error = "no answer in time" };

	(void)fd, (void)events;
	finish(context, &late);
}

void
exporter_control_ask(struct exporter_control *control, struct exporter_query *query,
		     enum exporter_what what, exporter_done *done)
{
	static const struct timeval limit = { EXPORTER_TIMEOUT_MS / 1000,
					      EXPORTER_TIMEOUT_MS % 1000 * 1000 };
	static const struct exporter_answer no_memory = { .error = "out of memory" };
	bool running = control->state == EXPORTER_GREETING || control->state == EXPORTER_ASKING;
	bool joins = running && what <= control->round.what;

	query->control = control;
	query->what = what;
	query->done = done;
	query->list = joins ? &control->asking : &control->waiting;
	TAILQ_INSERT_TAIL(query->list, query, entry);
	query->timer = evtimer_new(control->base, on_query_late, query);
	if (query->timer == NULL || evtimer_add(query->timer, &limit) != 0)
		finish(query, &no_memory);
	else if (!running)
		begin_round(control);
}

bool
exporter_control_keeper_lives(const struct exporter_control *control)
{
	return control->round.keeper_pid != 0 && (uint32_t)getppid() == control->round.keeper_pid;
}

uint64_t
exporter_control_connects(const struct exporter_control *control)
{
	return control->connects;
}

/* --- life ------------------------------------------------------------------------------------- */

struct exporter_control *
exporter_control_new(struct event_base *base, const char *path)
{
	struct exporter_control *control = calloc(1, sizeof *control);
	size_t len = strlen(path);

	if (control == NULL)
		return NULL;
	control->base = base;
	TAILQ_INIT(&control->asking);
	TAILQ_INIT(&control->waiting);
	control->timer = evtimer_new(base, on_round_late, control);
	bool room = exporter_round_init(&control->round);
	bool fits = len > 0 && len < sizeof control->address.sun_path;
	if (control->timer == NULL || !room || !fits) {
		int error = fits ? ENOMEM : ENAMETOOLONG;

		exporter_control_free(control);
		errno = error;
		return NULL;
	}
	control->address.sun_family = AF_UNIX;
	memcpy(control->address.sun_path, path, len);
	return control;
}

void
exporter_control_free(struct exporter_control *control)
{
	static const struct exporter_answer over = { .error = "the exporter ends" };

	if (control == NULL)
		return;
	go_offline(control);
	finish_all(&control->asking, &over);
	finish_all(&control->waiting, &over);
	if (control->timer != NULL)
		event_free(control->timer);
	exporter_round_fini(&control->round);
	free(control);
}
