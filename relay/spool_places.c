/*
 * spool_places.c - the three directories of delayed messages, and what one name in them is.
 */
#include "relay/spool_places.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- directories ------------------------------------------------------------------------------ */

static int
open_dir(int at, const char *path)
{
	return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void
spool_places_open(struct spool_asking *asking)
{
	int queue = open(asking->spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = queue < 0 ? -errno : 0;

	asking->dirs[SPOOL_PLACE_QUEUE] = queue;
	asking->dirs[SPOOL_PLACE_HELD] = queue < 0 ? -1 : open_dir(queue, SPOOL_HELD_DIR);
	asking->dirs[SPOOL_PLACE_BAD] = queue < 0 ? -1 : open_dir(queue, SPOOL_BAD_DIR);
	if (error != 0 && error != -ENOENT) {
		asking->view->outcome = SPOOL_OUTCOME_ERROR;
		asking->view->error = error;
	}
}

void
spool_places_close(struct spool_asking *asking)
{
	for (int i = 0; i < SPOOL_PLACE_COUNT; i++) {
		if (asking->dirs[i] >= 0)
			close(asking->dirs[i]);
	}
}

/* --- one message ------------------------------------------------------------------------------ */

/* The length of a name without what was put behind it when its place in bad/ was taken. */
static size_t
plain_len(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t len = strlen(name);

	if (dot == NULL)
		return len;
	size_t first = strspn(dot + 1, "0123456789abcdef");
	if (first == 0 || dot[1 + first] != '-')
		return len;
	const char *second = dot + 1 + first + 1;
	size_t digits = strspn(second, "0123456789abcdef");
	return digits > 0 && second[digits] == '\0' ? (size_t)(dot - name) : len;
}

/* The id of the host that it is for; NULL = none in the table. */
static const char *
host_of(const struct spool *spool, enum spool_place place, const char *name)
{
	char plain[NAME_MAX + 1];
	size_t host = spool_hosts_match(&spool->hosts, name);

	if (host == SPOOL_NO_HOST && place == SPOOL_PLACE_BAD) {
		size_t len = plain_len(name);
		memcpy(plain, name, len);
		plain[len] = '\0';
		host = spool_hosts_match(&spool->hosts, plain);
	}
	return host == SPOOL_NO_HOST ? NULL : spool->hosts.hosts[host].id;
}

bool
spool_is_message(const struct spool_asking *asking, enum spool_place place, const char *name,
		 const char **host)
{
	if (!spool_name_valid(name))
		return false;
	*host = host_of(asking->spool, place, name);
	return *host != NULL || place != SPOOL_PLACE_QUEUE;
}

bool
spool_find_in(const struct spool_asking *asking, enum spool_place place, const char *name,
	      struct spool_found *found)
{
	found->place = place;
	if (asking->dirs[place] < 0 || !spool_is_message(asking, place, name, &found->host) ||
	    spool_file_stamp(asking->dirs[place], name, &found->stamp) != 0 ||
	    S_ISDIR(found->stamp.mode))
		return false;
	found->key = spool_key_of(name, &found->stamp);
	return true;
}

bool
spool_find_name(const struct spool_asking *asking, enum spool_place first,
		struct spool_found *found)
{
	const char *name = asking->ask->name;

	if (spool_find_in(asking, first, name, found))
		return true;
	for (int i = 0; i < SPOOL_PLACE_COUNT; i++) {
		if (spool_find_in(asking, (enum spool_place)i, name, found))
			return true;
	}
	return false;
}

bool
spool_is_sending(const struct spool_asking *asking, const struct spool_found *found)
{
	return found->place == SPOOL_PLACE_QUEUE &&
	       spool_sending_has_file(&asking->spool->sending, &found->key);
}

struct spool_failure *
spool_backoff_of(const struct spool_asking *asking, const struct spool_found *found)
{
	struct spool_failure *failure = NULL;

	if (found->place == SPOOL_PLACE_QUEUE)
		failure = spool_backoff_find(&asking->spool->backoff, &found->key);
	return failure != NULL && failure->due_ms > asking->now.monotonic_ms ? failure : NULL;
}

static enum spool_state
state_of(const struct spool_asking *asking, const struct spool_found *found)
{
	switch (found->place) {
	case SPOOL_PLACE_HELD:
		return SPOOL_STATE_HELD;
	case SPOOL_PLACE_BAD:
		return SPOOL_STATE_BAD;
	case SPOOL_PLACE_QUEUE:
	case SPOOL_PLACE_COUNT:
		break;
	}
	if (spool_is_sending(asking, found))
		return SPOOL_STATE_SENDING;
	return spool_backoff_of(asking, found) != NULL ? SPOOL_STATE_BACKOFF : SPOOL_STATE_WAITING;
}

void
spool_describe(const struct spool_asking *asking, const char *name, const struct spool_found *found,
	       struct spool_message *message)
{
	const struct spool_failure *failure = NULL;
	int64_t age = asking->now.real_ms - found->stamp.mtime_ns / 1000000;

	*message = (struct spool_message){
		.place = found->place,
		.state = state_of(asking, found),
		.bytes = (uint64_t)found->stamp.size,
		.age_ms = age < 0 ? 0 : (uint64_t)age,
	};
	memcpy(message->name, name, strnlen(name, NAME_MAX) + 1);
	/* It is a part of the name. */
	if (found->host != NULL)
		memcpy(message->host, found->host, strlen(found->host) + 1);
	if (found->place == SPOOL_PLACE_QUEUE)
		failure = spool_backoff_find(&asking->spool->backoff, &found->key);
	if (failure == NULL)
		return;
	message->attempts = failure->failures;
	if (message->state == SPOOL_STATE_BACKOFF)
		message->next_ms = failure->due_ms - asking->now.monotonic_ms;
}
