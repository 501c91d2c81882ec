/*
 * gateway_context.c - what a gateway's TLS contexts are made of, and when a new one is made.
 *
 * Those who are there stay with the context that they came by; those who come get the newest.  What
 * cannot be made of new credentials leaves the old ones in force.  Owns the context, the list of
 * names and the keys of tickets.
 */
#include "relay/gateway.h"

#include "relay/log.h"
#include "relay/stats.h"
#include "relay/worker.h"
#include "relay/worker_credentials.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Copies all of it; NULL: it is not there. */
static void *
read_memfd(int memfd, size_t len)
{
	void *at =
	    memfd < 0 || len == 0 ? MAP_FAILED : mmap(NULL, len, PROT_READ, MAP_PRIVATE, memfd, 0);
	void *copy = at == MAP_FAILED ? NULL : malloc(len);

	if (copy != NULL)
		memcpy(copy, at, len);
	if (at != MAP_FAILED)
		munmap(at, len);
	return copy;
}

static uint32_t
split(const char *names, size_t len, const char *list[TLS_ALLOW_MAX])
{
	uint32_t count = 0;

	for (size_t at = 0; at < len && count < TLS_ALLOW_MAX; at += strlen(names + at) + 1)
		list[count++] = names + at;
	return count;
}

bool
gateway_read_allow(struct gateway *gateway, int memfd, uint32_t len)
{
	char *names = len > GATEWAY_ALLOW_BYTES_MAX ? NULL : read_memfd(memfd, len);
	bool same =
	    names != NULL && gateway->allow_len == len && memcmp(names, gateway->allow, len) == 0;

	if (names == NULL || names[len - 1] != '\0' || same) {
		free(names);
		return false;
	}
	free(gateway->allow);
	gateway->allow = names;
	gateway->allow_len = len;
	return true;
}

void
gateway_read_ticket_keys(struct gateway *gateway, const struct channel_ticket_keys *message,
			 int memfd)
{
	uint32_t count =
	    message->count < TLS_TICKET_KEYS_MAX ? message->count : TLS_TICKET_KEYS_MAX;
	size_t len = count * sizeof gateway->keys[0];
	struct tls_ticket_key *keys = read_memfd(memfd, len);
	bool other = memcmp(gateway->session_context, message->context, TICKET_CONTEXT_SIZE) != 0;

	explicit_bzero(gateway->keys, sizeof gateway->keys);
	gateway->keys_count = keys == NULL ? 0 : count;
	if (keys != NULL) {
		memcpy(gateway->keys, keys, len);
		explicit_bzero(keys, len);
		free(keys);
	}
	memcpy(gateway->session_context, message->context, TICKET_CONTEXT_SIZE);
	if (other)
		gateway_renew_context(gateway, true);
	else if (gateway->context != NULL)
		tls_context_set_ticket_keys(gateway->context, gateway->keys, gateway->keys_count);
}

static struct tls_context *
make(struct gateway *gateway, const struct credentials *credentials, const char **why)
{
	const char *allow[TLS_ALLOW_MAX];
	struct credentials_view view;

	*why = "no memory";
	if (!credentials_map(credentials, &view))
		return NULL;
	const struct tls_options options = {
		.role = TLS_IN,
		.ca = view.files[TLS_FILE_CA],
		.cert = view.files[TLS_FILE_CERT],
		.key = view.files[TLS_FILE_KEY],
		.allow = allow,
		.allow_count = split(gateway->allow, gateway->allow_len, allow),
		.session_id_context = wire_span(gateway->session_context, TICKET_CONTEXT_SIZE),
	};
	struct tls_context *context = tls_context_new(&options, why);
	credentials_unmap(&view);
	return context;
}

void
gateway_renew_context(struct gateway *gateway, bool anew)
{
	const struct credentials *credentials =
	    worker_credentials(gateway->worker, gateway->settings.credentials);
	const char *why = NULL;

	if (credentials == NULL || gateway->allow == NULL)
		return;
	if (!anew && gateway->context != NULL &&
	    memcmp(gateway->digest, credentials->digest, sizeof gateway->digest) == 0)
		return;
	struct tls_context *context = make(gateway, credentials, &why);
	if (context == NULL) {
		log_error(NULL, "gateway %s: its credentials cannot be used: %s", gateway->name,
			  why);
		return;
	}
	tls_context_set_ticket_keys(context, gateway->keys, gateway->keys_count);
	tls_context_release(gateway->context);
	gateway->context = context;
	memcpy(gateway->digest, credentials->digest, sizeof gateway->digest);
	stats_set(&gateway->stats->own_expiry, (uint64_t)tls_context_expiry(context));
	gateway_arm_accepts(gateway);
}

void
gateway_drop_context(struct gateway *gateway)
{
	tls_context_release(gateway->context);
	gateway->context = NULL;
	free(gateway->allow);
	gateway->allow = NULL;
	explicit_bzero(gateway->keys, sizeof gateway->keys);
	gateway->keys_count = 0;
}
