/*
 * listen_address.h - ADDRESS:PORT, [IPv6]:PORT or unix:PATH as an address to bind.
 *
 * Pure: addresses are literals, so that nothing has to be resolved, and no path is looked at.  An
 * address has to be said: what is open to all must say 0.0.0.0 or [::].
 */
#ifndef RELAY_LISTEN_ADDRESS_H
#define RELAY_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LISTEN_ADDRESS_FORMS "ADDRESS:PORT, [IPv6]:PORT or unix:PATH"

struct listen_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage;
		struct sockaddr_un local; /* AF_UNIX */
	};

	socklen_t len;
};

/* False: it is none of these forms, or too long. */
bool listen_address_parse(const char *text, struct listen_address *address);

#endif
