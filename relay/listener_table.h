/*
 * listener_table.h - the keeper's listening sockets by host id; the place in the table is the
 * host's index everywhere.
 */
#ifndef RELAY_LISTENER_TABLE_H
#define RELAY_LISTENER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/limits.h"
#include "relay/listener.h"

struct listener_entry {
	char id[HOST_ID_MAX + 1];
	uint32_t index;
	bool synced; /* named since listener_table_mark() */
	struct listener listener;
};

struct listener_table {
	const char *dir; /* where the sockets are; must outlive the table */
	mode_t mode;
	struct owner owner;
	struct listener_entry **entries; /* by index; NULL = free */
	uint32_t cap;
	uint32_t free_from; /* no free place below */
	void *by_id;        /* tsearch(3) */
};

void listener_table_init(struct listener_table *table, const char *dir, mode_t mode,
			 struct owner owner);

/* Closes and unlinks everything. */
void listener_table_fini(struct listener_table *table);

/*
 * The entry of that id; makes its socket if there is none yet.  Its fields may be read until it is
 * closed. 0, or a negative errno: -EINVAL for an id that cannot name a socket, -ENOSPC when the
 * table is full.
 */
int listener_table_open(struct listener_table *table, const char *id,
			struct listener_entry **entry);

/* Takes over a listening socket that somebody else made (socket activation); its path is never
 * unlinked.  Errors as those of listener_table_open, and -EEXIST. */
int listener_table_adopt(struct listener_table *table, const char *id, int fd);

/* Closes and unlinks one; nothing happens if there is none. */
void listener_table_close(struct listener_table *table, uint32_t index);

/* Marks all as unnamed; then listener_table_sweep() closes those that were not opened again in
 * between. */
void listener_table_mark(struct listener_table *table);
void listener_table_sweep(struct listener_table *table);

#endif
