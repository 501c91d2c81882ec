/*
 * listener_table.c - see listener_table.h.
 */
#include "relay/listener_table.h"

#include "wire/hosts_tab.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
compare(const void *a, const void *b)
{
	const struct listener_entry *x = a;
	const struct listener_entry *y = b;

	return strcmp(x->id, y->id);
}

static struct listener_entry *
find(const struct listener_table *table, const char *id)
{
	struct listener_entry key;

	strncpy(key.id, id, sizeof key.id - 1);
	key.id[sizeof key.id - 1] = '\0';
	void *node = tfind(&key, &table->by_id, compare);
	return node == NULL ? NULL : *(struct listener_entry **)node;
}

void
listener_table_init(struct listener_table *table, const char *dir, mode_t mode, struct owner owner)
{
	*table = (struct listener_table){ .dir = dir, .mode = mode, .owner = owner };
}

void
listener_table_fini(struct listener_table *table)
{
	for (uint32_t i = 0; i < table->cap; i++)
		listener_table_close(table, i);
	free(table->entries);
	*table = (struct listener_table){ 0 };
}

/* A free index, or UINT32_MAX. */
static uint32_t
free_index(struct listener_table *table)
{
	for (uint32_t i = table->free_from; i < table->cap; i++) {
		if (table->entries[i] == NULL)
			return i;
	}
	uint32_t cap = table->cap == 0 ? 64 : table->cap * 2;
	if (cap > HOSTS_MAX)
		return UINT32_MAX;
	struct listener_entry **entries = realloc(table->entries, cap * sizeof *entries);
	if (entries == NULL)
		return UINT32_MAX;
	memset(entries + table->cap, 0, (cap - table->cap) * sizeof *entries);
	uint32_t index = table->cap;
	table->entries = entries;
	table->cap = cap;
	return index;
}

/* An entry without its socket yet. */
static struct listener_entry *
insert(struct listener_table *table, const char *id)
{
	uint32_t index = free_index(table);
	struct listener_entry *entry = index == UINT32_MAX ? NULL : calloc(1, sizeof *entry);

	if (entry == NULL)
		return NULL;
	strncpy(entry->id, id, sizeof entry->id - 1);
	entry->index = index;
	entry->listener.fd = -1;
	if (tsearch(entry, &table->by_id, compare) == NULL) {
		free(entry);
		return NULL;
	}
	table->entries[index] = entry;
	table->free_from = index + 1;
	return entry;
}

int
listener_table_open(struct listener_table *table, const char *id, struct listener_entry **entry)
{
	if (hosts_tab_check_id(wire_span_str(id), strlen(table->dir)) != WIRE_OK)
		return -EINVAL;
	*entry = find(table, id);
	if (*entry == NULL) {
		*entry = insert(table, id);
		if (*entry == NULL)
			return -ENOSPC;
		int error = listener_open_for(&(*entry)->listener, table->dir, id, table->mode,
					      table->owner);
		if (error != 0) {
			listener_table_close(table, (*entry)->index);
			return error;
		}
	}
	(*entry)->synced = true;
	return 0;
}

int
listener_table_adopt(struct listener_table *table, const char *id, int fd)
{
	if (hosts_tab_check_id(wire_span_str(id), strlen(table->dir)) != WIRE_OK)
		return -EINVAL;
	if (find(table, id) != NULL)
		return -EEXIST;
	struct listener_entry *entry = insert(table, id);
	if (entry == NULL)
		return -ENOSPC;
	entry->listener = (struct listener){ .fd = fd }; /* inode 0: no path is ours */
	return 0;
}

void
listener_table_close(struct listener_table *table, uint32_t index)
{
	struct listener_entry *entry = index < table->cap ? table->entries[index] : NULL;

	if (entry == NULL)
		return;
	listener_close(&entry->listener, table->dir, entry->id);
	tdelete(entry, &table->by_id, compare);
	table->entries[index] = NULL;
	if (index < table->free_from)
		table->free_from = index;
	free(entry);
}

void
listener_table_mark(struct listener_table *table)
{
	for (uint32_t i = 0; i < table->cap; i++) {
		if (table->entries[i] != NULL)
			table->entries[i]->synced = false;
	}
}

void
listener_table_sweep(struct listener_table *table)
{
	for (uint32_t i = 0; i < table->cap; i++) {
		if (table->entries[i] != NULL && !table->entries[i]->synced)
			listener_table_close(table, i);
	}
}
