/*
 * exporter_http.c - what is asked over HTTP and how it is answered; see exporter_http.h.
 *
 * evhttp has no bound for connections, nor for how long one may dribble: each connection's
 * bufferevent is held by a reference of ours, which shows when evhttp has let go of it, and what is
 * too old is ended.  Owns the listener, the connections and the requests that wait for the daemon.
 */
#include "relay/exporter_http.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/child.h"
#include "relay/exporter_control.h"
#include "relay/exporter_process.h"
#include "relay/log.h"
#include "relay/sandbox.h"

enum {
	CONNECTIONS_MAX = 32,
	SCRAPES_MAX = 4,
	HEADERS_MAX = 8 * 1024,
	IN_MAX = 16 * 1024,    /* received and not yet looked at */
	OUT_MAX = 1024 * 1024, /* sent at once */
	IDLE_S = 5,            /* between two bytes */
	LIFE_MS = 10 * 1000,
	SWEEP_MS = 100,
};

/* 200 hosts with ids of the greatest length and the most bounds take less. */
#define TEXT_MAX ((size_t)16 * 1024 * 1024)

#define TEXT_PLAIN   "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct connection {
	struct bufferevent *bufferevent; /* NULL = free place */
	uint64_t since_ms;
};

struct exporter_http {
	struct evhttp *evhttp;
	struct evconnlistener *listener; /* evhttp's */
	struct exporter_control *control;
	struct event *sweep;
	struct connection connections[CONNECTIONS_MAX];
	unsigned connection_count;
	unsigned scrapes; /* from the request until the text has left */
	struct metrics_self self;
	struct exporter_process process;
	struct metrics_hosts rows;
};

/* A request that waits for the daemon. */
struct asked {
	struct exporter_query query;
	struct exporter_http *http;
	struct evhttp_request *request;
};

/* --- connections ------------------------------------------------------------------------------ */

static void
release(struct exporter_http *http, struct connection *connection)
{
	bufferevent_decref(connection->bufferevent);
	connection->bufferevent = NULL;
	http->connection_count--;
	evconnlistener_enable(http->listener);
}

static void
on_sweep(evutil_socket_t fd, short events, void *context)
{
	static const struct timeval again = { 0, SWEEP_MS * 1000 };
	struct exporter_http *http = context;
	uint64_t now = child_clock_ms();

	(void)fd, (void)events;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &http->connections[i];
		bufferevent_event_cb callback;

		if (connection->bufferevent == NULL)
			continue;
		if (now - connection->since_ms >= LIFE_MS)
			bufferevent_trigger_event(connection->bufferevent,
						  BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
		bufferevent_getcb(connection->bufferevent, NULL, NULL, &callback, NULL);
		if (callback == NULL)
			release(http, connection);
	}
	if (http->connection_count > 0)
		evtimer_add(http->sweep, &again);
	sandbox_say_refused();
}

/* Of evhttp, for each connection that it accepts. */
static struct bufferevent *
on_accept(struct event_base *base, void *context)
{
	static const struct timeval soon = { 0, SWEEP_MS * 1000 };
	struct exporter_http *http = context;
	struct bufferevent *bufferevent = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	size_t i = 0;

	if (bufferevent == NULL)
		return NULL;
	/* The listener rests while no place is free. */
	assert(http->connection_count < CONNECTIONS_MAX);
	while (http->connections[i].bufferevent != NULL)
		i++;
	http->connections[i] = (struct connection){ bufferevent, child_clock_ms() };
	bufferevent_incref(bufferevent);
	bufferevent_setwatermark(bufferevent, EV_READ, 0, IN_MAX);
	bufferevent_set_max_single_write(bufferevent, OUT_MAX);
	if (http->connection_count++ == 0)
		evtimer_add(http->sweep, &soon);
	if (http->connection_count == CONNECTIONS_MAX)
		evconnlistener_disable(http->listener);
	return bufferevent;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* HEAD gets the head alone. */
static void
reply(struct evhttp_request *request, int code, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	char length[24];

	snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(body, evbuffer_get_length(body));
	evhttp_send_reply(request, code, NULL, body);
	evbuffer_free(body);
}

static void
reply_text(struct evhttp_request *request, int code, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body == NULL) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	evbuffer_add_printf(body, "%s\n", text);
	reply(request, code, TEXT_PLAIN, body);
}

static void
on_text_left(const void *bytes, size_t len, void *context)
{
	struct exporter_http *http = context;

	(void)len;
	free((void *)(uintptr_t)bytes);
	http->scrapes--;
}

/* Gives the text away. */
static void
reply_metrics(struct asked *asked, struct metrics_text *text)
{
	struct exporter_http *http = asked->http;
	struct evbuffer *body = evbuffer_new();

	if (text->full || body == NULL ||
	    evbuffer_add_reference(body, text->bytes, text->len, on_text_left, http) != 0) {
		log_error(NULL, "the metrics are too large: %zu bytes", text->len);
		metrics_text_fini(text);
		http->scrapes--;
		if (body != NULL)
			evbuffer_free(body);
		reply_text(asked->request, HTTP_INTERNAL, "the metrics are too large");
		return;
	}
	reply(asked->request, HTTP_OK, TEXT_METRICS, body);
}

static void
on_metrics(struct exporter_query *query, const struct exporter_answer *answer)
{
	struct asked *asked = (struct asked *)(void *)query;
	struct exporter_http *http = asked->http;
	struct metrics_text text;

	http->self.scrapes++;
	if (answer->error != NULL)
		http->self.scrapes_failed++;
	http->self.control_connects = exporter_control_connects(http->control);
	exporter_process_read(&http->process, &http->self);
	metrics_text_init(&text, TEXT_MAX);
	metrics_write(&text, &http->rows, &answer->daemon, &http->self);
	reply_metrics(asked, &text);
	free(asked);
}

/* Why not, for who looks at a probe that fails. */
static void
reply_health(struct asked *asked, bool good, const struct exporter_answer *answer)
{
	const Relay__Control__Health *health = answer->daemon.health;
	struct evbuffer *body = evbuffer_new();

	if (body == NULL) {
		evhttp_send_error(asked->request, HTTP_INTERNAL, NULL);
		return;
	}
	if (health == NULL)
		evbuffer_add_printf(body, "unreachable\n%s\n", answer->error);
	else
		evbuffer_add_printf(body, "%s\n", health->status);
	for (size_t i = 0; health != NULL && i < health->n_reason; i++)
		evbuffer_add_printf(body, "%s\n", health->reason[i]);
	reply(asked->request, good ? HTTP_OK : HTTP_SERVUNAVAIL, TEXT_PLAIN, body);
}

static void
on_live(struct exporter_query *query, const struct exporter_answer *answer)
{
	struct asked *asked = (struct asked *)(void *)query;

	/* Who restarts what does not live shall not do so while requests are served. */
	reply_health(asked,
		     answer->error == NULL ? answer->daemon.health->live != 0
					   : exporter_control_keeper_lives(asked->http->control),
		     answer);
	free(asked);
}

static void
on_ready(struct exporter_query *query, const struct exporter_answer *answer)
{
	struct asked *asked = (struct asked *)(void *)query;

	reply_health(asked, answer->error == NULL && answer->daemon.health->ready, answer);
	free(asked);
}

/* --- requests --------------------------------------------------------------------------------- */

static void
ask(struct exporter_http *http, struct evhttp_request *request, enum exporter_what what,
    exporter_done *done)
{
	struct asked *asked;

	if (what == EXPORTER_ALL && http->scrapes == SCRAPES_MAX) {
		http->self.scrapes_refused++;
		evhttp_add_header(evhttp_request_get_output_headers(request), "Retry-After", "1");
		reply_text(request, HTTP_SERVUNAVAIL, "too many scrapes at once");
		return;
	}
	asked = calloc(1, sizeof *asked);
	if (asked == NULL) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	asked->http = http;
	asked->request = request;
	if (what == EXPORTER_ALL)
		http->scrapes++;
	exporter_control_ask(http->control, &asked->query, what, done);
}

static void
on_request(struct evhttp_request *request, void *context)
{
	struct exporter_http *http = context;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		reply_text(request, HTTP_BADMETHOD, "GET and HEAD only");
	} else if (path == NULL) {
		reply_text(request, HTTP_BADREQUEST, "no path");
	} else if (strcmp(path, "/metrics") == 0) {
		ask(http, request, EXPORTER_ALL, on_metrics);
	} else if (strcmp(path, "/livez") == 0) {
		ask(http, request, EXPORTER_HEALTH, on_live);
	} else if (strcmp(path, "/readyz") == 0) {
		ask(http, request, EXPORTER_HEALTH, on_ready);
	} else if (strcmp(path, "/") == 0) {
		reply_text(request, HTTP_OK, "relay-exporter: /metrics /livez /readyz");
	} else {
		reply_text(request, HTTP_NOTFOUND, "there are /metrics, /livez and /readyz");
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static bool
listen_on(struct exporter_http *http, struct event_base *base, int fd)
{
	/* Listens already; evhttp sets the callback. */
	http->listener = evconnlistener_new(base, NULL, NULL,
					    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (http->listener == NULL)
		return false;
	if (evhttp_bind_listener(http->evhttp, http->listener) != NULL)
		return true;
	evconnlistener_free(http->listener);
	return false;
}

struct exporter_http *
exporter_http_new(struct event_base *base, struct exporter_control *control, int fd)
{
	struct exporter_http *http = calloc(1, sizeof *http);

	if (http == NULL)
		return NULL;
	metrics_hosts_init(&http->rows);
	http->control = control;
	http->self.start_us = exporter_process_now_us();
	exporter_process_open(&http->process);
	http->sweep = evtimer_new(base, on_sweep, http);
	http->evhttp = evhttp_new(base);
	if (http->sweep == NULL || http->evhttp == NULL) {
		exporter_http_close(http);
		exporter_http_free(http);
		return NULL;
	}
	evhttp_set_max_headers_size(http->evhttp, HEADERS_MAX);
	evhttp_set_max_body_size(http->evhttp, 0);
	evhttp_set_timeout(http->evhttp, IDLE_S);
	/* All that evhttp knows, so that it is we who refuse. */
	evhttp_set_allowed_methods(http->evhttp, UINT16_MAX);
	evhttp_set_bevcb(http->evhttp, on_accept, http);
	evhttp_set_gencb(http->evhttp, on_request, http);
	if (!listen_on(http, base, fd)) {
		exporter_http_close(http);
		exporter_http_free(http);
		return NULL;
	}
	return http;
}

void
exporter_http_close(struct exporter_http *http)
{
	if (http->evhttp != NULL)
		evhttp_free(http->evhttp);
	http->evhttp = NULL;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (http->connections[i].bufferevent != NULL)
			bufferevent_decref(http->connections[i].bufferevent);
		http->connections[i].bufferevent = NULL;
	}
	if (http->sweep != NULL)
		event_free(http->sweep);
	http->sweep = NULL;
}

void
exporter_http_free(struct exporter_http *http)
{
	metrics_hosts_fini(&http->rows);
	exporter_process_close(&http->process);
	free(http);
}
