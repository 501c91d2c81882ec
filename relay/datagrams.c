/*
 * datagrams.c - the message plane of a worker: what it is given by keeper and control, its sockets,
 * the start and the end.  See datagrams.h.
 *
 * Takes no memory before it is given a socket; receives when it knows settings and keys.  Never
 * binds anything.  Owns the sockets, their batches, the keys and the table of sessions.
 */
#include "relay/datagrams.h"

#include "relay/log.h"
#include "relay/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAX (1u << 20)

static void on_recv(struct uring_op *op, int res, const uint8_t *data);
static void on_again(struct uring_timer *timer);

/* --- small services --------------------------------------------------------------------------- */

void
datagrams_count(struct datagrams *plane, enum datagram_count what)
{
	stats_count(&plane->worker->stats->datagrams[what]);
}

/* Asked for by the page: a system call for each nonce would be dear. */
void
datagrams_random(struct datagrams *plane, void *bytes, size_t len)
{
	if (plane->random_left < len) {
		size_t have = 0;
		while (have < sizeof plane->random) {
			ssize_t got =
			    getrandom(plane->random + have, sizeof plane->random - have, 0);
			if (got < 0 && errno != EINTR)
				abort(); /* nonces must never come twice */
			have += got > 0 ? (size_t)got : 0;
		}
		plane->random_left = sizeof plane->random;
	}
	plane->random_left -= len;
	memcpy(bytes, plane->random + plane->random_left, len);
	memset(plane->random + plane->random_left, 0, len);
}

uint64_t
datagrams_random_id(struct datagrams *plane)
{
	uint64_t id = 0;

	while (id == 0)
		datagrams_random(plane, &id, sizeof id);
	return id;
}

uint64_t
datagrams_mix(const struct datagrams *plane, uint64_t client)
{
	uint64_t x = client + plane->salt;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void
start_receiving(struct datagrams *plane)
{
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		struct plane_socket *socket = &plane->sockets[i];
		if (socket->fd >= 0 && !socket->recv.in_flight &&
		    !uring_timer_armed(&socket->again))
			uring_dgram_recv(plane->worker->ring, &socket->recv, socket->fd,
					 socket->any);
	}
}

static void
on_recv(struct uring_op *op, int res, const uint8_t *data)
{
	struct plane_socket *socket = uring_container_of(op, struct plane_socket, recv);
	struct worker *worker = socket->plane->worker;
	struct dgram dgram;

	if (res > 0 && data != NULL && worker->state == WORKER_RUNNING) {
		datagrams_count(socket->plane, DATAGRAM_COUNT_RECEIVED);
		if (uring_dgram_take(&dgram, data, res, socket->any))
			plane_on_dgram(socket, &dgram);
		else
			datagrams_count(socket->plane, DATAGRAM_COUNT_MALFORMED);
	}
	if (op->in_flight || worker->state != WORKER_RUNNING)
		return;
	log_error(NULL, "datagrams: receiving failed: %s", strerror(-res));
	uring_timer_set(worker->ring, &socket->again,
			worker_now(worker) + ms_to_ns(ACCEPT_PAUSE_MS));
}

static void
on_again(struct uring_timer *timer)
{
	start_receiving(uring_container_of(timer, struct plane_socket, again)->plane);
}

/* --- the start -------------------------------------------------------------------------------- */

static struct datagrams *
plane_new(struct worker *worker)
{
	struct datagrams *plane = calloc(1, sizeof *plane);

	if (plane == NULL)
		return NULL;
	plane->worker = worker;
	plane->presence.due = session_on_presence;
	plane->tell.due = datagrams_on_tell;
	TAILQ_INIT(&plane->tokens);
	TAILQ_INIT(&plane->remains);
	TAILQ_INIT(&plane->sessions);
	TAILQ_INIT(&plane->gone);
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		plane->sockets[i].plane = plane;
		plane->sockets[i].fd = -1;
		plane->sockets[i].recv.done = on_recv;
		plane->sockets[i].again.due = on_again;
	}
	datagrams_random(plane, &plane->salt, sizeof plane->salt);
	datagrams_random(plane, &plane->cookies, sizeof plane->cookies);
	return plane;
}

void
datagrams_ring(struct uring_options *ring, uint32_t size)
{
	unsigned count = DATAGRAM_BUFFERS;

	while (count > 1 && (uint64_t)count * size > DATAGRAM_BUFFERS_BYTES)
		count /= 2;
	ring->dgram_buffers = size == 0 ? 0 : count;
	ring->dgram_size = size == 0 ? 0 : size + 1; /* what is too long is seen */
}

static bool
make_tables(struct datagrams *plane)
{
	uint32_t size = 16;

	while (size < plane->settings.sessions_max && size < TABLE_MAX)
		size *= 2;
	plane->table = calloc(size, sizeof(struct session *));
	plane->offers = calloc(DATAGRAM_OFFERS, sizeof *plane->offers);
	plane->leftovers = calloc(DATAGRAM_LEFTOVERS, sizeof *plane->leftovers);
	plane->table_size = size;
	return plane->table != NULL && plane->offers != NULL && plane->leftovers != NULL;
}

static bool
make_batches(struct datagrams *plane)
{
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		struct plane_socket *socket = &plane->sockets[i];
		if (socket->fd < 0 || socket->batch != NULL)
			continue;
		socket->batch = dgram_batch_new(plane->settings.size, socket->any);
		if (socket->batch == NULL)
			return false;
	}
	return true;
}

static void
start_if_ready(struct datagrams *plane)
{
	if (plane->settings.size == 0 || !plane->keys_known ||
	    plane->worker->state != WORKER_RUNNING)
		return;
	if (!plane->receiving) {
		bool fits = plane->settings.size < uring_dgram_size(plane->worker->ring);
		if (!fits || !make_tables(plane)) {
			log_error(NULL, "datagrams: %s",
				  fits ? "no memory for sessions"
				       : "longer than was said at the start");
			plane->settings.size = 0;
			return;
		}
		plane->receiving = true;
	}
	if (make_batches(plane))
		start_receiving(plane);
	else
		log_error(NULL, "datagrams: no memory to send");
}

static struct datagrams *
plane_of(struct worker *worker)
{
	if (worker->datagrams == NULL)
		worker->datagrams = plane_new(worker);
	return worker->datagrams;
}

static void
add_peer(struct worker *worker, uint32_t number, int fd)
{
	struct datagrams *plane = number < DATAGRAM_PEERS ? plane_of(worker) : NULL;
	struct channel *channel =
	    plane == NULL || worker->state != WORKER_RUNNING ? NULL : channel_new(fd);

	if (channel != NULL)
		peer_attach(plane, number, channel);
	else
		uring_close(worker->ring, fd);
}

static void
add_socket(struct worker *worker, const struct channel_datagram_socket *message, int fd)
{
	struct datagrams *plane = plane_of(worker);
	if (plane == NULL || message->number >= SETTINGS_DATAGRAM_LISTEN_MAX ||
	    plane->sockets[message->number].fd >= 0) {
		log_error(NULL, "datagrams: socket %u is not wanted", message->number);
		uring_close(worker->ring, fd);
		return;
	}
	plane->sockets[message->number].fd = fd;
	plane->sockets[message->number].any = message->any;
	start_if_ready(plane);
}

bool
datagrams_on_keeper(struct worker *worker, const struct channel_message *message, int fd)
{
	if (message->type == CHANNEL_DATAGRAM_SOCKET && fd >= 0)
		add_socket(worker, &message->datagram_socket, fd);
	else if (message->type == CHANNEL_PEER && fd >= 0)
		add_peer(worker, message->peer.number, fd);
	return message->type == CHANNEL_DATAGRAM_SOCKET || message->type == CHANNEL_PEER;
}

/* --- control ---------------------------------------------------------------------------------- */

/* A copy of what the memfd holds; NULL: none, or not so many. */
static struct datagram_key *
copy_keys(uint32_t count, int memfd)
{
	size_t len = (size_t)count * sizeof(struct datagram_key);
	struct stat st;

	if (count == 0 || count > DATAGRAM_KEYS_MAX || memfd < 0 || fstat(memfd, &st) != 0 ||
	    (uint64_t)st.st_size < len)
		return NULL;
	struct datagram_key *keys = malloc(len);
	void *at = mmap(NULL, len, PROT_READ, MAP_PRIVATE, memfd, 0);
	if (keys != NULL && at != MAP_FAILED)
		memcpy(keys, at, len);
	if (at == MAP_FAILED) {
		free(keys);
		keys = NULL;
	} else {
		munmap(at, len);
	}
	return keys;
}

static void
drop_keys(struct datagrams *plane)
{
	if (plane->keys == NULL)
		return;
	datagram_wipe(plane->keys, plane->keys_count * sizeof *plane->keys);
	free(plane->keys);
	plane->keys = NULL;
	plane->keys_count = 0;
}

/* Whether this client may go on as before. */
static bool
is_still_known(const struct datagrams *plane, const struct session *session,
	       const struct datagram_key *old, uint32_t old_count)
{
	const struct datagram_key *was = datagram_keys_find(old, old_count, session->client);
	const struct datagram_key *is =
	    datagram_keys_find(plane->keys, plane->keys_count, session->client);

	return was != NULL && is != NULL && memcmp(was->secret, is->secret, sizeof is->secret) == 0;
}

static void
end_unknown(struct datagrams *plane, const struct datagram_key *old, uint32_t old_count)
{
	struct session *session = TAILQ_FIRST(&plane->sessions);

	while (session != NULL) {
		struct session *next = TAILQ_NEXT(session, entry);
		if (!is_still_known(plane, session, old, old_count))
			session_end(session, false);
		session = next;
	}
}

static void
take_keys(struct datagrams *plane, const struct channel_keys *message, int memfd)
{
	struct datagrams old = { .keys = plane->keys, .keys_count = plane->keys_count };

	plane->keys = copy_keys(message->count, memfd);
	plane->keys_count = plane->keys == NULL ? 0 : message->count;
	if (message->count != 0 && plane->keys == NULL) {
		/* Without keys everybody would be let in: the old ones stay. */
		log_error(NULL, "datagrams: the clients' keys could not be taken");
		plane->keys = old.keys;
		plane->keys_count = old.keys_count;
		return;
	}
	if (old.keys != NULL || plane->keys != NULL)
		end_unknown(plane, old.keys, old.keys_count);
	drop_keys(&old);
	plane->keys_known = true;
	start_if_ready(plane);
}

static void
take_settings(struct datagrams *plane, const struct datagram_settings *settings)
{
	uint32_t size = plane->settings.size;

	plane->settings = *settings;
	plane->worker->busy_ns = ms_to_ns(settings->busy_queue_time_ms);
	plane->worker->clear_ns = ms_to_ns(settings->busy_clear_time_ms);
	if (plane->receiving)
		plane->settings.size = size; /* that of the buffers */
	start_if_ready(plane);
	session_watch(plane);
}

bool
datagrams_on_control(struct worker *worker, const struct channel_message *message, int fd)
{
	struct datagrams *plane = worker->datagrams;

	switch (message->type) {
	case CHANNEL_DATAGRAM:
		if (plane != NULL)
			take_settings(plane, &message->datagram.settings);
		break;
	case CHANNEL_CLIENT_KEYS:
		if (plane != NULL)
			take_keys(plane, &message->keys, fd);
		break;
	case CHANNEL_NOTICE:
		if (plane != NULL)
			store_on_notice(plane, &message->notice, fd);
		break;
	case CHANNEL_COMMITTED:
	case CHANNEL_REFUSED:
		if (plane != NULL)
			store_on_answer(plane, &message->answer,
					message->type == CHANNEL_COMMITTED);
		break;
	case CHANNEL_ELSEWHERE:
		if (plane != NULL)
			elsewhere_set(plane, &message->elsewhere);
		break;
	default:
		return false;
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
	return true;
}

/* --- the turn and the end --------------------------------------------------------------------- */

void
datagrams_flush(struct datagrams *plane)
{
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		struct plane_socket *socket = &plane->sockets[i];
		if (socket->batch == NULL || dgram_batch_empty(socket->batch))
			continue;
		struct dgram_sent sent = dgram_batch_send(socket->batch, socket->fd);
		_Atomic uint64_t *counts = plane->worker->stats->datagrams;
		histogram_bump(&counts[DATAGRAM_COUNT_SENT], sent.sent);
		histogram_bump(&counts[DATAGRAM_COUNT_NO_ROOM], sent.dropped);
	}
}

void
datagrams_stop(struct datagrams *plane)
{
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		struct plane_socket *socket = &plane->sockets[i];
		uring_timer_clear(plane->worker->ring, &socket->again);
		if (socket->recv.in_flight)
			uring_cancel(plane->worker->ring, &socket->recv);
	}
}

bool
datagrams_end(struct datagrams *plane)
{
	session_end_all(plane, true);
	datagrams_flush(plane);
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		if (plane->sockets[i].recv.in_flight)
			return false;
	}
	/* What shall be kept is with control, if there is one. */
	if (plane->inquiries > 0 || (plane->tokens_count > 0 && plane->worker->control != NULL))
		return false;
	uring_timer_clear(plane->worker->ring, &plane->tell);
	sessions_forget_gone(plane); /* so does control when the worker is gone */
	peers_close(plane);
	return true;
}

void
datagrams_free(struct datagrams *plane)
{
	if (plane == NULL)
		return;
	session_end_all(plane, false);
	sessions_forget_gone(plane);
	for (size_t i = 0; i < SETTINGS_DATAGRAM_LISTEN_MAX; i++) {
		dgram_batch_free(plane->sockets[i].batch);
		if (plane->sockets[i].fd >= 0)
			close(plane->sockets[i].fd);
	}
	uring_timer_clear(plane->worker->ring, &plane->tell);
	tokens_forget(plane, true);
	peers_free(plane);
	drop_keys(plane);
	free(plane->table);
	free(plane->offers);
	free(plane->leftovers);
	datagram_wipe(plane, sizeof *plane);
	free(plane);
}
