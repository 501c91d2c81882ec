/*
 * host_address.c - which address of its name the links of a host go to.
 *
 * All go to the same one until that fails, then to the next, at once: only when each of them has
 * failed it is the host that did, and has its pause.  What one attempt may take is shared by all.
 * The addresses come from control; nothing is looked up here.
 */
#include "relay/host_internal.h"
#include "relay/log.h"

#include <stdio.h>

const union resolve_address *
host_round_address(const struct host *host, const struct host_round *round)
{
	const struct resolve_list *list = &host->addresses;

	return list->count == 0 ? NULL : &list->address[round->place % list->count];
}

uint32_t
host_round_begin(const struct host *host, struct host_round *round)
{
	uint32_t count = host->addresses.count;

	if (round->tried == 0)
		round->since = worker_now(host->worker);
	return round->tried < count ? count - round->tried : 1;
}

bool
host_round_next(const struct host *host, struct host_round *round)
{
	round->place++;
	round->tried++;
	if (round->tried < host->addresses.count)
		return true;
	round->tried = 0;
	return false;
}

bool
host_move_on(struct host *host, const union resolve_address *failed, const char *why)
{
	const union resolve_address *at = host_round_address(host, &host->round);
	char from[RESOLVE_TEXT_MAX];
	char to[RESOLVE_TEXT_MAX];

	/* Another link was told so before this one. */
	if (at != NULL && !resolve_address_equal(at, failed))
		return true;
	if (!host_round_next(host, &host->round))
		return false;
	if (host->usable == 0 && host->down_since == 0)
		host->down_since = worker_now(host->worker);
	if (host->state == HOST_DOWN)
		return true; /* nothing new */
	resolve_text(&failed->any, from);
	resolve_text(&host_round_address(host, &host->round)->any, to);
	log_info(host->id, "%s: %s failed: %s; %s is next", host->id, from, why, to);
	return true;
}

bool
host_settle_at(struct host *host, const union resolve_address *address)
{
	uint32_t place = resolve_list_find(&host->addresses, address);
	bool other = !resolve_address_equal(&host->in_use, address);

	host->round.tried = 0;
	if (place < host->addresses.count)
		host->round.place = place;
	host->in_use = *address;
	return other;
}

bool
host_take_addresses(struct host *host, const struct resolve_list *list)
{
	bool same = resolve_list_same(&host->addresses, list);
	const union resolve_address *at = host_round_address(host, &host->round);

	/* A name server that turns its answers round moves nobody. */
	if (same && at != NULL)
		host->round.place = resolve_list_find(list, at);
	host->addresses = *list;
	return !same;
}

const char *
host_which_failed(const struct host *host, const union resolve_address *last, const char *why,
		  char text[static LINK_WHY_SIZE])
{
	char address[RESOLVE_TEXT_MAX];

	if (host->addresses.count < 2)
		return why;
	resolve_text(&last->any, address);
	snprintf(text, LINK_WHY_SIZE, "%.80s (%s, the last of %u addresses)", why, address,
		 (unsigned)host->addresses.count);
	return text;
}

void
host_log_online(const struct host *host)
{
	char address[RESOLVE_TEXT_MAX];

	resolve_text(&host->in_use.any, address);
	if (host->addresses.count > 1)
		log_info(host->id, "%s online at %s", host->id, address);
	else
		log_info(host->id, "%s online", host->id);
}
