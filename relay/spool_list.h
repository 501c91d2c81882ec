/*
 * spool_list.h - what a scan found: for each host its oldest files, oldest first, within one bound
 * for all.
 *
 *   entries  | host 0, room 3 | host 1, room 1 | host 2, room 4 ...
 *                ^ next   ^ next + count
 *
 * A scan counts the files of each host, shares the bound out, and then adds them: so a host with
 * very many files takes no room from the others, and memory is what is needed.
 */
#ifndef RELAY_SPOOL_LIST_H
#define RELAY_SPOOL_LIST_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct spool_item {
	int64_t mtime_ns;
	uint64_t size;
	char name[NAME_MAX + 1];
};

struct spool_range {
	uint32_t room;  /* while counting: files */
	uint32_t files; /* all that were counted */
	uint32_t count; /* items */
	uint32_t next;  /* the first of them */
};

/* Zeroed = empty, for no hosts. */
struct spool_list {
	struct spool_item *items;
	struct spool_range *ranges; /* one for each host */
	size_t host_count;
	size_t left_out; /* items that found no room */
};

/* Empty, for so many hosts.  0 or -ENOMEM. */
int spool_list_init(struct spool_list *list, size_t host_count);
void spool_list_fini(struct spool_list *list);

/* First pass: this host has one more file. */
void spool_list_count(struct spool_list *list, size_t host);

/*
 * Between the passes: makes room for `max` items or fewer.  When not even one for each host fits,
 * the hosts from `turn` on get one.  0 or -ENOMEM.
 */
int spool_list_share(struct spool_list *list, size_t max, size_t turn);

/* Second pass: keeps the item if it is among the host's oldest. */
void spool_list_add(struct spool_list *list, size_t host, const struct spool_item *item);

/* After it: puts each host's items in order. */
void spool_list_sort(struct spool_list *list);

/* The host's oldest, or NULL; spool_list_pop takes it out. */
const struct spool_item *spool_list_first(const struct spool_list *list, size_t host);
void spool_list_pop(struct spool_list *list, size_t host);

#endif
