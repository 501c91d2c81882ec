/*
 * test_spool_bounds.c - very many messages: what is kept of a scan, what may be sent at a time,
 * what is remembered; and files that are replaced while their messages end.
 */
#include <pthread.h>

#include "relay/spool_backoff.h"
#include "relay/spool_list.h"
#include "tests/spool_site.h"

static struct spool *spool;
static const struct spool_time now = {
	.monotonic_ms = 5000000,
	.real_ms = (int64_t)(SITE_TIME + 100000) * 1000,
};

static void
tear_down(void)
{
	spool_free(spool);
	temp_dir_remove();
}

TestSuite(spool_bounds, .init = site_set_up, .fini = tear_down);

static void
open_spool(const struct spool_options *options, uint32_t hosts)
{
	struct spool_host table[300];
	char ids[300][16];
	struct spool_hosts copy;

	for (uint32_t i = 0; i < hosts; i++) {
		snprintf(ids[i], sizeof ids[i], "host%u", i);
		table[i] = (struct spool_host){ .id = ids[i], .index = i, .line_max = 1000 };
	}
	spool = spool_new(site_delayed, options);
	cr_assert_not_null(spool);
	cr_assert_eq(spool_hosts_init(&copy, table, hosts), 0);
	spool_set_hosts(spool, &copy);
}

static void
put(int number, uint32_t host, int seconds)
{
	char name[32];
	char text[32];

	snprintf(name, sizeof name, "%d.host%u", number, host);
	snprintf(text, sizeof text, "%d", number);
	put_text(name, text, seconds);
}

static enum spool_answer
next(uint32_t host, struct spool_entry *entry)
{
	return spool_next(spool, host, now, entry);
}

static int
number_of(struct spool_entry *entry)
{
	char *line = take_line(entry);
	int number = atoi(line);

	free(line);
	return number;
}

static struct spool_scan
scan(void)
{
	struct spool_scan result;

	cr_assert_eq(spool_scan(spool, now, &result), 0);
	free(result.ready);
	return result;
}

Test(spool_bounds, the_rest_is_found_by_later_scans_in_order)
{
	const struct spool_options options = { .entries_max = 10 };
	struct spool_entry entry;
	int expected = 0;

	open_spool(&options, 1);
	/* Made in an order that is not theirs. */
	for (int i = 0; i < 97; i++)
		put(i * 31 % 97, 0, i * 31 % 97);
	struct spool_scan found = scan();
	cr_assert_eq(found.due, 10);
	cr_assert_eq(found.left_out, 87);
	cr_assert_eq(found.wait_ms, SPOOL_RESCAN_MS);
	while (found.due > 0) {
		while (next(0, &entry) == SPOOL_ENTRY) {
			cr_assert_eq(number_of(&entry), expected++);
			cr_assert_eq(spool_done(spool, entry.token), 0);
		}
		found = scan();
	}
	cr_assert_eq(expected, 97);
}

Test(spool_bounds, a_host_with_many_takes_no_room_from_others)
{
	const struct spool_options options = { .entries_max = 10 };
	struct spool_entry entry;

	open_spool(&options, 3);
	for (int i = 0; i < 50; i++)
		put(i, 0, i);
	put(100, 1, 1000);
	put(101, 1, 1001);
	put(200, 2, 2000);
	struct spool_scan found = scan();
	cr_assert_eq(found.ready_count, 3);
	cr_assert_eq(found.due + found.left_out, 53);
	cr_assert_leq(found.due, 10);
	cr_assert_eq(next(1, &entry), SPOOL_ENTRY);
	cr_assert_eq(number_of(&entry), 100);
	cr_assert_eq(spool_done(spool, entry.token), 0);
	cr_assert_eq(next(1, &entry), SPOOL_ENTRY);
	cr_assert_eq(number_of(&entry), 101);
	cr_assert_eq(next(2, &entry), SPOOL_ENTRY);
	cr_assert_eq(number_of(&entry), 200);
	for (int i = 0; i < 7; i++) {
		cr_assert_eq(next(0, &entry), SPOOL_ENTRY);
		cr_assert_eq(number_of(&entry), i);
		cr_assert_eq(spool_done(spool, entry.token), 0);
	}
	cr_assert_eq(next(0, &entry), SPOOL_NONE);
	cr_assert_eq(entry.wait_ms, SPOOL_RESCAN_MS);
}

Test(spool_bounds, more_hosts_than_room_take_turns)
{
	const struct spool_options options = { .entries_max = 4 };
	bool seen[10] = { false };
	struct spool_entry entry;

	open_spool(&options, 10);
	for (uint32_t i = 0; i < 10; i++) {
		put(1, i, 1);
		put(2, i, 2);
	}
	/* Nothing is sent, as if all those that were found first were down. */
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(scan().due, 4);
		for (uint32_t host = 0; host < 10; host++) {
			if (next(host, &entry) != SPOOL_ENTRY)
				continue;
			cr_assert_eq(number_of(&entry), 1);
			cr_assert_eq(spool_release(spool, entry.token), 0);
			seen[host] = true;
		}
	}
	for (int i = 0; i < 10; i++)
		cr_assert(seen[i], "host %d", i);
}

Test(spool_bounds, so_many_are_sent_at_a_time)
{
	struct spool_entry entry;
	uint64_t first = 0;

	open_spool(NULL, SPOOL_SENDING_MAX + 1);
	for (uint32_t i = 0; i <= SPOOL_SENDING_MAX; i++)
		put(1, i, 1);
	cr_assert_eq(scan().due, SPOOL_SENDING_MAX + 1);
	for (uint32_t i = 0; i < SPOOL_SENDING_MAX; i++) {
		cr_assert_eq(next(i, &entry), SPOOL_ENTRY);
		close(entry.fd);
		first = i == 0 ? entry.token : first;
	}
	cr_assert_eq(next(SPOOL_SENDING_MAX, &entry), SPOOL_BUSY);
	cr_assert_eq(spool_done(spool, first), 0);
	cr_assert_eq(next(SPOOL_SENDING_MAX, &entry), SPOOL_ENTRY);
	close(entry.fd);
}

Test(spool_bounds, so_many_bytes_are_sent_at_a_time)
{
	const struct spool_options options = { .sending_bytes_max = 100 };
	struct spool_entry entry;
	char big[200];

	memset(big, 'x', sizeof big);
	open_spool(&options, 3);
	put_bytes("1.host0", big, 150, 1);
	put_bytes("1.host1", big, 60, 1);
	put_bytes("1.host2", big, 41, 1);
	scan();
	cr_assert_eq(next(0, &entry), SPOOL_ENTRY, "a single one may be larger");
	close(entry.fd);
	uint64_t first = entry.token;
	cr_assert_eq(next(1, &entry), SPOOL_BUSY);
	cr_assert_eq(spool_done(spool, first), 0);
	cr_assert_eq(next(1, &entry), SPOOL_ENTRY);
	close(entry.fd);
	first = entry.token;
	cr_assert_eq(next(2, &entry), SPOOL_BUSY, "101 bytes");
	cr_assert_eq(spool_fail(spool, first, now), 0);
	cr_assert_eq(next(2, &entry), SPOOL_ENTRY, "it was not lost by waiting");
	close(entry.fd);
}

Test(spool_bounds, failures_are_remembered_within_a_bound)
{
	struct spool_backoff backoff;

	cr_assert_eq(spool_backoff_init(&backoff, 4, 10, 1000), 0);
	for (uint64_t i = 0; i < 20; i++) {
		/* In an order that is neither up nor down. */
		struct spool_key key = { .name = i * 7 % 20, .inode = i, .mtime_ns = -1 };
		spool_backoff_fail(&backoff, &key, i);
		cr_assert_leq(backoff.count, 4);
		cr_assert_not_null(spool_backoff_find(&backoff, &key));
	}
	for (uint64_t i = 0; i < 20; i++) {
		struct spool_key key = { .name = i * 7 % 20, .inode = i, .mtime_ns = -1 };
		const struct spool_failure *found = spool_backoff_find(&backoff, &key);
		cr_assert_eq(found != NULL, i >= 16, "%d: those due first are forgotten", (int)i);
		cr_assert(found == NULL || found->due_ms == i + 10);
		key.mtime_ns = 0;
		cr_assert_null(spool_backoff_find(&backoff, &key));
	}
	cr_assert_eq(spool_backoff_next(&backoff, 0), 26);
	cr_assert_eq(spool_backoff_next(&backoff, 28), 29);
	cr_assert_eq(spool_backoff_next(&backoff, 29), UINT64_MAX);
	spool_backoff_fini(&backoff);
}

Test(spool_bounds, a_list_keeps_the_oldest_whatever_the_order)
{
	unsigned seed = 20261;

	for (int round = 0; round < 200; round++) {
		struct spool_list list;
		struct spool_item item = { .mtime_ns = 0 };
		size_t max = (size_t)(1 + rand_r(&seed) % 20);
		int count = 1 + rand_r(&seed) % 38;
		int start = rand_r(&seed) % count;

		cr_assert_eq(spool_list_init(&list, 1), 0);
		for (int i = 0; i < count; i++)
			spool_list_count(&list, 0);
		cr_assert_eq(spool_list_share(&list, max, 0), 0);
		/* Some come and go between the passes. */
		int late = rand_r(&seed) % 3;
		for (int i = 0; i < count + late; i++) {
			/* No two are the same: there are fewer than 41. */
			int time = (i * 43 + start) % 41;
			item.mtime_ns = time;
			snprintf(item.name, sizeof item.name, "%d", time);
			spool_list_add(&list, 0, &item);
		}
		spool_list_sort(&list);
		int64_t last = -1;
		size_t kept = 0;
		for (const struct spool_item *first; (first = spool_list_first(&list, 0)) != NULL;
		     kept++) {
			cr_assert_gt(first->mtime_ns, last);
			last = first->mtime_ns;
			spool_list_pop(&list, 0);
		}
		size_t room = max < (size_t)count ? max : (size_t)count;
		cr_assert_eq(kept, room);
		cr_assert_eq(list.left_out, (size_t)(count + late) - room);
		/* Exactly `kept` of the times added are as old as the last one. */
		size_t older = 0;
		for (int i = 0; i < count + late; i++)
			older += (i * 43 + start) % 41 <= last;
		cr_assert_eq(older, kept);
		spool_list_fini(&list);
	}
}

/* ---- a file that takes the name of a delivered one, at any moment ---- */

static pthread_barrier_t both_ready;

static void *
replace_file(void *context)
{
	char *from = strdup(delayed_path("new"));
	char *to = strdup(delayed_path("1.host0"));

	(void)context;
	pthread_barrier_wait(&both_ready);
	int error = rename(from, to);
	free(from);
	free(to);
	return error == 0 ? NULL : &both_ready;
}

Test(spool_bounds, a_replaced_file_is_never_removed)
{
	struct spool_entry entry;

	open_spool(NULL, 1);
	pthread_barrier_init(&both_ready, NULL, 2);
	for (int i = 0; i < 400; i++) {
		pthread_t thread;
		void *failed;

		put_text("1.host0", "1", 1);
		put_text("new", "2", 1);
		scan();
		cr_assert_eq(next(0, &entry), SPOOL_ENTRY);
		cr_assert_eq(number_of(&entry), 1);
		cr_assert_eq(pthread_create(&thread, NULL, replace_file, NULL), 0);
		pthread_barrier_wait(&both_ready);
		cr_assert_eq(spool_done(spool, entry.token), 0);
		cr_assert_eq(pthread_join(thread, &failed), 0);
		cr_assert_null(failed);
		scan();
		cr_assert_eq(next(0, &entry), SPOOL_ENTRY, "round %d: it is lost", i);
		cr_assert_eq(number_of(&entry), 2);
		cr_assert_eq(spool_done(spool, entry.token), 0);
		cr_assert_eq(scan().due, 0);
	}
	pthread_barrier_destroy(&both_ready);
}
