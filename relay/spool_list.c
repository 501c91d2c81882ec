/*
 * spool_list.c - one array, cut into a range for each host.  A range is a heap with the newest item
 * on top while it is filled, so that an older one can take its place; then it is sorted.
 */
#include "relay/spool_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
spool_list_init(struct spool_list *list, size_t host_count)
{
	*list = (struct spool_list){ .host_count = host_count };
	if (host_count == 0)
		return 0;
	list->ranges = calloc(host_count, sizeof *list->ranges);
	if (list->ranges == NULL) {
		list->host_count = 0;
		return -ENOMEM;
	}
	return 0;
}

void
spool_list_fini(struct spool_list *list)
{
	free(list->items);
	free(list->ranges);
	*list = (struct spool_list){ .items = NULL };
}

void
spool_list_count(struct spool_list *list, size_t host)
{
	if (list->ranges[host].room < UINT32_MAX)
		list->ranges[host].files = ++list->ranges[host].room;
}

static size_t
total_with_quota(const struct spool_list *list, size_t quota)
{
	size_t total = 0;

	for (size_t i = 0; i < list->host_count; i++)
		total += list->ranges[i].room < quota ? list->ranges[i].room : quota;
	return total;
}

/* The most that every host may have. */
static size_t
find_quota(const struct spool_list *list, size_t max)
{
	size_t low = 0;
	size_t high = max;

	while (low < high) {
		size_t middle = high - (high - low) / 2;
		if (total_with_quota(list, middle) <= max)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* One each, for as many as there is room for. */
static size_t
share_singly(struct spool_list *list, size_t max, size_t turn)
{
	size_t total = 0;

	for (size_t i = 0; i < list->host_count; i++) {
		struct spool_range *range = &list->ranges[(turn + i) % list->host_count];
		range->room = range->room > 0 && total < max;
		total += range->room;
	}
	return total;
}

int
spool_list_share(struct spool_list *list, size_t max, size_t turn)
{
	size_t quota = find_quota(list, max);
	size_t total;

	if (quota == 0) {
		total = share_singly(list, max, turn);
	} else {
		total = total_with_quota(list, quota);
		for (size_t i = 0; i < list->host_count; i++)
			if (list->ranges[i].room > quota)
				list->ranges[i].room = (uint32_t)quota;
	}
	uint32_t at = 0;
	for (size_t i = 0; i < list->host_count; i++) {
		list->ranges[i].next = at;
		at += list->ranges[i].room;
	}
	if (total == 0)
		return 0;
	list->items = malloc(total * sizeof *list->items);
	return list->items == NULL ? -ENOMEM : 0;
}

static int
compare_items(const void *a, const void *b)
{
	const struct spool_item *left = a;
	const struct spool_item *right = b;

	if (left->mtime_ns != right->mtime_ns)
		return left->mtime_ns < right->mtime_ns ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void
sift_up(struct spool_item *items, size_t at)
{
	const struct spool_item moving = items[at];

	while (at > 0 && compare_items(&moving, &items[(at - 1) / 2]) > 0) {
		items[at] = items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	items[at] = moving;
}

static void
sift_down(struct spool_item *items, size_t count)
{
	const struct spool_item moving = items[0];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < count && compare_items(&items[child + 1], &items[child]) > 0)
			child++;
		if (child >= count || compare_items(&items[child], &moving) <= 0)
			break;
		items[at] = items[child];
		at = child;
	}
	items[at] = moving;
}

void
spool_list_add(struct spool_list *list, size_t host, const struct spool_item *item)
{
	struct spool_range *range = &list->ranges[host];

	if (range->room == 0) {
		list->left_out++;
		return;
	}
	struct spool_item *items = list->items + range->next;
	if (range->count < range->room) {
		items[range->count] = *item;
		sift_up(items, range->count++);
		return;
	}
	list->left_out++;
	if (compare_items(item, &items[0]) < 0) {
		items[0] = *item;
		sift_down(items, range->count);
	}
}

void
spool_list_sort(struct spool_list *list)
{
	for (size_t i = 0; i < list->host_count; i++) {
		struct spool_range *range = &list->ranges[i];
		if (range->count > 1)
			qsort(list->items + range->next, range->count, sizeof *list->items,
			      compare_items);
	}
}

const struct spool_item *
spool_list_first(const struct spool_list *list, size_t host)
{
	const struct spool_range *range = &list->ranges[host];

	return range->count > 0 ? &list->items[range->next] : NULL;
}

void
spool_list_pop(struct spool_list *list, size_t host)
{
	list->ranges[host].next++;
	list->ranges[host].count--;
}
