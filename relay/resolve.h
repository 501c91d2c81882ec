/*
 * resolve.h - the address of a peer: an IPv4 or IPv6 literal, or a name.  A name may block for as
 * long as the resolver takes.
 */
#ifndef RELAY_RESOLVE_H
#define RELAY_RESOLVE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* Likewise for literals only, which never blocks; anything else is an error. */
int resolve_literal(const char *text, uint16_t port, struct sockaddr_storage *address,
		    uint32_t *length);

/* Fills address and length.  0, or an error for resolve_error_text() with *length 0. */
int resolve_address(const char *text, uint16_t port, struct sockaddr_storage *address,
		    uint32_t *length);

const char *resolve_error_text(int error);

/* The address without its port; "" for a family that is none of ours. */
#define RESOLVE_TEXT_MAX INET6_ADDRSTRLEN
void resolve_text(const struct sockaddr_storage *address, char text[static RESOLVE_TEXT_MAX]);

#endif
