/*
 * peer_name.h - the name that a peer's certificate must have: a host name, or an IPv4 or IPv6
 * address without brackets.
 */
#ifndef RELAY_PEER_NAME_H
#define RELAY_PEER_NAME_H

#include <stdbool.h>

/* Asks nobody.  Of a host name (RFC 1123): labels of letters, digits and inner hyphens, 63 bytes
 * at most each and 253 together, without a dot at the end; the last one is no number. */
bool peer_name_is_valid(const char *text);

#endif
