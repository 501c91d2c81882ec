/*
 * datagram_receive.c - what to do with a datagram that came: whose it is, whether it is genuine and
 * of his session, and which of the kinds it is.
 *
 * Never answers what it cannot believe, never keeps memory for who has not proven himself.  Owns
 * nothing.
 */
#include "relay/datagrams.h"

/* A datagram on its way through this file. */
struct arrival {
	struct datagrams *plane;
	struct dgram *dgram;
	struct datagram datagram;
	struct session *session; /* of this client; perhaps not the one it speaks of */
	struct datagram_cipher cipher;
	struct route route;
};

static bool
refuse(struct arrival *arrival, enum datagram_count why)
{
	datagrams_count(arrival->plane, why);
	return false;
}

/* Which key, if there are keys at all. */
static bool
find_cipher(struct arrival *arrival, uint64_t client)
{
	const struct datagrams *plane = arrival->plane;
	const struct datagram_key *key;

	if (plane->keys == NULL)
		return true;
	if (arrival->session != NULL) {
		arrival->route.cipher = &arrival->session->cipher;
		return true;
	}
	key = datagram_keys_find(plane->keys, plane->keys_count, client);
	if (key == NULL)
		return refuse(arrival, DATAGRAM_COUNT_UNKNOWN_CLIENT);
	datagram_cipher_init(&arrival->cipher, client, key->secret);
	arrival->route.cipher = &arrival->cipher;
	return true;
}

/* Without a seal one can be told that his version is not spoken. */
static void
refuse_version(struct arrival *arrival, uint64_t client)
{
	const struct datagram_header to = { .client = client };

	if (arrival->route.cipher == NULL && client != 0)
		route_error(&arrival->route, &to, DATAGRAM_BAD_VERSION);
}

static bool
is_genuine(struct arrival *arrival, uint64_t client)
{
	struct dgram *dgram = arrival->dgram;
	const struct datagram_terms terms = {
		.from = DATAGRAM_OF_CLIENT,
		.is_sealed = arrival->plane->keys != NULL,
		.size_max = arrival->plane->settings.size,
	};
	enum datagram_fault fault =
	    datagram_look(&arrival->datagram, wire_span(dgram->bytes, dgram->len), &terms);

	if (fault == DATAGRAM_BAD_SPEECH)
		refuse_version(arrival, client);
	if (dgram->truncated || dgram->len > terms.size_max)
		return refuse(arrival, DATAGRAM_COUNT_TOO_LONG);
	if (fault != DATAGRAM_OK)
		return refuse(arrival, DATAGRAM_COUNT_MALFORMED);
	if (terms.is_sealed && datagram_open(arrival->route.cipher, &arrival->datagram,
					     dgram->bytes, dgram->len) != DATAGRAM_OK)
		return refuse(arrival, DATAGRAM_COUNT_FORGED);
	return true;
}

/* --- sessions --------------------------------------------------------------------------------- */

static bool
is_of_session(const struct arrival *arrival)
{
	const struct session *session = arrival->session;

	return session != NULL && session->id == arrival->datagram.header.session &&
	       session->route.socket == arrival->route.socket &&
	       dgram_address_equal(&session->route.address, &arrival->dgram->from);
}

static bool
is_full(const struct arrival *arrival)
{
	return arrival->session == NULL &&
	       (arrival->plane->sessions_count >= arrival->plane->settings.sessions_max ||
		memory_tight(&arrival->plane->worker->memory));
}

static void
on_hello(struct arrival *arrival)
{
	struct datagrams *plane = arrival->plane;
	const struct datagram_header *header = &arrival->datagram.header;
	const struct session *session = arrival->session;
	struct datagram_hello hello;

	if (datagram_hello_get(&hello, &arrival->datagram) != DATAGRAM_OK) {
		refuse(arrival, DATAGRAM_COUNT_MALFORMED);
		return;
	}
	datagrams_count(plane, DATAGRAM_COUNT_KIND_HELLO);
	if (session != NULL && session->hello == header->number &&
	    dgram_address_equal(&session->route.address, &arrival->dgram->from)) {
		route_welcome(&arrival->route, header, session->id, session->size);
		return;
	}
	if (is_full(arrival)) {
		route_busy(&arrival->route, header);
		return;
	}
	const struct offer wanted = {
		.client = header->client,
		.hello = header->number,
		.receive_max = hello.receive_max < plane->settings.size ? hello.receive_max
									: plane->settings.size,
		.socket = (uint32_t)(arrival->route.socket - plane->sockets),
		.address = arrival->dgram->from,
	};
	const struct offer *offer = offer_make(plane, &wanted);
	route_welcome(&arrival->route, header, offer->session, offer->receive_max);
}

/* The first datagram in an offered session begins it. */
static struct session *
find_session(struct arrival *arrival)
{
	struct datagrams *plane = arrival->plane;
	const struct datagram_header *header = &arrival->datagram.header;

	if (is_of_session(arrival))
		return arrival->session;
	struct offer offer;
	if (!offer_find(plane, header->client, header->session, &arrival->route, &offer)) {
		datagrams_count(plane, DATAGRAM_COUNT_NEW_SESSION);
		route_error(&arrival->route, header, DATAGRAM_NEW_SESSION);
		return NULL;
	}
	struct session *session = is_full(arrival) ? NULL : session_begin(plane, &offer);
	if (session == NULL)
		route_busy(&arrival->route, header);
	else
		offer_use(plane, &offer);
	return session;
}

/* --- kinds ------------------------------------------------------------------------------------ */

/* Keep-alives and confirms: true if it is new. */
static bool
mark(struct session *session, uint64_t number)
{
	enum datagram_age age = datagram_window_mark(&session->once.window, number);

	if (age == DATAGRAM_NEWEST || age == DATAGRAM_FRESH)
		return true;
	datagrams_count(session->plane, DATAGRAM_COUNT_REPLAYED);
	return false;
}

/* What of it is committed already: the word of that may have been lost.  A confirm that comes again
 * may speak of others than the one before, so each number counts for itself. */
static void
say_again(struct session *session, const struct datagram_seen *seen)
{
	struct datagram_seen known = { 0 };

	for (uint64_t below = 0; below <= 64 && below < seen->top; below++) {
		uint64_t number = seen->top - below;
		if (!datagram_seen_has(seen, number) ||
		    datagram_window_judge(&session->committed, number) != DATAGRAM_SEEN)
			continue;
		if (known.top == 0)
			known.top = number;
		else
			known.bits |= UINT64_C(1) << (known.top - number - 1);
	}
	if (known.top != 0)
		session_say_confirmed(session, &known);
}

static void
on_kind(struct session *session, const struct arrival *arrival)
{
	const struct datagram_header *header = &arrival->datagram.header;

	switch ((enum datagram_kind)header->kind) {
	case DATAGRAM_REQUEST:
		datagrams_count(session->plane, DATAGRAM_COUNT_KIND_REQUEST);
		session_on_request(session, &arrival->datagram);
		break;
	case DATAGRAM_KEEP_ALIVE:
		datagrams_count(session->plane, DATAGRAM_COUNT_KIND_KEEP);
		if (mark(session, header->number))
			session_send_bare(session, DATAGRAM_KEEP_ALIVE, header->number);
		break;
	case DATAGRAM_CONFIRM:
		datagrams_count(session->plane, DATAGRAM_COUNT_KIND_CONFIRM);
		(void)mark(session, header->number);
		say_again(session, &header->seen);
		break;
	case DATAGRAM_NOTICE:
		datagrams_count(session->plane, DATAGRAM_COUNT_KIND_NOTICE);
		session_on_notice(session, &arrival->datagram);
		break;
	case DATAGRAM_BYE:
		datagrams_count(session->plane, DATAGRAM_COUNT_KIND_BYE);
		if (!mark(session, header->number))
			break;
		session_send_bare(session, DATAGRAM_BYE, header->number);
		session_end(session, false);
		break;
	case DATAGRAM_HELLO:
	case DATAGRAM_WELCOME:
	case DATAGRAM_REPLY:
	case DATAGRAM_CONFIRMED:
	case DATAGRAM_BUSY:
	case DATAGRAM_ACCEPTED:
	case DATAGRAM_ERROR:
		break; /* a hello has been seen to; the others a client cannot send */
	}
}

void
plane_on_dgram(struct plane_socket *socket, struct dgram *dgram)
{
	struct datagrams *plane = socket->plane;
	struct arrival arrival = {
		.plane = plane,
		.dgram = dgram,
		.route = { .socket = socket,
			   .address = dgram->from,
			   .local = dgram->to,
			   .came = dgram->len },
	};
	uint64_t client;

	if (!datagram_client(&client, wire_span(dgram->bytes, dgram->len))) {
		datagrams_count(plane, DATAGRAM_COUNT_MALFORMED);
		return;
	}
	arrival.session = session_find(plane, client);
	if (!find_cipher(&arrival, client) || !is_genuine(&arrival, client))
		return;
	if (arrival.datagram.header.kind == DATAGRAM_HELLO) {
		on_hello(&arrival);
		return;
	}
	struct session *session = find_session(&arrival);
	if (session == NULL)
		return;
	const struct datagram_header *header = &arrival.datagram.header;
	bool is_newest =
	    datagram_window_judge(&session->once.window, header->number) == DATAGRAM_NEWEST;
	if (is_newest)
		session_seen(session);
	outbox_on_seen(session, &header->seen);
	if (is_newest)
		session_take_up(session, header->kind == DATAGRAM_KEEP_ALIVE);
	on_kind(session, &arrival);
}
