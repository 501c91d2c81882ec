/*
 * resolve.h - the address of a peer: an IPv4 or IPv6 literal, or a name.  A name may block for as
 * long as the resolver takes.
 */
#ifndef RELAY_RESOLVE_H
#define RELAY_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The addresses of one name, in the order in which they are to be tried. */
#define RESOLVE_ADDRESSES_MAX 8

union resolve_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct resolve_list {
	uint32_t count;
	union resolve_address address[RESOLVE_ADDRESSES_MAX];
};

/* Bytes of it, for connect(2). */
uint32_t resolve_length(const union resolve_address *address);

bool resolve_address_equal(const union resolve_address *a, const union resolve_address *b);

/* Where in the list it is; list->count if it is not. */
uint32_t resolve_list_find(const struct resolve_list *list, const union resolve_address *address);

/* Whether the same are in the same order; and in whatever order. */
bool resolve_list_equal(const struct resolve_list *a, const struct resolve_list *b);
bool resolve_list_same(const struct resolve_list *a, const struct resolve_list *b);

/* Until when one of `left` addresses may be tried, so that a silent one leaves the others their
 * part of the time: until `end` for the last of them. */
static inline uint64_t
resolve_try_until(uint64_t now, uint64_t end, uint32_t left)
{
	return end > now ? now + (end - now) / left : now;
}

/*
 * All of its addresses; those beyond the bound are left out.  0, or an error for
 * resolve_error_text() with an empty list.  The first takes literals only, which never blocks:
 * anything else is an error.
 */
int resolve_literal_list(const char *text, uint16_t port, struct resolve_list *list);
int resolve_list(const char *text, uint16_t port, struct resolve_list *list);

const char *resolve_error_text(int error);

/* The address without its port; "" for a family that is none of ours. */
#define RESOLVE_TEXT_MAX INET6_ADDRSTRLEN
void resolve_text(const struct sockaddr *address, char text[static RESOLVE_TEXT_MAX]);

#endif
