/*
 * datagram_peer.c - requests to hosts whose home is another worker: by the channel to it, as
 * control's errands; and the table of these hosts.
 *
 * Never has more than DATAGRAM_PEER_MAX of them at a peer, and serves no more of it.  With a peer
 * that ends, what it had ends as con_lost.  Owns the channels and, until the reply, the memfds.
 */
#include "relay/datagrams.h"

#include "relay/errand.h"
#include "relay/port.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- answers of the peer ---------------------------------------------------------------------- */

static bool
read_reply(struct inquiry *inquiry, uint64_t length)
{
	struct memory *memory = &inquiry->plane->worker->memory;
	uint8_t *room = buffer_room(&inquiry->reply, memory, length);
	size_t have = 0;

	while (room != NULL && have < length) {
		ssize_t got = pread(inquiry->memfd, room + have, length - have, (off_t)have);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	if (room != NULL)
		buffer_grow(&inquiry->reply, length);
	return room != NULL;
}

static void
on_reply(struct peer *peer, const struct channel_request *reply)
{
	struct inquiry *inquiry;

	TAILQ_FOREACH(inquiry, &peer->waiting, peer_entry) {
		if (inquiry->token == reply->token)
			break;
	}
	if (inquiry == NULL)
		return;
	enum datagram_code code = DATAGRAM_CON_LOST;
	if (reply->result == REQUEST_OVERLOAD) {
		inquiry_refuse(inquiry);
		return;
	}
	if (reply->result == REQUEST_TOO_LONG)
		code = DATAGRAM_TOO_LONG;
	if (reply->result == REQUEST_ANSWERED) {
		if (reply->length > inquiry->plane->settings.reply_max)
			code = DATAGRAM_TOO_LONG;
		else if ((inquiry->session == NULL && !inquiry->durable) ||
			 read_reply(inquiry, reply->length))
			code = DATAGRAM_FINE;
	}
	inquiry_conclude(inquiry, code);
}

/* --- requests of the peer --------------------------------------------------------------------- */

/* It was not run.  OVERLOAD: it may come again. */
static void
refuse(struct peer *peer, const struct channel_request *request, int memfd, enum request_result why)
{
	struct channel_message reply = { .type = CHANNEL_REPLY, .request = *request };

	reply.request.length = 0;
	reply.request.result = why;
	(void)port_send(peer->port, &reply, -1);
	if (memfd >= 0)
		uring_close(peer->plane->worker->ring, memfd);
}

/* Who asks may know other hosts than this worker: of the table before or after a reload, or all of
 * them when this one was just started. */
static bool
is_known_later(const struct worker *worker, const struct host *host,
	       const struct channel_request *request)
{
	if (host == NULL)
		return !worker->hosts_known;
	return strncmp(host->id, request->host, sizeof request->host) != 0;
}

static bool
has_no_room(struct host *host, uint64_t length)
{
	return host->queue_count >= host->settings.queue_max ||
	       host->queue_bytes + length > host->settings.queue_bytes_max || host_overloaded(host);
}

static void
on_request(struct peer *peer, const struct channel_request *request, int memfd)
{
	struct worker *worker = peer->plane->worker;
	struct host *host =
	    request->index < worker->hosts_cap ? worker->hosts[request->index] : NULL;

	if (peer->serving >= DATAGRAM_PEER_MAX || is_known_later(worker, host, request)) {
		refuse(peer, request, memfd, REQUEST_OVERLOAD);
		return;
	}
	if (host != NULL && request->length > host->settings.line_max) {
		refuse(peer, request, memfd, REQUEST_TOO_LONG);
		return;
	}
	if (host != NULL && has_no_room(host, request->length)) {
		refuse(peer, request, memfd, REQUEST_OVERLOAD);
		return;
	}
	peer->serving++;
	errand_start(worker, host, request, memfd, peer->origin);
}

void
peer_tell(struct worker *worker, uint64_t origin, const struct channel_message *reply)
{
	for (unsigned i = 0; i < DATAGRAM_PEERS; i++) {
		struct peer *peer = worker->datagrams->peers[i];
		if (peer == NULL || peer->origin != origin)
			continue;
		peer->serving--;
		(void)port_send(peer->port, reply, -1); /* a failure shows as its end */
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static void
on_message(void *context, const struct channel_message *message, int fd)
{
	struct peer *peer = context;

	if (message->type == CHANNEL_REQUEST) {
		on_request(peer, &message->request, fd);
		return; /* the descriptor went with it */
	}
	if (message->type == CHANNEL_REPLY)
		on_reply(peer, &message->request);
	if (fd >= 0)
		uring_close(peer->plane->worker->ring, fd);
}

/* Nothing more comes: what it had is lost. */
static void
peer_free(struct peer *peer)
{
	struct inquiry *inquiry;

	peer->plane->peers[peer->number] = NULL;
	while ((inquiry = TAILQ_FIRST(&peer->waiting)) != NULL)
		inquiry_conclude(inquiry, DATAGRAM_CON_LOST);
	free(peer);
}

static void
on_end(void *context)
{
	peer_free(context);
}

void
peer_attach(struct datagrams *plane, uint32_t number, struct channel *channel)
{
	struct worker *worker = plane->worker;
	struct peer *before = plane->peers[number];
	struct peer *peer = calloc(1, sizeof *peer);

	if (before != NULL) {
		port_close(before->port);
		peer_free(before);
	}
	if (peer != NULL) {
		peer->plane = plane;
		peer->number = number;
		peer->origin = ++plane->last_origin;
		TAILQ_INIT(&peer->waiting);
		peer->port =
		    port_new(worker->ring, channel, on_message, on_end, peer, &worker->ports);
	}
	if (peer == NULL || peer->port == NULL) {
		channel_free(channel);
		free(peer);
		return;
	}
	plane->peers[number] = peer;
}

void
peers_close(struct datagrams *plane)
{
	for (unsigned i = 0; i < DATAGRAM_PEERS; i++) {
		if (plane->peers[i] == NULL)
			continue;
		port_close(plane->peers[i]->port);
		peer_free(plane->peers[i]);
	}
}

void
peers_free(struct datagrams *plane)
{
	for (unsigned i = 0; i < DATAGRAM_PEERS; i++) {
		if (plane->peers[i] != NULL) {
			port_abandon(plane->peers[i]->port);
			peer_free(plane->peers[i]);
		}
	}
	for (uint32_t i = 0; i < plane->elsewhere_cap; i++)
		free(plane->elsewhere[i]);
	free(plane->elsewhere);
}

/* --- asking ----------------------------------------------------------------------------------- */

bool
peer_has_room(const struct datagrams *plane, uint32_t worker)
{
	const struct peer *peer = worker < DATAGRAM_PEERS ? plane->peers[worker] : NULL;

	/* None: it is just being started again. */
	return peer != NULL && peer->asked < DATAGRAM_PEER_MAX;
}

static int
make_memfd(struct wire_span line)
{
	int fd = memfd_create("request", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, line.data, line.len, 0) == (ssize_t)line.len)
		return fd;
	close(fd);
	return -1;
}

bool
peer_ask(struct inquiry *inquiry, const struct elsewhere *where, struct wire_span line)
{
	struct datagrams *plane = inquiry->plane;
	struct peer *peer = where->worker < DATAGRAM_PEERS ? plane->peers[where->worker] : NULL;
	struct channel_message message = {
		.type = CHANNEL_REQUEST,
		.request = { .length = line.len,
			     .reply_max = plane->settings.reply_max,
			     .index = inquiry->index },
	};

	static_assert(sizeof message.request.host == sizeof where->id, "both end alike");
	if (peer == NULL || peer->asked >= DATAGRAM_PEER_MAX)
		return false;
	memcpy(message.request.host, where->id, sizeof where->id);
	int memfd = make_memfd(line);
	if (memfd < 0)
		return false;
	message.request.token = ++plane->last_token;
	if (port_send(peer->port, &message, memfd) != 0) {
		close(memfd);
		return false;
	}
	inquiry->token = message.request.token;
	inquiry->memfd = memfd;
	inquiry->peer = peer;
	TAILQ_INSERT_TAIL(&peer->waiting, inquiry, peer_entry);
	peer->asked++;
	return true;
}

void
peer_forget(struct inquiry *inquiry)
{
	TAILQ_REMOVE(&inquiry->peer->waiting, inquiry, peer_entry);
	inquiry->peer->asked--;
	inquiry->peer = NULL;
	close(inquiry->memfd);
}

/* --- hosts elsewhere -------------------------------------------------------------------------- */

static bool
make_place(struct datagrams *plane, uint32_t index)
{
	uint32_t cap = plane->elsewhere_cap == 0 ? 16 : plane->elsewhere_cap;

	if (index < plane->elsewhere_cap)
		return true;
	if (index >= HOSTS_MAX)
		return false;
	while (cap <= index)
		cap *= 2;
	struct elsewhere **all = realloc(plane->elsewhere, cap * sizeof(struct elsewhere *));
	if (all == NULL)
		return false;
	for (uint32_t i = plane->elsewhere_cap; i < cap; i++)
		all[i] = NULL;
	plane->elsewhere = all;
	plane->elsewhere_cap = cap;
	return true;
}

void
elsewhere_set(struct datagrams *plane, const struct channel_elsewhere *message)
{
	if (!make_place(plane, message->index))
		return;
	struct elsewhere **at = &plane->elsewhere[message->index];
	if (*at == NULL)
		*at = calloc(1, sizeof **at);
	if (*at == NULL)
		return;
	(*at)->worker = message->worker;
	(*at)->synced = true;
	memcpy((*at)->id, message->id, sizeof(*at)->id);
	(*at)->id[HOST_ID_MAX] = '\0';
}

void
elsewhere_drop(struct worker *worker, uint32_t index)
{
	struct datagrams *plane = worker->datagrams;

	if (plane == NULL || index >= plane->elsewhere_cap)
		return;
	free(plane->elsewhere[index]);
	plane->elsewhere[index] = NULL;
}

void
elsewhere_sync(struct worker *worker, bool end)
{
	struct datagrams *plane = worker->datagrams;

	for (uint32_t i = 0; plane != NULL && i < plane->elsewhere_cap; i++) {
		if (plane->elsewhere[i] == NULL)
			continue;
		if (!end)
			plane->elsewhere[i]->synced = false;
		else if (!plane->elsewhere[i]->synced)
			elsewhere_drop(worker, i);
	}
}

const struct elsewhere *
elsewhere_find(const struct datagrams *plane, struct wire_span name, uint32_t *index)
{
	for (uint32_t i = 0; i < plane->elsewhere_cap; i++) {
		const struct elsewhere *elsewhere = plane->elsewhere[i];
		if (elsewhere == NULL || !wire_span_equal(wire_span_str(elsewhere->id), name))
			continue;
		*index = i;
		return elsewhere;
	}
	return NULL;
}
