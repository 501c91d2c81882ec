/*
 * fake_channel.c - see fake_channel.h.  Owns both queues; the descriptors it passes on belong to
 * the fake ring.
 */
#include "tests/fake_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	QUEUE_MAX = 32
};

struct note {
	STAILQ_ENTRY(note) entry;
	struct channel_message message;
	int fd;
};

STAILQ_HEAD(note_list, note);

struct channel {
	struct uring *ring;
	fake_channel_said *said;
	void *context;
	int fd;
	bool held;
	bool ended;
	unsigned queued;
	struct note_list to_worker;
	struct note_list from_worker;
};

const char *
channel_type_text(enum channel_type type)
{
	switch (type) {
#define X(name, text, payload) \
	case name:             \
		return text;
		CHANNEL_TYPES(X)
#undef X
	}
	return "unknown";
}

static void
show(struct channel *channel)
{
	bool in = channel->ended || !STAILQ_EMPTY(&channel->to_worker);

	fake_polled_set(channel->ring, channel->fd,
			(in ? POLLIN : 0u) | (channel->held ? 0u : POLLOUT));
}

struct channel *
fake_channel_new(struct uring *ring, fake_channel_said *said, void *context)
{
	struct channel *channel = calloc(1, sizeof *channel);

	if (channel == NULL)
		abort();
	channel->ring = ring;
	channel->said = said;
	channel->context = context;
	channel->fd = fake_polled(ring);
	STAILQ_INIT(&channel->to_worker);
	STAILQ_INIT(&channel->from_worker);
	show(channel);
	return channel;
}

static void
append(struct note_list *list, const struct channel_message *message, int fd)
{
	struct note *note = malloc(sizeof *note);

	if (note == NULL)
		abort();
	note->message = *message;
	note->fd = fd;
	STAILQ_INSERT_TAIL(list, note, entry);
}

/* What was not received is gone, and the descriptors on their way are closed, as the kernel does.
 */
static void
drop_all(struct channel *channel, struct note_list *list)
{
	struct note *note;

	while ((note = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		if (note->fd >= 0)
			fake_polled_close(channel->ring, note->fd);
		free(note);
	}
}

void
channel_free(struct channel *channel)
{
	drop_all(channel, &channel->to_worker);
	drop_all(channel, &channel->from_worker);
	fake_polled_close(channel->ring, channel->fd);
	free(channel);
}

int
channel_fd(const struct channel *channel)
{
	return channel->fd;
}

uint32_t
channel_queued(const struct channel *channel)
{
	return channel->queued;
}

/* Nothing in the simulation passes a channel by its descriptor. */
struct channel *
channel_new(int fd)
{
	(void)fd;
	abort();
}

bool
channel_pending(const struct channel *channel)
{
	return channel->queued > 0;
}

int
channel_send(struct channel *channel, const struct channel_message *message, int fd)
{
	if (channel->ended)
		return -EPIPE;
	if (!channel->held && channel->queued == 0) {
		channel->said(channel->context, message);
		return 0;
	}
	if (channel->queued >= QUEUE_MAX)
		return -ENOBUFS;
	append(&channel->from_worker, message, fd);
	channel->queued++;
	return 0;
}

int
channel_flush(struct channel *channel)
{
	struct note *note;

	while (!channel->held && (note = STAILQ_FIRST(&channel->from_worker)) != NULL) {
		STAILQ_REMOVE_HEAD(&channel->from_worker, entry);
		channel->queued--;
		channel->said(channel->context, &note->message);
		free(note);
	}
	return 0;
}

int
channel_receive(struct channel *channel, struct channel_message *message, int *fd)
{
	struct note *note = STAILQ_FIRST(&channel->to_worker);

	*fd = -1;
	if (note == NULL)
		return channel->ended ? -EPIPE : 0;
	STAILQ_REMOVE_HEAD(&channel->to_worker, entry);
	*message = note->message;
	*fd = note->fd;
	free(note);
	show(channel);
	return 1;
}

void
fake_channel_say(struct channel *channel, const struct channel_message *message, int fd)
{
	append(&channel->to_worker, message, fd);
	show(channel);
}

void
fake_channel_hold(struct channel *channel, bool held)
{
	channel->held = held;
	show(channel);
}

void
fake_channel_end(struct channel *channel)
{
	channel->ended = true;
	show(channel);
}
