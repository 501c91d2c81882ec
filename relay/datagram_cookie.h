/*
 * datagram_cookie.h - numbers of offered sessions that can be believed without being remembered.
 *
 *   63             48             32                               0
 *   +--------------+--------------+-------------------------------+
 *   | size         | when         | digest                        |
 *   +--------------+--------------+-------------------------------+
 *    masked by a digest of the right half
 *
 * Whoever says hello from many addresses at a time can push an offer out of any table; he cannot
 * make the number wrong that another address was told.  To be known again a number needs nothing
 * but the keys, which live as long as the worker.  That an offer is used once is not said here.
 */
#ifndef RELAY_DATAGRAM_COOKIE_H
#define RELAY_DATAGRAM_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "uring/dgram.h"

/* Times are counted in this: 65,536 of them are told apart, 131 seconds. */
#define DATAGRAM_COOKIE_TICK_NS UINT64_C(2000000)

/* Random, and told to nobody. */
struct datagram_cookie_keys {
	uint64_t digest[2];
	uint64_t mask[2];
};

/* What an offer says. */
struct datagram_cookie {
	uint64_t client;
	const union dgram_address *address; /* to which it went */
	uint64_t tick;                      /* when */
	uint32_t size;                      /* the longest datagram, at most 65,535 bytes */
};

uint64_t datagram_cookie_make(const struct datagram_cookie_keys *keys,
			      const struct datagram_cookie *cookie);

/* Client and address given, finds tick and size.  False: such an offer was not made, or more than
 * `age_max` ticks before `now`; age_max is below 65,536. */
bool datagram_cookie_read(const struct datagram_cookie_keys *keys, struct datagram_cookie *cookie,
			  uint64_t number, uint64_t now, uint64_t age_max);

#endif
