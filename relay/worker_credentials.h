/*
 * worker_credentials.h - the certificates and keys that a worker was given, by number, for links
 * and gateways to make contexts of.
 *
 * What is in the files stays in sealed memory of the kernel; it is mapped while a context is made
 * and not longer.  Who has made one knows by the digest whether a number that changed is anything
 * new.
 */
#ifndef RELAY_WORKER_CREDENTIALS_H
#define RELAY_WORKER_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/channel.h"
#include "relay/tls_material.h"
#include "wire/wire.h"

struct worker;

struct credentials {
	LIST_ENTRY(credentials) entry;
	uint32_t number;
	uint32_t lengths[TLS_FILE_COUNT];
	uint8_t digest[TLS_DIGEST_SIZE];
	int memfd;
	bool synced; /* told of since the sync began */
};

LIST_HEAD(credentials_list, credentials);

/* The files as they were read, while they are mapped. */
struct credentials_view {
	void *at;
	size_t size;
	struct wire_span files[TLS_FILE_COUNT];
};

/* true = the message was about them; the descriptor went with it. */
bool worker_on_credentials(struct worker *worker, const struct channel_message *message, int fd);

/* At the begin and at the end of a sync: what control did not tell of goes. */
void worker_sync_credentials(struct worker *worker, bool end);

void worker_free_credentials(struct worker *worker);

/* Those of a number that control named with a host or gateway; NULL: none (any more). */
const struct credentials *worker_credentials(const struct worker *worker, uint32_t number);

/* False: no memory.  What was mapped is unmapped by its user before the turn goes on. */
bool credentials_map(const struct credentials *credentials, struct credentials_view *view);
void credentials_unmap(struct credentials_view *view);

#endif
