/*
 * datagram_offer.c - sessions offered to who says hello, and known again when he answers.
 *
 * A small table remembers them, so that a hello that comes again is told the same.  Recorded
 * hellos, sent again from many addresses, push out of it what they like: so the numbers themselves
 * say what was offered (datagram_cookie.h), and the table of leftovers which of them are void.
 * Costs no memory that grows.  Owns nothing.
 */
#include "relay/datagrams.h"

#define OFFER_WAYS 4u

static struct offer *
offer_ways(const struct datagrams *plane, uint64_t client)
{
	return plane->offers +
	       (datagrams_mix(plane, client) & (DATAGRAM_OFFERS / OFFER_WAYS - 1)) * OFFER_WAYS;
}

static uint64_t
tick_of(uint64_t time)
{
	return time / DATAGRAM_COOKIE_TICK_NS;
}

/* Asking again makes it no younger. */
static bool
is_over(const struct datagrams *plane, const struct offer *offer)
{
	return worker_now(plane->worker) - offer->made_at > ms_to_ns(DATAGRAM_OFFER_MS);
}

/* The same number twice, in one tick, is two offers that cannot be told apart, or one that began
 * already: then it is a random one, which holds as long as it is remembered. */
static uint64_t
new_number(struct datagrams *plane, const struct offer *wanted)
{
	const struct datagram_cookie cookie = { .client = wanted->client,
						.address = &wanted->address,
						.tick = tick_of(worker_now(plane->worker)),
						.size = wanted->receive_max };
	const struct offer *ways = offer_ways(plane, wanted->client);
	uint64_t number = datagram_cookie_make(&plane->cookies, &cookie);

	if (number == 0 || cookie.tick <= leftover_of(plane, wanted->client)->begun)
		return datagrams_random_id(plane);
	for (unsigned i = 0; i < OFFER_WAYS; i++) {
		if (ways[i].client == wanted->client && ways[i].session == number)
			return datagrams_random_id(plane);
	}
	return number;
}

const struct offer *
offer_make(struct datagrams *plane, const struct offer *wanted)
{
	struct offer *ways = offer_ways(plane, wanted->client);
	struct offer *oldest = ways;

	for (unsigned i = 0; i < OFFER_WAYS; i++) {
		if (ways[i].client == wanted->client && ways[i].hello == wanted->hello &&
		    dgram_address_equal(&ways[i].address, &wanted->address) &&
		    !is_over(plane, &ways[i]))
			return &ways[i];
		if (ways[i].made < oldest->made)
			oldest = &ways[i];
	}
	uint64_t session = new_number(plane, wanted);
	*oldest = *wanted;
	oldest->session = session;
	oldest->made = ++plane->offers_made;
	oldest->made_at = worker_now(plane->worker);
	return oldest;
}

/* One that was forgotten is as old as its tick, of which all others count as older. */
static bool
is_older(const struct offer *offer, const struct offer *than)
{
	if (than->made == 0)
		return tick_of(offer->made_at) <= tick_of(than->made_at);
	return offer->made <= than->made;
}

/* A datagram in an older offer, recorded or late, would end the session that begins now. */
void
offer_use(struct datagrams *plane, const struct offer *offer)
{
	struct offer *ways = offer_ways(plane, offer->client);
	struct leftover *left = leftover_of(plane, offer->client);

	for (unsigned i = 0; i < OFFER_WAYS; i++) {
		if (ways[i].client == offer->client && is_older(&ways[i], offer))
			ways[i].client = 0;
	}
	if (left->begun < tick_of(offer->made_at))
		left->begun = tick_of(offer->made_at);
}

/* By its number alone.  One that is not later than what began is void, even if that was another
 * client's: places are shared, and then a hello is said once more. */
static bool
is_believed(const struct datagrams *plane, struct offer *found)
{
	uint64_t begun = leftover_of(plane, found->client)->begun;
	struct datagram_cookie cookie = { .client = found->client, .address = &found->address };
	bool known = datagram_cookie_read(&plane->cookies, &cookie, found->session,
					  tick_of(worker_now(plane->worker)),
					  tick_of(ms_to_ns(DATAGRAM_OFFER_MS)));

	found->receive_max = cookie.size;
	found->made_at = cookie.tick * DATAGRAM_COOKIE_TICK_NS;
	return known && cookie.tick > begun;
}

bool
offer_find(const struct datagrams *plane, uint64_t client, uint64_t session,
	   const struct route *route, struct offer *found)
{
	const struct offer *ways = offer_ways(plane, client);

	for (unsigned i = 0; i < OFFER_WAYS; i++) {
		if (ways[i].client != client || ways[i].session != session ||
		    !dgram_address_equal(&ways[i].address, &route->address))
			continue;
		*found = ways[i];
		found->local = route->local;
		return !is_over(plane, found);
	}
	*found = (struct offer){ .client = client,
				 .session = session,
				 .socket = (uint32_t)(route->socket - plane->sockets),
				 .address = route->address,
				 .local = route->local };
	return is_believed(plane, found);
}
