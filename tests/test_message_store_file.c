/*
 * test_message_store_file.c - the file of the message store when it is damaged, foreign, full, used
 * by somebody else, or not to be had.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/message_site.h"

static struct message_store *store;
static struct message_bounds bounds;
static char path[600];

static void
start(void)
{
	store = message_store_new(path, &bounds);
	cr_assert_not_null(store);
}

static void
set_up(void)
{
	temp_dir_make();
	bounds = message_bounds_default;
	snprintf(path, sizeof path, "%s", temp_path("messages.db"));
	start();
}

static void
tear_down(void)
{
	message_store_free(store);
	temp_dir_remove();
}

TestSuite(message_file, .init = set_up, .fini = tear_down, .timeout = 60);

/* What the batch answers to a call that answered this. */
static enum message_status
finish(enum message_status status)
{
	if (message_status_breaks(status)) {
		message_store_rollback(store);
		return status;
	}
	enum message_status committed = message_store_commit(store);
	return committed == MESSAGE_DONE ? status : committed;
}

static enum message_status
try_put(unsigned number, const char *text)
{
	struct message message = notice_of(number, CLIENT, text);
	enum message_status status = message_store_begin(store);

	if (status != MESSAGE_DONE)
		return status;
	status = message_store_put(store, &message);
	return finish(status);
}

static enum message_status
try_confirm(unsigned number)
{
	struct message message = notice_of(number, CLIENT, "");

	enum message_status status = message_store_begin(store);
	if (status != MESSAGE_DONE)
		return status;
	status = message_store_confirm(store, CLIENT, MESSAGE_NOTICE, message.id, START_MS);
	return finish(status);
}

static uint64_t
count_waiting(void)
{
	struct message_totals totals;

	assert_status(message_store_begin(store), MESSAGE_DONE);
	assert_status(message_store_totals(store, &totals), MESSAGE_DONE);
	assert_status(message_store_commit(store), MESSAGE_DONE);
	return totals.count;
}

/* A store with messages in it, closed. */
static void
make_store(unsigned messages)
{
	for (unsigned i = 0; i < messages; i++)
		assert_status(try_put(i, "the text"), MESSAGE_DONE);
	message_store_free(store);
	start();
}

static void
write_at(long where, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, bytes, len, where), (ssize_t)len);
	close(fd);
}

/* The file is refused as often as it is tried, and stays as it is to the byte; set aside, a new
 * store begins. */
static void
expect_refused(enum message_status status)
{
	size_t before_len;
	size_t after_len;
	char *before = read_file(path, &before_len);

	assert_status(try_put(1000, "x"), status);
	assert_status(try_put(1000, "x"), status);
	cr_assert_gt(strlen(message_store_why(store)), 0);
	message_store_free(store);
	start();
	char *after = read_file(path, &after_len);
	cr_assert_eq(before_len, after_len);
	cr_assert_arr_eq(before, after, before_len);
	free(before);
	free(after);
	cr_assert_eq(rename(path, temp_path("aside")), 0);
	assert_status(try_put(1000, "x"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), 1);
}

/* ---- damaged, foreign, newer ---- */

Test(message_file, one_that_is_no_database_is_refused)
{
	temp_write("messages.db", "Somebody's notes, and not a database at all, however long they "
				  "are.  They must stay as they are.\n");
	expect_refused(MESSAGE_DAMAGED);
}

Test(message_file, one_with_a_damaged_page_is_refused)
{
	make_store(100);
	for (long page = 1; page < 6; page++)
		write_at(page * 4096, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 12);
	expect_refused(MESSAGE_DAMAGED);
}

Test(message_file, one_that_was_cut_is_refused)
{
	make_store(100);
	cr_assert_eq(truncate(path, 3L * 4096 + 100), 0);
	expect_refused(MESSAGE_DAMAGED);
}

static void
change_by_hand(const char *sql)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

Test(message_file, a_database_of_somebody_else_is_refused)
{
	change_by_hand("CREATE TABLE notes (text TEXT)");
	expect_refused(MESSAGE_DAMAGED);
}

Test(message_file, one_without_our_tables_is_refused)
{
	make_store(1);
	change_by_hand("DROP TABLE boxes");
	assert_status(try_put(1000, "x"), MESSAGE_DAMAGED);
}

Test(message_file, one_of_a_newer_relay_is_refused)
{
	make_store(3);
	change_by_hand("PRAGMA user_version = 2");
	expect_refused(MESSAGE_NEWER);
}

/* Copies the file and its log while a writer has them open: as a crash leaves them. */
static void
crash_into(const char *to)
{
	char command[2000];

	snprintf(command, sizeof command, "cp %s %s && cp %s-wal %s-wal", path, temp_path(to), path,
		 temp_path(to));
	cr_assert_eq(system(command), 0);
}

/* What a newer one's crash left in its log is not brought into its file either. */
Test(message_file, the_log_of_a_newer_relay_is_left_alone)
{
	size_t before_len;
	size_t after_len;
	char wal[700];

	make_store(3);
	change_by_hand("PRAGMA user_version = 2");
	sqlite3 *db = NULL;
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "DELETE FROM messages", NULL, NULL, NULL), SQLITE_OK);
	crash_into("crashed");
	sqlite3_close(db);
	snprintf(path, sizeof path, "%s", temp_path("crashed"));
	snprintf(wal, sizeof wal, "%s-wal", path);
	message_store_free(store);
	start();
	char *before = read_file(wal, &before_len);
	cr_assert_gt(before_len, 0);
	assert_status(try_put(1000, "x"), MESSAGE_NEWER);
	message_store_free(store);
	start();
	char *after = read_file(wal, &after_len);
	cr_assert_eq(before_len, after_len);
	cr_assert_arr_eq(before, after, before_len);
	free(before);
	free(after);
}

Test(message_file, what_a_crash_left_in_the_log_is_there)
{
	assert_status(try_put(1, "the text"), MESSAGE_DONE);
	crash_into("crashed");
	message_store_free(store);
	snprintf(path, sizeof path, "%s", temp_path("crashed"));
	start();
	assert_status(try_put(1, "the text"), MESSAGE_REPEATED);
}

Test(message_file, damage_that_is_found_late_is_refused_too)
{
	char text[4001];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	/* More than is read through when it is opened. */
	bounds.client_count = 10000;
	bounds.client_bytes = 1u << 30;
	message_store_set_bounds(store, &bounds);
	assert_status(message_store_begin(store), MESSAGE_DONE);
	for (unsigned i = 0; i < 5000; i++) {
		struct message message = notice_of(i, CLIENT, text);
		assert_status(message_store_put(store, &message), MESSAGE_DONE);
	}
	assert_status(message_store_commit(store), MESSAGE_DONE);
	message_store_free(store);
	start();
	for (long page = 100; page < 4000; page++)
		write_at(page * 4096, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 8);
	size_t removed;
	assert_status(message_store_begin(store), MESSAGE_DONE);
	assert_status(message_store_drop_client(store, CLIENT, START_MS, &removed),
		      MESSAGE_DAMAGED);
	message_store_rollback(store);
}

/* ---- not to be had ---- */

Test(message_file, a_directory_that_cannot_be_written_to_is_said)
{
	bool root = geteuid() == 0;

	cr_assert_eq(chmod(temp_dir, 0555), 0);
	if (root)
		cr_assert_eq(seteuid(65534), 0);
	assert_status(try_put(1, "x"), MESSAGE_DENIED);
	if (root)
		cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(chmod(temp_dir, 0755), 0);
	assert_status(try_put(1, "x"), MESSAGE_DONE);
}

Test(message_file, a_directory_that_cannot_be_written_to_any_more_is_said)
{
	bool root = geteuid() == 0;

	make_store(1);
	cr_assert_eq(chmod(path, 0444), 0);
	cr_assert_eq(chmod(temp_dir, 0555), 0);
	if (root)
		cr_assert_eq(seteuid(65534), 0);
	assert_status(try_put(2, "x"), MESSAGE_DENIED);
	if (root)
		cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(chmod(temp_dir, 0755), 0);
	cr_assert_eq(chmod(path, 0600), 0);
	assert_status(try_put(2, "x"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), 2);
}

Test(message_file, what_is_no_file_is_refused)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	assert_status(try_put(1, "x"), MESSAGE_DENIED);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	assert_status(try_put(1, "x"), MESSAGE_DENIED);
	message_store_free(store);
	snprintf(path, sizeof path, "%s", temp_path("nowhere/messages.db"));
	start();
	assert_status(try_put(1, "x"), MESSAGE_DENIED);
}

Test(message_file, a_second_relay_is_refused_until_the_first_ends)
{
	int ready[2];
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		byte = try_put(1, "x") == MESSAGE_DONE ? 'y' : 'n';
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_assert_eq(byte, 'y');
	assert_status(try_put(2, "x"), MESSAGE_IN_USE);
	assert_status(try_put(2, "x"), MESSAGE_IN_USE);
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	assert_status(try_put(2, "x"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), 2);
	close(ready[0]);
	close(ready[1]);
}

Test(message_file, a_second_store_in_the_same_process_is_refused)
{
	struct message_store *other = message_store_new(path, &bounds);

	assert_status(try_put(1, "x"), MESSAGE_DONE);
	assert_status(message_store_begin(other), MESSAGE_IN_USE);
	assert_status(try_put(2, "x"), MESSAGE_DONE);
	message_store_free(other);
}

Test(message_file, one_that_is_moved_away_while_it_is_open_is_left)
{
	assert_status(try_put(1, "the text"), MESSAGE_DONE);
	cr_assert_eq(rename(path, temp_path("aside")), 0);
	assert_status(try_put(2, "the text"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), 1);
	message_store_free(store);
	/* All that was accepted is in it. */
	snprintf(path, sizeof path, "%s", temp_path("aside"));
	start();
	assert_status(try_put(1, "the text"), MESSAGE_REPEATED);
	cr_assert_eq(count_waiting(), 1);
}

/* ---- full ---- */

/* Fills it until it is refused: nothing that was accepted is missing, also after a restart. */
static unsigned
fill(void)
{
	static char text[MESSAGE_NOTICE_MAX + 1];
	enum message_status status = MESSAGE_DONE;
	unsigned accepted = 0;

	memset(text, 't', MESSAGE_NOTICE_MAX);
	while (status == MESSAGE_DONE && accepted < 1000) {
		status = try_put(accepted, text);
		accepted += status == MESSAGE_DONE;
	}
	assert_status(status, MESSAGE_NO_SPACE);
	cr_assert_gt(accepted, 10);
	cr_assert_eq(count_waiting(), accepted);
	return accepted;
}

Test(message_file, a_bounded_file_refuses_and_loses_nothing)
{
	bounds.file_bytes = 600u * 1024;
	message_store_set_bounds(store, &bounds);
	unsigned accepted = fill();
	message_store_free(store);
	start();
	cr_assert_eq(count_waiting(), accepted);
	assert_status(try_confirm(0), MESSAGE_DONE);
	assert_status(try_confirm(1), MESSAGE_DONE);
	assert_status(try_put(2000, "there is room again"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), accepted - 1);
	bounds.file_bytes = 0;
	message_store_set_bounds(store, &bounds);
}

/* A disk of a megabyte, seen by this test alone. */
Test(message_file, a_full_disk_refuses_and_loses_nothing)
{
	if (unshare(CLONE_NEWNS) != 0)
		cr_skip_test("no mount namespace of its own: %s", strerror(errno));
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", temp_dir, "tmpfs", 0, "size=1m"), 0);
	unsigned accepted = fill();
	/* Also one that comes up on a full disk. */
	message_store_free(store);
	start();
	cr_assert_eq(count_waiting(), accepted);
	cr_assert_eq(mount("none", temp_dir, NULL, MS_REMOUNT, "size=8m"), 0);
	assert_status(try_put(2000, "there is room again"), MESSAGE_DONE);
	assert_status(try_confirm(0), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), accepted);
	message_store_free(store);
	store = NULL;
	cr_assert_eq(umount(temp_dir), 0);
}

/* No room for even the first page: nothing half made is left behind. */
Test(message_file, a_store_is_begun_once_there_is_room)
{
	if (unshare(CLONE_NEWNS) != 0)
		cr_skip_test("no mount namespace of its own: %s", strerror(errno));
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", temp_dir, "tmpfs", 0, "size=32k"), 0);
	assert_status(try_put(1, "x"), MESSAGE_NO_SPACE);
	cr_assert_eq(mount("none", temp_dir, NULL, MS_REMOUNT, "size=8m"), 0);
	assert_status(try_put(1, "x"), MESSAGE_DONE);
	cr_assert_eq(count_waiting(), 1);
	message_store_free(store);
	store = NULL;
	cr_assert_eq(umount(temp_dir), 0);
}
