/*
 * host_settings.h - what can be set per host, as plain numbers: made by the configuration, carried
 * by the channel, used by the worker.  Fixed size, no pointers.
 */
#ifndef RELAY_HOST_SETTINGS_H
#define RELAY_HOST_SETTINGS_H

#include <stdint.h>

#define HOST_BUSY_LINE_SIZE 64
#define HOST_TLS_NAME_SIZE  254 /* a DNS name, or a literal address */

enum host_tls {
	HOST_TLS_OFF,
	HOST_TLS_REQUIRE,
};

struct host_settings {
	uint32_t links_max;          /* TCP links to the peer, at most */
	uint32_t pipeline;           /* requests in flight on one link, at most */
	uint32_t spread;             /* workers that serve the host */
	uint32_t clients_max;        /* connected clients; more wait in the listen queue */
	uint32_t queue_max;          /* requests waiting for a link */
	uint64_t queue_bytes_max;    /* and their bytes */
	uint64_t line_max;           /* bytes of one request or reply in plaintext, without LF */
	uint64_t connect_timeout_ms; /* TCP connect and handshake together */
	uint64_t queue_timeout_ms;   /* from complete request to a link */
	uint64_t reply_timeout_ms;   /* from the send to the complete reply */
	uint64_t idle_timeout_ms;    /* an unused link is closed after this */
	uint64_t down_grace_ms;      /* how long clients of a host that is down wait */
	char busy_line[HOST_BUSY_LINE_SIZE]; /* what stream clients get of one that is overloaded */
	uint32_t tls;                        /* enum host_tls */
	char tls_name[HOST_TLS_NAME_SIZE];   /* whom its certificate must name; "": its address */
};

/* A section `host` or `defaults` as a whole: with the files, whose contents workers get apart.  The
 * strings belong to the structure; NULL = unset. */
struct host_section {
	struct host_settings settings;
	char *ca;
	char *cert;
	char *key;
};

#endif
