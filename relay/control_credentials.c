/*
 * control_credentials.c - see control_credentials.h.
 *
 * Never logs what is in a file, and keeps it nowhere but in memfds, which are sealed.  Owns these.
 */
#include "relay/control_credentials.h"

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct control_credential {
	LIST_ENTRY(control_credential) entry;
	struct channel_credentials message;
	int memfd;
	bool used; /* the configuration in force names it */
};

static struct control_credential *
find(struct control *control, const uint8_t digest[TLS_DIGEST_SIZE])
{
	struct control_credential *one;

	LIST_FOREACH(one, &control->credentials.list, entry)
		if (memcmp(one->message.digest, digest, TLS_DIGEST_SIZE) == 0)
			return one;
	return NULL;
}

static void
tell(struct control *control, uint32_t number, enum channel_type type,
     const struct control_credential *one)
{
	struct control_worker *worker = &control->workers[number];
	struct channel_message message = { .type = type, .credentials = one->message };

	if (worker->channel == NULL)
		return;
	/* Without them its hosts could not follow: it is told all again. */
	if (channel_send(worker->channel, &message,
			 type == CHANNEL_CREDENTIALS ? one->memfd : -1) != 0)
		worker->behind = true;
}

static void
tell_all(struct control *control, enum channel_type type, const struct control_credential *one)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++)
		tell(control, i, type, one);
}

/* NULL: no memory or descriptor. */
static struct control_credential *
add(struct control *control, const struct config_credentials *set)
{
	struct control_credential *one = calloc(1, sizeof *one);
	size_t size = 0;

	if (one == NULL || set->bytes == NULL) {
		free(one);
		return NULL;
	}
	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		one->message.lengths[i] = (uint32_t)set->lengths[i];
		size += set->lengths[i];
	}
	memcpy(one->message.digest, set->digest, sizeof one->message.digest);
	one->message.number = ++control->credentials.last;
	one->memfd = control_messages_memfd("credentials", set->bytes, size);
	if (one->memfd < 0) {
		free(one);
		return NULL;
	}
	LIST_INSERT_HEAD(&control->credentials.list, one, entry);
	tell_all(control, CHANNEL_CREDENTIALS, one);
	return one;
}

void
control_credentials_apply(struct control *control)
{
	struct control_credentials *all = &control->credentials;
	struct control_credential *one;
	size_t count = control->config.credential_count;

	LIST_FOREACH(one, &all->list, entry)
		one->used = false;
	free(all->numbers);
	all->numbers = count == 0 ? NULL : calloc(count, sizeof *all->numbers);
	/* Also without a sandbox: no image of this process goes to a disk. */
	if (count > 0)
		sandbox_hide();
	for (size_t i = 0; i < count && all->numbers != NULL; i++) {
		const struct config_credentials *set = &control->config.credentials[i];

		one = find(control, set->digest);
		if (one == NULL)
			one = add(control, set);
		if (one == NULL) {
			log_error(NULL, "%s: no memory or descriptor to keep it",
				  set->paths[TLS_FILE_CERT]);
			continue;
		}
		one->used = true;
		all->numbers[i] = one->message.number;
	}
	config_tls_wipe(&control->config);
	control->expiry.own_said_at = child_clock_ms(); /* while they were read */
}

void
control_credentials_settle(struct control *control)
{
	struct control_credential *one = LIST_FIRST(&control->credentials.list);

	while (one != NULL) {
		struct control_credential *next = LIST_NEXT(one, entry);

		if (!one->used) {
			tell_all(control, CHANNEL_CREDENTIALS_DROP, one);
			LIST_REMOVE(one, entry);
			close(one->memfd);
			free(one);
		}
		one = next;
	}
}

void
control_credentials_tell(struct control *control, uint32_t worker)
{
	const struct control_credential *one;

	LIST_FOREACH(one, &control->credentials.list, entry)
		tell(control, worker, CHANNEL_CREDENTIALS, one);
}

uint32_t
control_credentials_number(const struct control *control, uint32_t index)
{
	const struct control_credentials *all = &control->credentials;

	if (all->numbers == NULL || index >= control->config.credential_count)
		return 0;
	return all->numbers[index];
}
