/*
 * exporter_http.h - /metrics, /livez and /readyz over HTTP, on libevent's evhttp.
 *
 * GET and HEAD, no bodies, heads of at most 8 KiB.  A connection serves one request and lives ten
 * seconds at most; with all places taken, new ones wait in the listen queue.  At most four scrapes
 * are under way, counted until their text has left.
 */
#ifndef RELAY_EXPORTER_HTTP_H
#define RELAY_EXPORTER_HTTP_H

#include <event2/event.h>

struct exporter_control;
struct exporter_http;

/*
 * Serves the listening, non-blocking socket `fd`, which it takes over.  NULL: no memory; `fd` is
 * then still the caller's.
 */
struct exporter_http *exporter_http_new(struct event_base *base, struct exporter_control *control,
					int fd);

/* Ends all connections.  No query of `control` may be open any more. */
void exporter_http_close(struct exporter_http *http);

/* After exporter_http_close() and event_base_free(): libevent ends connections later than it says.
 */
void exporter_http_free(struct exporter_http *http);

#endif
