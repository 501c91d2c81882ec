/*
 * spool_hosts.c - two sorted orders over one copy of the table.  Owns the copy; knows no files.
 */
#include "relay/spool_hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct spool_host *)a)->id, ((const struct spool_host *)b)->id);
}

static int
compare_indexes(const void *a, const void *b, void *context)
{
	const struct spool_hosts *hosts = context;
	uint32_t left = hosts->hosts[*(const uint32_t *)a].index;
	uint32_t right = hosts->hosts[*(const uint32_t *)b].index;

	return left < right ? -1 : left > right;
}

static void
copy_hosts(struct spool_hosts *hosts, const struct spool_host *from)
{
	char *id = hosts->ids;

	for (size_t i = 0; i < hosts->count; i++) {
		size_t size = strlen(from[i].id) + 1;
		memcpy(id, from[i].id, size);
		hosts->hosts[i] = from[i];
		hosts->hosts[i].id = id;
		id += size;
	}
	qsort(hosts->hosts, hosts->count, sizeof *hosts->hosts, compare_ids);
	for (size_t i = 0; i < hosts->count; i++)
		hosts->by_index[i] = (uint32_t)i;
	qsort_r(hosts->by_index, hosts->count, sizeof *hosts->by_index, compare_indexes, hosts);
}

int
spool_hosts_init(struct spool_hosts *hosts, const struct spool_host *from, size_t count)
{
	size_t bytes = 0;

	*hosts = (struct spool_hosts){ .count = count };
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		bytes += strlen(from[i].id) + 1;
	hosts->hosts = calloc(count, sizeof *hosts->hosts);
	hosts->by_index = calloc(count, sizeof *hosts->by_index);
	hosts->ids = malloc(bytes);
	if (hosts->hosts == NULL || hosts->by_index == NULL || hosts->ids == NULL) {
		spool_hosts_fini(hosts);
		return -ENOMEM;
	}
	copy_hosts(hosts, from);
	return 0;
}

void
spool_hosts_fini(struct spool_hosts *hosts)
{
	free(hosts->hosts);
	free(hosts->by_index);
	free(hosts->ids);
	*hosts = (struct spool_hosts){ .count = 0 };
}

size_t
spool_hosts_match(const struct spool_hosts *hosts, const char *name)
{
	if (name[0] == '.' || hosts->count == 0)
		return SPOOL_NO_HOST;
	/* From the left, so that the longest suffix comes first. */
	for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		const struct spool_host key = { .id = dot + 1 };
		const struct spool_host *found =
		    bsearch(&key, hosts->hosts, hosts->count, sizeof key, compare_ids);
		if (found != NULL)
			return (size_t)(found - hosts->hosts);
	}
	return SPOOL_NO_HOST;
}

size_t
spool_hosts_find(const struct spool_hosts *hosts, uint32_t index)
{
	size_t low = 0;
	size_t high = hosts->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t at = hosts->by_index[middle];
		if (hosts->hosts[at].index == index)
			return at;
		if (hosts->hosts[at].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return SPOOL_NO_HOST;
}
