/*
 * spool_sending.c - a small table, searched from its start.  Owns the descriptors of the lines;
 * touches no file.
 */
#include "relay/spool_sending.h"

#include <assert.h>
#include <unistd.h>

bool
spool_sending_is_full(const struct spool_sending *sending)
{
	for (size_t i = 0; i < SPOOL_SENDING_MAX; i++)
		if (sending->slots[i].token == 0)
			return false;
	return true;
}

bool
spool_sending_has_host(const struct spool_sending *sending, uint32_t host)
{
	for (size_t i = 0; i < SPOOL_SENDING_MAX; i++)
		if (sending->slots[i].token != 0 && sending->slots[i].host == host)
			return true;
	return false;
}

bool
spool_sending_has_file(const struct spool_sending *sending, const struct spool_key *key)
{
	for (size_t i = 0; i < SPOOL_SENDING_MAX; i++) {
		const struct spool_slot *slot = &sending->slots[i];
		if (slot->token != 0 && slot->key.name == key->name &&
		    slot->key.inode == key->inode && slot->key.mtime_ns == key->mtime_ns)
			return true;
	}
	return false;
}

static struct spool_slot *
find(struct spool_sending *sending, uint64_t token)
{
	for (size_t i = 0; i < SPOOL_SENDING_MAX; i++)
		if (sending->slots[i].token == token)
			return &sending->slots[i];
	return NULL;
}

struct spool_slot *
spool_sending_add(struct spool_sending *sending, struct spool_line *line)
{
	struct spool_slot *slot = find(sending, 0);

	assert(slot != NULL);
	assert(line->fd >= 0);
	*slot = (struct spool_slot){
		.token = ++sending->last_token,
		.fd = line->fd,
		.len = line->len,
		.stamp = line->stamp,
	};
	line->fd = -1;
	sending->bytes += slot->len;
	return slot;
}

struct spool_slot *
spool_sending_find(struct spool_sending *sending, uint64_t token)
{
	return token == 0 ? NULL : find(sending, token);
}

void
spool_sending_end(struct spool_sending *sending, struct spool_slot *slot)
{
	assert(slot->token != 0);
	assert(sending->bytes >= slot->len);
	sending->bytes -= slot->len;
	close(slot->fd);
	slot->token = 0;
}

void
spool_sending_fini(struct spool_sending *sending)
{
	for (size_t i = 0; i < SPOOL_SENDING_MAX; i++)
		if (sending->slots[i].token != 0)
			spool_sending_end(sending, &sending->slots[i]);
}
