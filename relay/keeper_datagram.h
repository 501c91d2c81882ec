/*
 * keeper_datagram.h - the sockets of the message plane: UDP, one for each worker and address, and
 * the webpager's.
 *
 * The sockets of an address share it (SO_REUSEPORT).  A program that the kernel runs over the first
 * bytes of each datagram says which of them gets it; it numbers them in the order in which they
 * were bound, which is that of the workers, and would number them anew if one were closed.  So the
 * keeper holds all of them for as long as it lives: a worker that is started again gets its own
 * again, with what came meanwhile.
 *
 * A socket that is bound to all addresses tells the worker to which of them a datagram came: the
 * answer leaves from there, not from where the route would have it leave.
 */
#ifndef RELAY_KEEPER_DATAGRAM_H
#define RELAY_KEEPER_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/channel.h"
#include "relay/listener.h"
#include "relay/settings.h"

struct keeper_datagram {
	uint32_t workers;
	uint32_t addresses; /* 0 = the message plane is off */
	sa_family_t families[SETTINGS_DATAGRAM_LISTEN_MAX];
	bool is_any[SETTINGS_DATAGRAM_LISTEN_MAX]; /* bound to all addresses of the family */
	int *sockets; /* those of an address beside each other, in the order of the workers */
	struct listener pager;
	const char *pager_path;
};

/*
 * Binds all of them, as the settings say, which must outlive it.  False: one cannot be bound; the
 * log says which and why.  Nobody gets a datagram before all sockets of its address are there.  An
 * address that is in use is waited for: workers of a keeper that was killed hold it for a moment.
 */
bool keeper_datagram_init(struct keeper_datagram *datagram, const struct relay_settings *settings,
			  uint32_t workers, uint32_t patience_ms);
void keeper_datagram_fini(struct keeper_datagram *datagram);

/* Gives a new worker its own sockets; gives a new control process the webpager's, if there is one.
 */
void keeper_datagram_give(const struct keeper_datagram *datagram, uint32_t worker,
			  struct channel *channel);
void keeper_datagram_give_pager(const struct keeper_datagram *datagram, struct channel *channel);

#endif
