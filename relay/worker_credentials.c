/*
 * worker_credentials.c - keeps what control gave until it is taken back; see the header.
 *
 * Opens no file, looks into nothing: that is for whoever makes a context.  Owns the memfds.
 */
#include "relay/worker_credentials.h"

#include "relay/log.h"
#include "relay/sandbox.h"
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct credentials *
find(const struct worker *worker, uint32_t number)
{
	struct credentials *one;

	LIST_FOREACH(one, &worker->credentials, entry)
		if (one->number == number)
			return one;
	return NULL;
}

const struct credentials *
worker_credentials(const struct worker *worker, uint32_t number)
{
	return find(worker, number);
}

static void
drop(struct worker *worker, struct credentials *one)
{
	LIST_REMOVE(one, entry);
	uring_close(worker->ring, one->memfd);
	free(one);
}

static bool
is_sound(const struct channel_credentials *message)
{
	return message->number != 0 && message->lengths[TLS_FILE_CA] <= TLS_CA_MAX &&
	       message->lengths[TLS_FILE_CERT] <= TLS_CERT_MAX &&
	       message->lengths[TLS_FILE_KEY] <= TLS_KEY_MAX;
}

/* A number that comes again means what control says now: it may be another process. */
static void
add(struct worker *worker, const struct channel_credentials *message, int fd)
{
	struct credentials *one = find(worker, message->number);

	if (one != NULL)
		drop(worker, one);
	one = fd >= 0 && is_sound(message) ? calloc(1, sizeof *one) : NULL;
	if (one == NULL) {
		log_error(NULL, "credentials %u cannot be taken", message->number);
		if (fd >= 0)
			uring_close(worker->ring, fd);
		return;
	}
	one->number = message->number;
	one->memfd = fd;
	one->synced = true;
	memcpy(one->lengths, message->lengths, sizeof one->lengths);
	memcpy(one->digest, message->digest, sizeof one->digest);
	LIST_INSERT_HEAD(&worker->credentials, one, entry);
	/* In the sandbox it is so from the start. */
	sandbox_hide();
}

bool
worker_on_credentials(struct worker *worker, const struct channel_message *message, int fd)
{
	struct credentials *one;

	if (message->type == CHANNEL_CREDENTIALS) {
		add(worker, &message->credentials, fd);
		return true;
	}
	if (message->type != CHANNEL_CREDENTIALS_DROP)
		return false;
	one = find(worker, message->credentials.number);
	if (one != NULL)
		drop(worker, one);
	if (fd >= 0)
		uring_close(worker->ring, fd);
	return true;
}

void
worker_sync_credentials(struct worker *worker, bool end)
{
	struct credentials *one;
	struct credentials *next;

	for (one = LIST_FIRST(&worker->credentials); one != NULL; one = next) {
		next = LIST_NEXT(one, entry);
		if (end && !one->synced)
			drop(worker, one);
		else if (!end)
			one->synced = false;
	}
}

void
worker_free_credentials(struct worker *worker)
{
	struct credentials *one;

	/* The ring takes no more at its end. */
	while ((one = LIST_FIRST(&worker->credentials)) != NULL) {
		LIST_REMOVE(one, entry);
		close(one->memfd);
		free(one);
	}
}

bool
credentials_map(const struct credentials *credentials, struct credentials_view *view)
{
	size_t at = 0;

	view->size = 0;
	for (size_t i = 0; i < TLS_FILE_COUNT; i++)
		view->size += credentials->lengths[i];
	view->at = mmap(NULL, view->size, PROT_READ, MAP_PRIVATE, credentials->memfd, 0);
	if (view->at == MAP_FAILED)
		return false;
	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		view->files[i] = wire_span((const uint8_t *)view->at + at, credentials->lengths[i]);
		at += credentials->lengths[i];
	}
	return true;
}

void
credentials_unmap(struct credentials_view *view)
{
	munmap(view->at, view->size);
	*view = (struct credentials_view){ .at = NULL };
}
