/*
 * service_settings.h - what can be set per service: made by the configuration.  The strings and
 * lists belong to the structure.
 */
#ifndef RELAY_SERVICE_SETTINGS_H
#define RELAY_SERVICE_SETTINGS_H

#include <stdint.h>

/* Of the texts NULL = unset; a list ends with NULL. */
struct service_settings {
	char *ident;                 /* callers find it by this name; or */
	char *socket;                /* at this path */
	char **command;              /* what is started, and its arguments; or */
	char *connect;               /* the socket of one that runs elsewhere */
	char *user;                  /* whom `command` runs as; name or number */
	uint32_t calls_max;          /* under way at the same time */
	uint32_t recycle_calls;      /* started anew after so many; 0 = never */
	uint64_t call_timeout_ms;    /* from the request to its status; 0 = as long as it takes */
	uint64_t request_timeout_ms; /* from the connect to the complete request */
	uint64_t slow_call_ms;       /* logged if it took longer; 0 = never */
	uint64_t idle_timeout_ms;    /* ended when unused for so long; 0 = never */
	uint64_t start_timeout_ms;   /* from the start to the end of its set-up */
	char **autoreload;           /* files; started anew when one of them changes */
	char **allow_uids;           /* whose calls are taken; names or numbers */
};

#endif
