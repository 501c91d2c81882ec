/*
 * test_listener_table.c - the keeper's table of listening sockets: indexes that stay, are small and
 * are used again, the sync that lets go of what was not named, and sockets that somebody else made.
 */
#include "relay/listener_table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/temp_dir.h"

static struct listener_table table;

static void
set_up(void)
{
	temp_dir_make();
	struct owner nobody = { OWNER_NOBODY_UID, OWNER_NOBODY_GID };

	listener_table_init(&table, temp_dir, 0700, nobody);
}

static void
tear_down(void)
{
	listener_table_fini(&table);
	temp_dir_remove();
}

static bool
there(const char *id)
{
	char path[PATH_MAX + 128];

	snprintf(path, sizeof path, "%s/%s", temp_dir, id);
	return access(path, F_OK) == 0;
}

static uint32_t
open_id(const char *id)
{
	struct listener_entry *entry = NULL;

	cr_assert_eq(listener_table_open(&table, id, &entry), 0, "%s", id);
	cr_assert_str_eq(entry->id, id);
	cr_assert_geq(entry->listener.fd, 0);
	return entry->index;
}

static void
make_id(char id[static 32], unsigned number)
{
	snprintf(id, 32, "host%u", number);
}

TestSuite(listener_table, .init = set_up, .fini = tear_down);

Test(listener_table, one_entry_for_each_id)
{
	struct listener_entry *first;
	struct listener_entry *again;

	cr_assert_eq(listener_table_open(&table, "remhub3", &first), 0);
	cr_assert(there("remhub3"));
	int fd = first->listener.fd;
	cr_assert_eq(listener_table_open(&table, "remhub3", &again), 0);
	cr_assert_eq(again, first);
	cr_assert_eq(again->listener.fd, fd);
	cr_assert_neq(open_id("msul1"), first->index);
}

Test(listener_table, indexes_stay_and_are_used_again)
{
	enum {
		MANY = 300
	};

	uint32_t index[MANY];
	char id[32];

	for (unsigned i = 0; i < MANY; i++) {
		make_id(id, i);
		index[i] = open_id(id);
		cr_assert_lt(index[i], MANY, "no gaps");
		for (unsigned j = 0; j < i; j++)
			cr_assert_neq(index[i], index[j]);
	}
	for (unsigned i = 0; i < MANY; i += 3) {
		make_id(id, i);
		listener_table_close(&table, index[i]);
		cr_assert_not(there(id));
	}
	for (unsigned i = 0; i < MANY; i++) {
		make_id(id, i);
		if (i % 3 != 0)
			cr_assert_eq(open_id(id), index[i], "others keep theirs");
	}
	for (unsigned i = 0; i < MANY; i += 3) {
		make_id(id, i);
		cr_assert_lt(open_id(id), MANY, "places are used again");
	}
}

Test(listener_table, closing_nothing_is_nothing)
{
	uint32_t index = open_id("remhub3");

	listener_table_close(&table, index + 1);
	listener_table_close(&table, UINT32_MAX);
	cr_assert(there("remhub3"));
	listener_table_close(&table, index);
	listener_table_close(&table, index);
	cr_assert_not(there("remhub3"));
}

Test(listener_table, what_cannot_be_opened_takes_no_place)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "delayed" };
	char too_long[HOST_ID_MAX + 1];
	struct listener_entry *entry;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_eq(listener_table_open(&table, bad[i], &entry), -EINVAL, "%s", bad[i]);
	memset(too_long, 'x', sizeof too_long - 1);
	too_long[sizeof too_long - 1] = '\0';
	cr_assert_eq(listener_table_open(&table, too_long, &entry), -EINVAL);

	char away[PATH_MAX + 8];
	snprintf(away, sizeof away, "%s.away", temp_dir);
	cr_assert_eq(rename(temp_dir, away), 0);
	cr_assert_eq(listener_table_open(&table, "remhub3", &entry), -ENOENT);
	cr_assert_eq(rename(away, temp_dir), 0);
	cr_assert_eq(open_id("remhub3"), 0, "the failures left no entry");
}

Test(listener_table, the_sync_lets_go_of_what_was_not_named)
{
	uint32_t kept = open_id("kept");

	open_id("dropped");
	listener_table_mark(&table);
	cr_assert_eq(open_id("kept"), kept);
	uint32_t added = open_id("added");
	cr_assert(there("dropped"), "not before the end");
	listener_table_sweep(&table);
	cr_assert(there("kept"));
	cr_assert(there("added"));
	cr_assert_not(there("dropped"));
	listener_table_sweep(&table);
	cr_assert_eq(open_id("kept"), kept);
	cr_assert_eq(open_id("added"), added);
}

static int
foreign_socket(const char *id)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_lt(strlen(temp_dir) + strlen(id) + 1, sizeof address.sun_path);
	strcpy(address.sun_path, temp_dir);
	strcat(address.sun_path, "/");
	strcat(address.sun_path, id);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

Test(listener_table, a_socket_of_somebody_else_is_used_and_left)
{
	struct listener_entry *entry;
	int fd = foreign_socket("remhub3");

	cr_assert_eq(listener_table_adopt(&table, "remhub3", fd), 0);
	cr_assert_eq(listener_table_adopt(&table, "remhub3", fd), -EEXIST);
	cr_assert_eq(listener_table_open(&table, "remhub3", &entry), 0);
	cr_assert_eq(entry->listener.fd, fd);
	listener_table_close(&table, entry->index);
	cr_assert_lt(fcntl(fd, F_GETFD), 0, "it is closed");
	cr_assert(there("remhub3"), "but not unlinked");

	/* The next one is our own, in its place. */
	uint32_t index = open_id("remhub3");
	listener_table_close(&table, index);
	cr_assert_not(there("remhub3"));
}

Test(listener_table, a_socket_is_taken_over_for_a_host_alone)
{
	static const char *const ids[] = { "", ".", "..", "delayed", "a/b", "../remhub3" };
	int fd = foreign_socket("remhub3");

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		cr_assert_eq(listener_table_adopt(&table, ids[i], fd), -EINVAL, "%s", ids[i]);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC, "it is still the caller's");
	close(fd);
}

Test(listener_table, the_end_removes_everything)
{
	open_id("one");
	open_id("two");
	cr_assert_eq(listener_table_adopt(&table, "three", foreign_socket("three")), 0);
	listener_table_fini(&table);
	cr_assert_not(there("one"));
	cr_assert_not(there("two"));
	cr_assert(there("three"));
}
