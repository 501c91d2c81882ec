/*
 * host_tls.h - how links of a host are secured: the context that new ones begin with.
 */
#ifndef RELAY_HOST_TLS_H
#define RELAY_HOST_TLS_H

#include <stdbool.h>

#include "relay/channel.h"
#include "relay/tls.h"

struct host;

struct host_security {
	struct tls_context *context; /* NULL: TLS is off, or there is none that could be used */
	bool required;
	uint8_t digest[TLS_DIGEST_SIZE]; /* of what the context was made of */
};

enum host_security_change {
	HOST_SECURITY_SAME,
	HOST_SECURITY_RENEWED, /* links so far are good until there are new ones */
	HOST_SECURITY_SECURED, /* links so far were without, and are to be used no more */
};

/* Makes of the message what is not there yet; links keep what they have begun with.  The host's
 * settings are still those of before. */
enum host_security_change host_tls_update(struct host *host, const struct channel_host *message);

void host_tls_fini(struct host_security *tls);

#endif
