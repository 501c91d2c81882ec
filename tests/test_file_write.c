/*
 * test_file_write.c - log files that others rename, remove and tear, and files that are replaced.
 */
#include <signal.h>
#include <sys/resource.h>

#include "relay/file_write.h"
#include "tests/spool_site.h"

static struct file_append file;
static char log_path[128];

static void
set_up(void)
{
	site_set_up();
	snprintf(log_path, sizeof log_path, "%s/log", temp_dir);
	file_append_init(&file, log_path, 0640);
}

static void
tear_down(void)
{
	file_append_fini(&file);
	temp_dir_remove();
}

static int
append(const char *text, bool sync)
{
	struct iovec part;
	char copy[200];

	snprintf(copy, sizeof copy, "%s", text);
	part = (struct iovec){ .iov_base = copy, .iov_len = strlen(copy) };
	return file_append_line(&file, &part, 1, sync);
}

TestSuite(file_write, .init = set_up, .fini = tear_down);

Test(file_write, lines_are_appended)
{
	char one[] = "parts ";
	char two[] = "of a line";
	struct iovec parts[] = { { one, 6 }, { NULL, 0 }, { two, 9 }, { one, 0 } };
	struct stat st;

	umask(022);
	cr_assert_eq(append("first", true), 0);
	cr_assert_eq(append("", false), 0);
	cr_assert_eq(file_append_line(&file, parts, 4, true), 0);
	cr_assert_eq(file_append_line(&file, parts, 0, false), 0);
	assert_file(temp_path("log"), "first\n\nparts of a line\n\n");
	cr_assert_eq(stat(temp_path("log"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0640);
}

Test(file_write, a_rotated_file_is_opened_anew)
{
	cr_assert_eq(append("one", false), 0);
	cr_assert_eq(rename(temp_path("log"), temp_path("log.1")), 0);
	cr_assert_eq(append("two", false), 0);
	cr_assert_eq(unlink(temp_path("log")), 0);
	cr_assert_eq(append("three", false), 0);
	assert_file(temp_path("log.1"), "one\n");
	assert_file(temp_path("log"), "three\n");
	/* Emptied in place, as others rotate. */
	cr_assert_eq(truncate(temp_path("log"), 0), 0);
	cr_assert_eq(append("four", false), 0);
	assert_file(temp_path("log"), "four\n");
	cr_assert_eq(rename(temp_path("log"), temp_path("log.2")), 0);
	cr_assert_eq(symlink("log.2", temp_path("log")), 0);
	cr_assert_eq(append("five", false), 0);
	assert_file(temp_path("log.2"), "four\nfive\n");
}

Test(file_write, errors_pass)
{
	cr_assert_eq(mkdir(temp_path("log"), 0755), 0);
	cr_assert_eq(append("lost", true), -EISDIR);
	cr_assert_eq(rmdir(temp_path("log")), 0);
	cr_assert_eq(symlink("/dev/full", temp_path("log")), 0);
	cr_assert_eq(append("lost", true), -ENOSPC);
	cr_assert_eq(append("lost", false), -ENOSPC);
	cr_assert_eq(unlink(temp_path("log")), 0);
	cr_assert_eq(symlink("/dev/null", temp_path("log")), 0);
	cr_assert_eq(append("nowhere", true), 0, "what cannot be synced needs it not");
	cr_assert_eq(unlink(temp_path("log")), 0);
	cr_assert_eq(mkfifo(temp_path("log"), 0644), 0);
	cr_assert_eq(append("nobody reads", false), -ENXIO);
	cr_assert_eq(unlink(temp_path("log")), 0);
	cr_assert_eq(append("kept", true), 0);
	assert_file(temp_path("log"), "kept\n");
}

Test(file_write, no_path_is_no_file)
{
	struct file_append none;
	struct iovec part = { .iov_base = NULL, .iov_len = 0 };

	file_append_init(&none, NULL, 0644);
	cr_assert_eq(file_append_line(&none, &part, 1, true), 0);
	file_append_fini(&none);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(file_write, a_torn_line_stays_alone)
{
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(append("whole", false), 0);
	limit_files(10);
	cr_assert_eq(append("0123456789", false), -EFBIG);
	assert_file(temp_path("log"), "whole\n0123");
	cr_assert_eq(append("again", false), -EFBIG);
	limit_files(RLIM_INFINITY);
	cr_assert_eq(append("next", false), 0);
	cr_assert_eq(append("last", false), 0);
	assert_file(temp_path("log"), "whole\n0123\nnext\nlast\n");
}

Test(file_write, a_torn_end_is_found_when_it_is_opened)
{
	FILE *before = fopen(temp_path("log"), "w");

	cr_assert_not_null(before);
	fputs("whole\nkilled in the mid", before);
	fclose(before);
	cr_assert_eq(append("next", true), 0);
	assert_file(temp_path("log"), "whole\nkilled in the mid\nnext\n");
}

Test(file_write, replaces_all_or_nothing)
{
	struct stat st;
	const char *path = temp_path("status.txt");

	umask(022);
	cr_assert_eq(file_replace(path, "one\n", 4), 0);
	assert_file(path, "one\n");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0644);
	/* Whoever reads the old one keeps it. */
	int old = open(path, O_RDONLY);
	cr_assert_eq(file_replace(path, "and two\n", 8), 0);
	char bytes[8];
	cr_assert_eq(read(old, bytes, sizeof bytes), 4);
	close(old);
	assert_file(path, "and two\n");
	cr_assert_eq(file_replace(path, NULL, 0), 0);
	assert_file(path, "");
}

Test(file_write, a_failed_replacement_leaves_the_old_one)
{
	char big[1000] = { 0 };
	char *path = strdup(temp_path("status.txt"));
	char *temporary = strdup(temp_path("status.txt.new"));

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(file_replace(path, "old\n", 4), 0);
	limit_files(100);
	cr_assert_eq(file_replace(path, big, sizeof big), -EFBIG);
	limit_files(RLIM_INFINITY);
	assert_file(path, "old\n");
	cr_assert_not(path_exists(temporary));
	/* What a killed process left, or somebody else's link, is never written through. */
	cr_assert_eq(symlink(path, temporary), 0);
	cr_assert_eq(file_replace(path, "new\n", 4), 0);
	assert_file(path, "new\n");
	cr_assert_not(path_exists(temporary));
	cr_assert_eq(file_replace(temp_path("none/status.txt"), "x", 1), -ENOENT);
	free(temporary);
	free(path);
}
