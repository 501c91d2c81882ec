/*
 * test_watch.c - what counts as a change of a file, whatever way it comes, and when it is reported.
 *
 * The kernel queues an event before the call that causes it returns, and the clock is the test's:
 * so nothing here sleeps.
 */
#include "tests/temp_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "relay/watch.h"

static struct watch *watch;
static uint64_t now = 1000;

static void
tear_down(void)
{
	watch_close(watch);
	temp_dir_remove();
}

TestSuite(watch, .init = temp_dir_make, .fini = tear_down);

static void
open_watch(const char *name)
{
	const char *paths[] = { temp_path(name) };

	cr_assert_eq(watch_open(&watch, paths, 1), 0);
	cr_assert_eq(watch_deadline(watch), WATCH_NO_DEADLINE);
}

static bool
is_readable(void)
{
	struct pollfd wait = { .fd = watch_fd(watch), .events = POLLIN };

	return poll(&wait, 1, 0) == 1;
}

/* Something relevant was seen: it is reported once it has been quiet, and only once. */
static void
changed(void)
{
	cr_assert(is_readable());
	cr_assert_eq(watch_read(watch, now), 0, "not at once");
	cr_assert_eq(watch_deadline(watch), now + WATCH_QUIET_MS);
	now += WATCH_QUIET_MS;
	/* Watches that were given up may still speak. */
	cr_assert_eq(watch_read(watch, now - 1), 0);
	cr_assert_eq(watch_deadline(watch), now);
	cr_assert_eq(watch_read(watch, now), 1);
	cr_assert_eq(watch_deadline(watch), WATCH_NO_DEADLINE);
	cr_assert_eq(watch_read(watch, now), 0);
}

/* Nothing relevant was: there is not even a deadline. */
static void
unchanged(void)
{
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), WATCH_NO_DEADLINE);
	now += 10 * WATCH_QUIET_MS;
	cr_assert_eq(watch_read(watch, now), 0);
}

static void
make_dir(const char *name)
{
	cr_assert_eq(mkdir(temp_path(name), 0755), 0, "%s: %s", name, strerror(errno));
}

static void
move(const char *from, const char *to)
{
	cr_assert_eq(rename(temp_path(from), temp_path(to)), 0, "%s: %s", from, strerror(errno));
}

static void
make_link(const char *target, const char *name)
{
	cr_assert_eq(symlink(target, temp_path(name)), 0, "%s: %s", name, strerror(errno));
}

static void
drop(const char *name)
{
	cr_assert_eq(remove(temp_path(name)), 0, "%s: %s", name, strerror(errno));
}

Test(watch, written_in_place)
{
	temp_write("file", "one");
	open_watch("file");
	unchanged();
	temp_write("file", "longer than before");
	changed();
	/* The same size, and perhaps the same tick of the clock. */
	temp_write("file", "longer than beFore");
	changed();
	/* The same size, and the time put back. */
	struct stat st;
	cr_assert_eq(stat(temp_path("file"), &st), 0);
	temp_write("file", "longer than beFORE");
	const struct timespec times[] = { st.st_atim, st.st_mtim };
	cr_assert_eq(utimensat(AT_FDCWD, temp_path("file"), times, 0), 0);
	changed();
	temp_write("file", "");
	changed();
	cr_assert_eq(truncate(temp_path("file"), 3), 0);
	changed();
	unchanged();
}

Test(watch, written_through_another_name)
{
	make_dir("elsewhere");
	temp_write("file", "one");
	cr_assert_eq(link(temp_path("file"), temp_path("elsewhere/name")), 0);
	open_watch("file");
	temp_write("elsewhere/name", "two");
	changed();
}

Test(watch, renamed_over)
{
	temp_write("file", "one");
	open_watch("file");
	for (int i = 0; i < 3; i++) {
		temp_write("new", "one");
		move("new", "file");
		changed();
		/* The new file is watched as the old one was. */
		temp_write("file", "two");
		changed();
	}
	/* What became of the old one is nothing to us. */
	cr_assert_eq(link(temp_path("file"), temp_path("old")), 0);
	temp_write("new", "one");
	move("new", "file");
	changed();
	temp_write("old", "unrelated");
	unchanged();
}

Test(watch, deleted_and_created_again)
{
	temp_write("file", "one");
	open_watch("file");
	drop("file");
	changed();
	unchanged();
	temp_write("file", "one");
	changed();
	/* In one go. */
	drop("file");
	temp_write("file", "two");
	changed();
	temp_write("file", "three");
	changed();
}

Test(watch, touched_or_made_readable)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	temp_write("file", "one");
	open_watch("file");
	cr_assert_eq(utimensat(AT_FDCWD, temp_path("file"), times, 0), 0);
	changed();
	cr_assert_eq(chmod(temp_path("file"), 0600), 0);
	changed();
}

Test(watch, unrelated_events)
{
	make_dir("dir");
	temp_write("dir/file", "one");
	open_watch("dir/file");
	temp_write("dir/other", "x");
	temp_write("dir/file.swp", "x");
	temp_write("dir/fil", "x");
	unchanged();
	move("dir/other", "dir/another");
	drop("dir/another");
	make_dir("dir/sub");
	make_dir("dir2");
	temp_write("dir/sub/file", "x");
	unchanged();
	cr_assert_str_eq(temp_read("dir/file"), "one");
	unchanged();
	/* Opened for writing, but not written to. */
	int fd = open(temp_path("dir/file"), O_WRONLY);
	cr_assert_geq(fd, 0);
	close(fd);
	unchanged();
	/* One more name, and the same mode again: the file is what it was. */
	cr_assert_eq(link(temp_path("dir/file"), temp_path("dir/link")), 0);
	cr_assert_eq(chmod(temp_path("dir/file"), 0644), 0);
	unchanged();
	temp_write("dir/file", "two");
	changed();
}

/* How a mounted ConfigMap is replaced: file -> ..data/file, ..data -> the directory of the day. */
Test(watch, swapped_data_directory)
{
	char from[32], to[64];

	make_dir("..day0");
	temp_write("..day0/file", "same size 0");
	make_link("..day0", "..data");
	make_link("..data/file", "file");
	open_watch("file");
	for (int day = 1; day <= 3; day++) {
		snprintf(to, sizeof to, "..day%d", day);
		make_dir(to);
		snprintf(to, sizeof to, "..day%d/file", day);
		temp_write(to, "same size n");
		unchanged();
		snprintf(to, sizeof to, "..day%d", day);
		make_link(to, "..data_tmp");
		move("..data_tmp", "..data");
		snprintf(from, sizeof from, "..day%d/file", day - 1);
		drop(from);
		snprintf(from, sizeof from, "..day%d", day - 1);
		drop(from);
		changed();
	}
	temp_write("..day3/file", "written in place");
	changed();
}

Test(watch, links_anywhere_on_the_way)
{
	/* a/link -> (absolute) b, b -> c/./../d, d/file -> ../e/real */
	make_dir("a");
	make_dir("c");
	make_dir("d");
	make_dir("e");
	temp_write("e/real", "one");
	make_link("../e/real", "d/file");
	make_link("c/./../d", "b");
	make_link(temp_path("b"), "a/link");
	open_watch("a/link/file");
	temp_write("e/real", "two");
	changed();
	/* The last link. */
	temp_write("e/other", "one");
	make_link("../e/other", "d/new");
	move("d/new", "d/file");
	changed();
	temp_write("e/real", "no longer of interest");
	unchanged();
	/* The one in the middle. */
	make_dir("f");
	temp_write("f/file", "x");
	make_link("f", "new");
	move("new", "b");
	changed();
	temp_write("e/other", "no longer of interest");
	unchanged();
	/* The first one. */
	make_dir("g");
	temp_write("g/file", "y");
	drop("a/link");
	make_link("../g", "a/link");
	changed();
	temp_write("g/file", "yy");
	changed();
	/* A swap that leads to the very same file is no change. */
	make_link("g", "same");
	drop("a/link");
	make_link("../same", "a/link");
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_read(watch, now + WATCH_QUIET_MS), 0);
	temp_write("g/file", "yyy");
	changed();
}

Test(watch, directories_that_are_not_there_yet)
{
	open_watch("a/b/file");
	temp_write("b", "unrelated");
	unchanged();
	make_dir("a");
	unchanged();
	make_dir("a/b");
	unchanged();
	temp_write("a/b/file", "one");
	changed();

	/* Gone and there again before anybody looks. */
	drop("a/b/file");
	drop("a/b");
	drop("a");
	changed();
	make_dir("a");
	make_dir("a/b");
	temp_write("a/b/file", "one");
	changed();
	temp_write("a/b/file", "two");
	changed();
}

Test(watch, moved_directories)
{
	make_dir("dir");
	make_dir("other");
	temp_write("dir/file", "one");
	temp_write("other/file", "two");
	open_watch("dir/file");
	move("dir", "away");
	changed();
	temp_write("away/file", "no longer of interest");
	unchanged();
	move("other", "dir");
	changed();
	temp_write("dir/file", "three");
	changed();
	cr_assert_eq(
	    renameat2(AT_FDCWD, temp_path("dir"), AT_FDCWD, temp_path("away"), RENAME_EXCHANGE), 0);
	changed();
}

Test(watch, paths_that_lead_nowhere)
{
	make_link("loop2", "loop1");
	make_link("loop1", "loop2");
	open_watch("loop1");
	drop("loop2");
	changed(); /* another reason not to be there */
	temp_write("loop2", "one");
	changed();
	temp_write("loop2", "two");
	changed();
	watch_close(watch);

	/* Through a file. */
	open_watch("loop2/file");
	drop("loop2");
	make_dir("loop2");
	temp_write("loop2/file", "one");
	changed();
}

Test(watch, quiet_is_waited_for_but_not_for_ever)
{
	temp_write("file", "");
	open_watch("file");
	temp_write("file", "1");
	cr_assert_eq(watch_read(watch, now), 0);
	now += WATCH_QUIET_MS - 1;
	temp_write("file", "22");
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), now + WATCH_QUIET_MS, "it begins anew");
	/* Unrelated events do not prolong it. */
	now += 50;
	temp_write("other", "x");
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), now + 50);
	now += 50;
	cr_assert_eq(watch_read(watch, now), 1);

	/* One who never stops. */
	uint64_t start = now;
	int result = 0;
	while (result == 0) {
		cr_assert_leq(now - start, WATCH_SETTLE_MS);
		temp_write("file", (now / 10) % 2 == 0 ? "even" : "odd");
		result = watch_read(watch, now);
		now += result == 0 ? 50 : 0;
	}
	cr_assert_eq(result, 1);
	cr_assert_eq(now - start, WATCH_SETTLE_MS);
}

Test(watch, there_and_back_again_is_no_change)
{
	temp_write("file", "one");
	open_watch("file");
	move("file", "aside");
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), now + WATCH_QUIET_MS);
	move("aside", "file");
	now += 10;
	cr_assert_eq(watch_read(watch, now), 0);
	now += WATCH_QUIET_MS;
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), WATCH_NO_DEADLINE);
	temp_write("file", "two");
	changed();
}

Test(watch, several_files)
{
	const char *const paths[] = { temp_path("a"), temp_path("dir/b"), temp_path("a") };

	make_dir("dir");
	cr_assert_eq(watch_open(&watch, paths, 3), 0);
	temp_write("dir/b", "1");
	changed();
	temp_write("a", "1");
	changed();
	temp_write("a", "2");
	temp_write("dir/b", "2");
	changed();
	unchanged();
}

Test(watch, other_paths_from_now_on)
{
	const char *const old[] = { temp_path("a"), temp_path("b") };
	const char *const new[] = { temp_path("c"), temp_path("b") };

	temp_write("a", "1");
	temp_write("b", "1");
	temp_write("c", "1");
	cr_assert_eq(watch_open(&watch, old, 2), 0);
	/* A change that waits to be reported is not lost, be it read or not. */
	temp_write("b", "2");
	cr_assert_eq(watch_set(watch, new, 2), 0);
	changed();
	temp_write("b", "3");
	cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_set(watch, old, 2), 0);
	cr_assert_eq(watch_set(watch, new, 2), 0);
	now += WATCH_QUIET_MS;
	cr_assert_eq(watch_read(watch, now), 1);
	temp_write("a", "no longer of interest");
	unchanged();
	temp_write("c", "2");
	changed();
	cr_assert_eq(watch_set(watch, NULL, 0), 0);
	temp_write("c", "3");
	unchanged();
}

Test(watch, bounds)
{
	const char *paths[WATCH_FILES_MAX + 1];
	char name[16], longest[5000];

	for (size_t i = 0; i <= WATCH_FILES_MAX; i++) {
		snprintf(name, sizeof name, "f%zu", i);
		paths[i] = strdup(temp_path(name));
	}
	cr_assert_eq(watch_open(&watch, paths, WATCH_FILES_MAX + 1), -E2BIG);
	cr_assert_null(watch);
	cr_assert_eq(watch_open(&watch, paths, WATCH_FILES_MAX), 0);
	temp_write(name, "beyond");
	unchanged();
	snprintf(name, sizeof name, "f%d", WATCH_FILES_MAX - 1);
	temp_write(name, "the last");
	changed();

	/* What is refused leaves all as it was. */
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	const char *const too_long[] = { longest };
	cr_assert_eq(watch_set(watch, too_long, 1), -ENAMETOOLONG);
	cr_assert_eq(watch_set(watch, paths, WATCH_FILES_MAX + 1), -E2BIG);
	temp_write(name, "still");
	changed();
	/* A single name that no file system takes is merely not there. */
	longest[300] = '\0';
	cr_assert_eq(watch_set(watch, too_long, 1), 0);
	unchanged();
	for (size_t i = 0; i <= WATCH_FILES_MAX; i++)
		free((void *)(uintptr_t)paths[i]);
}

Test(watch, relative_path)
{
	const char *const paths[] = { "file" };

	cr_assert_eq(chdir(temp_dir), 0);
	cr_assert_eq(watch_open(&watch, paths, 1), 0);
	/* Where the process goes later does not matter. */
	cr_assert_eq(chdir("/"), 0);
	temp_write("file", "one");
	changed();
}

Test(watch, no_descriptor_left)
{
	struct rlimit limit, none;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = limit.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int error = watch_open(&watch, NULL, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(error, -EMFILE);
	cr_assert_null(watch);
	watch_close(NULL);
}

static size_t
count_watches(void)
{
	char path[64], line[256];
	size_t count = 0;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", watch_fd(watch));
	FILE *info = fopen(path, "r");
	cr_assert_not_null(info);
	while (fgets(line, sizeof line, info) != NULL)
		count += strncmp(line, "inotify wd:", 11) == 0;
	fclose(info);
	return count;
}

/* Watches of what is no longer on the way are given back. */
Test(watch, does_not_grow)
{
	make_dir("dir");
	temp_write("dir/file", "x");
	open_watch("dir/file");
	size_t before = count_watches();
	cr_assert_geq(before, 4, "root, tmp, ours, dir and the file");
	for (int i = 0; i < 20; i++) {
		make_dir("new");
		temp_write("new/file", "y");
		cr_assert_eq(renameat2(AT_FDCWD, temp_path("new"), AT_FDCWD, temp_path("dir"),
				       RENAME_EXCHANGE),
			     0);
		changed();
		cr_assert_eq(count_watches(), before);
		drop("new/file");
		drop("new");
		unchanged();
	}
}

/* More events than the kernel keeps: the one of interest is lost, the change is not. */
Test(watch, overflow)
{
	unsigned long queue_max = 0;
	FILE *setting = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	cr_assert_not_null(setting);
	cr_assert_eq(fscanf(setting, "%lu", &queue_max), 1);
	fclose(setting);
	if (queue_max > 50000)
		cr_skip_test("the queue holds %lu events", queue_max);
	temp_write("file", "one");
	open_watch("file");
	const char *other = temp_path("other");
	for (unsigned long i = 0; i < queue_max / 2 + 10; i++) {
		int fd = open(other, O_CREAT | O_WRONLY, 0600);
		close(fd);
		unlink(other);
	}
	temp_write("file", "longer");
	/* A flood takes several calls. */
	for (int i = 0; i < 20 && is_readable(); i++)
		cr_assert_eq(watch_read(watch, now), 0);
	cr_assert_eq(watch_deadline(watch), now + WATCH_QUIET_MS);
	cr_assert_eq(watch_read(watch, now + WATCH_QUIET_MS), 1);
}
