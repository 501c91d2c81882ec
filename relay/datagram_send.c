/*
 * datagram_send.c - datagrams made: header, body, seal; into the batch of their socket, which
 * leaves at the end of the turn.
 *
 * Never sends more to an address that has not proven itself than what came from there.  Owns
 * nothing.
 */
#include "relay/datagrams.h"

/* Sends what is gathered already if there is no room for one more. */
static uint8_t *
room(struct plane_socket *socket)
{
	if (dgram_batch_room(socket->batch) == NULL)
		datagrams_flush(socket->plane);
	return dgram_batch_room(socket->batch);
}

void
route_send(const struct route *route, const struct letter *letter)
{
	struct datagrams *plane = route->socket->plane;
	struct datagram_header header = letter->header;
	struct wire_out out = wire_out(room(route->socket), plane->settings.size);
	uint8_t nonce[DATAGRAM_NONCE_SIZE];

	header.flags |= DATAGRAM_RELAY;
	if (route->cipher != NULL)
		header.flags |= DATAGRAM_SEALED;
	datagram_begin(&out, &header);
	wire_out_bytes(&out, letter->prefix.data, letter->prefix.len);
	wire_out_bytes(&out, letter->body.data, letter->body.len);
	datagram_end(&out, &header);
	if (out.overflow || !datagram_may_answer(out.len, route->came))
		return;
	if (route->cipher != NULL) {
		datagrams_random(plane, nonce, sizeof nonce);
		if (!datagram_seal(route->cipher, out.data, out.len, nonce))
			return;
	}
	dgram_batch_add(route->socket->batch, &route->address, &route->local, out.len);
}

void
route_error(const struct route *route, const struct datagram_header *to, enum datagram_code code)
{
	const struct letter letter = {
		.header = { .client = to->client,
			    .kind = DATAGRAM_ERROR,
			    .code = (uint8_t)code,
			    .session = to->session,
			    .about = to->number },
	};

	route_send(route, &letter);
}

void
route_busy(const struct route *route, const struct datagram_header *to)
{
	struct datagrams *plane = route->socket->plane;
	const struct letter letter = {
		.header = { .client = to->client,
			    .kind = DATAGRAM_BUSY,
			    .value = (uint32_t)plane->settings.busy_retry_after_ms,
			    .session = to->session,
			    .about = to->number },
	};

	datagrams_count(plane, DATAGRAM_COUNT_BUSY);
	route_send(route, &letter);
}

void
route_welcome(const struct route *route, const struct datagram_header *to, uint64_t session,
	      uint32_t size)
{
	const struct datagram_settings *settings = &route->socket->plane->settings;
	const struct datagram_welcome welcome = {
		.size_max = size,
		.reply_max = (uint32_t)settings->reply_max,
		.keep_alive_ms = settings->presence_timeout_ms > UINT32_MAX
				     ? UINT32_MAX
				     : (uint32_t)settings->presence_timeout_ms,
		.open_max = DATAGRAM_OPEN_MAX,
		.span_max = DATAGRAM_WINDOW,
	};
	uint8_t bytes[DATAGRAM_HELLO_BODY];
	struct wire_out body = wire_out(bytes, sizeof bytes);

	datagram_welcome_put(&body, &welcome);
	const struct letter letter = {
		.header = { .client = to->client,
			    .kind = DATAGRAM_WELCOME,
			    .session = session,
			    .about = to->number },
		.body = wire_span(bytes, body.len),
	};
	route_send(route, &letter);
}

/* --- in a session ----------------------------------------------------------------------------- */

/* Speaks of the highest numbers, or of those around the one that is answered if that is far below:
 * so each is confirmed some time. */
static struct datagram_seen
show(const struct session *session, uint64_t about)
{
	const struct datagram_window *window = &session->once.window;
	bool far = about != 0 && about < window->top && window->top - about > 64 &&
		   datagram_window_judge(window, about) == DATAGRAM_SEEN;

	return datagram_window_show(window, far ? about : 0);
}

void
session_send(struct session *session, struct letter *letter)
{
	letter->header.client = session->client;
	letter->header.session = session->id;
	letter->header.seen = show(session, letter->header.about);
	route_send(&session->route, letter);
}

uint64_t
session_number(struct session *session)
{
	const struct parcel *parcel;

	TAILQ_FOREACH(parcel, &session->outbox, entry) {
		if (parcel->first >= parcel->sent)
			continue;
		const uint64_t *numbers = parcel->numbers == NULL ? &parcel->one : parcel->numbers;
		if (session->next_number - numbers[parcel->first] >= DATAGRAM_WINDOW)
			return 0;
		break;
	}
	return session->next_number++;
}

void
session_send_bare(struct session *session, enum datagram_kind kind, uint64_t about)
{
	struct letter letter = {
		.header = { .kind = (uint8_t)kind,
			    .number = session_number(session),
			    .about = about },
	};

	if (letter.header.number != 0)
		session_send(session, &letter);
}
