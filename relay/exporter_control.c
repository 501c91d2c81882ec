/*
 * exporter_control.c - rounds of questions to the control socket; see exporter_control.h.
 *
 *   OFFLINE -> GREETING -> IDLE <-> ASKING        any -> OFFLINE (it broke, or was late)
 *
 * A round runs in GREETING and ASKING.  One request is open at a time; a connection with an answer
 * outstanding is never used again, so that no answer is taken for another's.  Never blocks: a UNIX
 * socket connects at once or not at all.  Owns the connection and the memory of the answers.
 */
#include "relay/exporter_control.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/control_client.h"
#include "relay/log.h"
#include "wire/control_frame.h"

enum {
	PAGES_MAX = 256,
	PAGE_SIZE = 200, /* asked for; the daemon may give fewer */
	CURSOR_MAX = 256,
	READ_MAX = 256 * 1024, /* at once; libevent's own limit makes ten times the calls */
	REQUEST_MAX = 512,     /* bytes of a request: verb, cursor, numbers */
};

/* Address space; pages are taken as they are used.  4,096 hosts take about a quarter. */
#define ARENA_SIZE ((size_t)64 * 1024 * 1024)
#define IN_MAX     ((size_t)CONTROL_FRAME_MAX + CONTROL_FRAME_HEADER)

static_assert(REQUEST_MAX > CURSOR_MAX + 64, "a request fits its buffer");

enum exporter_state {
	EXPORTER_OFFLINE,
	EXPORTER_GREETING,
	EXPORTER_IDLE,
	EXPORTER_ASKING,
};

/* What is asked, in this order: the first is all that EXPORTER_HEALTH needs. */
static const struct {
	const char *verb;
	Relay__Control__Reply__BodyCase body;
} steps[] = {
	{ "health", RELAY__CONTROL__REPLY__BODY_HEALTH },
	{ "info", RELAY__CONTROL__REPLY__BODY_INFO },
	{ "stats", RELAY__CONTROL__REPLY__BODY_STATS },
};

#define STEP_COUNT (sizeof steps / sizeof steps[0])

struct exporter_control {
	struct event_base *base;
	struct sockaddr_un address;
	enum exporter_state state;
	struct bufferevent *connection;
	struct event *timer;             /* of the round */
	struct exporter_queries asking;  /* of the round */
	struct exporter_queries waiting; /* for the next */
	enum exporter_what what;         /* the round brings */
	size_t step;
	unsigned pages;
	bool reused; /* the round began on a connection that was there */
	uint32_t last_id;
	uint64_t connects;
	struct control_arena arena;
	void *memory;
	struct metrics_daemon daemon; /* what the round has brought so far */
	Relay__Control__HostStats *hosts[EXPORTER_HOSTS_MAX];
	bool answered_last; /* the last round brought something: for the log */
	bool failed_last;
	bool cut; /* there are more hosts than are taken: was logged */
	char error[256];
};

static void begin_round(struct exporter_control *control);

/* It may quote the daemon and goes to logs and clients. */
__attribute__((format(printf, 2, 3))) static const char *
explain(struct exporter_control *control, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(control->error, sizeof control->error, format, list);
	va_end(list);
	for (char *at = control->error; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
	}
	return control->error;
}

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
		answer.daemon = control->daemon;
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
	break_off(control, explain(control, "no answer in time"));
}

/* --- asking ----------------------------------------------------------------------------------- */

static void
send_request(struct exporter_control *control, char *cursor)
{
	Relay__Control__Request request;
	uint8_t frame[CONTROL_FRAME_HEADER + REQUEST_MAX];
	char verb[16];

	relay__control__request__init(&request);
	snprintf(verb, sizeof verb, "%s", steps[control->step].verb);
	request.id = ++control->last_id;
	if (request.id == 0)
		request.id = control->last_id = 1;
	request.verb = verb;
	if (cursor != NULL)
		request.cursor = cursor;
	if (steps[control->step].body == RELAY__CONTROL__REPLY__BODY_STATS)
		request.page_size = PAGE_SIZE;
	size_t len = relay__control__request__pack(&request, frame + CONTROL_FRAME_HEADER);
	control_frame_put_length(frame, len);
	bufferevent_write(control->connection, frame, CONTROL_FRAME_HEADER + len);
}

static void
begin_asking(struct exporter_control *control)
{
	control_arena_init(&control->arena, control->memory, ARENA_SIZE);
	control->daemon = (struct metrics_daemon){ .hosts = control->hosts };
	control->state = EXPORTER_ASKING;
	control->step = 0;
	control->pages = 0;
	send_request(control, NULL);
}

static void on_readable(struct bufferevent *connection, void *context);
static void on_event(struct bufferevent *connection, short events, void *context);

/* NULL, or why not. */
static const char *
connect_to(struct exporter_control *control)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return explain(control, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&control->address, sizeof control->address) != 0) {
		int error = errno;

		close(fd);
		return explain(control, "%s",
			       error == EAGAIN ? "it accepts no connections" : strerror(error));
	}
	control->connection = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (control->connection == NULL) {
		close(fd);
		return explain(control, "out of memory");
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

	control->what = EXPORTER_HEALTH;
	while ((query = TAILQ_FIRST(&control->waiting)) != NULL) {
		TAILQ_REMOVE(&control->waiting, query, entry);
		TAILQ_INSERT_TAIL(&control->asking, query, entry);
		query->list = &control->asking;
		if (query->what > control->what)
			control->what = query->what;
	}
	event_add(control->timer, &limit);
	control->reused = control->state == EXPORTER_IDLE;
	if (control->reused)
		begin_asking(control);
	else
		error = connect_to(control);
	if (error != NULL)
		end_round(control, error);
}

/* --- what comes ------------------------------------------------------------------------------- */

static ProtobufCMessage *
unpack(struct exporter_control *control, const ProtobufCMessageDescriptor *type,
       const uint8_t *bytes, size_t len)
{
	return control_unpack(type, &control->arena, bytes, len);
}

/* A daemon that has too many connections says so instead. */
static void
on_hello(struct exporter_control *control, const uint8_t *bytes, size_t len)
{
	control_arena_init(&control->arena, control->memory, ARENA_SIZE);
	const Relay__Control__Hello *hello = (const Relay__Control__Hello *)unpack(
	    control, &relay__control__hello__descriptor, bytes, len);

	if (hello != NULL && hello->protocol == CONTROL_PROTOCOL) {
		begin_asking(control);
		return;
	}
	if (hello != NULL && hello->protocol > CONTROL_PROTOCOL) {
		break_off(control, explain(control, "it speaks protocol %u, the exporter %d",
					   hello->protocol, CONTROL_PROTOCOL));
		return;
	}
	const Relay__Control__Reply *reply = (const Relay__Control__Reply *)unpack(
	    control, &relay__control__reply__descriptor, bytes, len);
	if (reply != NULL && reply->code != RELAY__CONTROL__CODE__OK)
		break_off(control, explain(control, "%.200s", reply->error));
	else
		break_off(control, explain(control, "it did not say Hello"));
}

/* False: the page has nothing new, so that following it might never end. */
static bool
take_hosts(struct exporter_control *control, const Relay__Control__Stats *stats)
{
	size_t room = EXPORTER_HOSTS_MAX - control->daemon.host_count;
	size_t n = stats->n_host < room ? stats->n_host : room;

	if (n > 0)
		memcpy(control->hosts + control->daemon.host_count, stats->host,
		       n * sizeof(Relay__Control__HostStats *));
	control->daemon.host_count += n;
	return n > 0 || control->pages == 1;
}

/* True: there is another page, which was asked for. */
static bool
take_stats(struct exporter_control *control, const Relay__Control__Reply *reply)
{
	control->pages++;
	if (control->daemon.stats == NULL)
		control->daemon.stats = reply->stats;
	bool grew = take_hosts(control, reply->stats);
	if (reply->next_cursor[0] == '\0')
		return false;
	if (!grew || control->daemon.host_count == EXPORTER_HOSTS_MAX ||
	    control->pages == PAGES_MAX || strlen(reply->next_cursor) > CURSOR_MAX) {
		if (!control->cut)
			log_warning(NULL, "only the first %zu hosts are counted",
				    control->daemon.host_count);
		control->cut = true;
		return false;
	}
	send_request(control, reply->next_cursor);
	return true;
}

static void
on_reply(struct exporter_control *control, const Relay__Control__Reply *reply)
{
	if (reply->id != control->last_id) {
		break_off(control, reply->id == 0
				       ? explain(control, "%.200s", reply->error)
				       : explain(control, "it answered what was not asked"));
		return;
	}
	if (reply->code != RELAY__CONTROL__CODE__OK) {
		control->state = EXPORTER_IDLE;
		end_round(control,
			  explain(control, "%s: %.200s", steps[control->step].verb, reply->error));
		return;
	}
	if (reply->body_case != steps[control->step].body || reply->more) {
		break_off(control, explain(control, "%s: an answer of another kind",
					   steps[control->step].verb));
		return;
	}
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_HEALTH)
		control->daemon.health = reply->health;
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_INFO)
		control->daemon.info = reply->info;
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_STATS && take_stats(control, reply))
		return;
	if (++control->step < STEP_COUNT && control->what == EXPORTER_ALL) {
		send_request(control, NULL);
		return;
	}
	control->state = EXPORTER_IDLE;
	end_round(control, NULL);
}

static void
on_message(struct exporter_control *control, const uint8_t *bytes, size_t len)
{
	if (control->state == EXPORTER_GREETING) {
		on_hello(control, bytes, len);
		return;
	}
	const Relay__Control__Reply *reply = (const Relay__Control__Reply *)unpack(
	    control, &relay__control__reply__descriptor, bytes, len);
	if (reply != NULL)
		on_reply(control, reply);
	else
		break_off(control, explain(control, "%s",
					   control->arena.full ? "its answer is too large"
							       : "its answer is malformed"));
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
		break_off(control, explain(control, "it does not speak the control protocol"));
		return false;
	}
	if (evbuffer_get_length(in) < total)
		return false;
	const uint8_t *bytes = evbuffer_pullup(in, (ev_ssize_t)total);
	if (bytes == NULL) {
		break_off(control, explain(control, "out of memory"));
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
	const char *error = explain(control, "%s",
				    events & BEV_EVENT_EOF ? "it closed the connection"
							   : strerror(EVUTIL_SOCKET_ERROR()));

	(void)connection;
	enum exporter_state before = control->state;
	go_offline(control);
	if (before == EXPORTER_IDLE)
		return;
	/* A connection that was kept may have been dead before: that says nothing of the daemon. */
	if (before == EXPORTER_ASKING && control->reused) {
		control->reused = false;
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
	bool joins = running && what <= control->what;

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
	control->memory = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (control->memory == MAP_FAILED)
		control->memory = NULL;
	bool fits = len > 0 && len < sizeof control->address.sun_path;
	if (control->timer == NULL || control->memory == NULL || !fits) {
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
	if (control->memory != NULL)
		munmap(control->memory, ARENA_SIZE);
	free(control);
}
