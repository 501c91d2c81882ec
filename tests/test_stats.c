/*
 * test_stats.c - statistics in memory that two processes share: what one writes the other reads, it
 * outlives the writer, and nobody can make it smaller under a reader.
 */
#include "relay/stats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

Test(stats, all_zero_at_first)
{
	int fd = stats_create();
	struct worker_stats *stats = stats_map(fd, false);

	cr_assert_geq(fd, 0);
	cr_assert_not_null(stats);
	for (size_t i = 0; i < sizeof *stats; i++)
		cr_assert_eq(((const unsigned char *)stats)[i], 0);
	stats_unmap(stats);
	close(fd);
}

Test(stats, outlive_their_writer)
{
	int fd = stats_create();
	struct worker_stats *reader = stats_map(fd, false);
	int status = 0;

	cr_assert_not_null(reader);
	for (unsigned round = 1; round <= 3; round++) {
		pid_t pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0) {
			struct worker_stats *writer = stats_map(fd, true);
			if (writer == NULL)
				_exit(1);
			writer->requests += 7;
			writer->connects++;
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
		cr_assert_eq(reader->requests, 7 * round);
		cr_assert_eq(reader->connects, round);
	}
	stats_unmap(reader);
	close(fd);
}

Test(stats, cannot_shrink_or_grow)
{
	int fd = stats_create();

	cr_assert_geq(fd, 0);
	cr_assert_lt(ftruncate(fd, 0), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(ftruncate(fd, 1 << 20), 0);
	cr_assert_eq(errno, EPERM);
	close(fd);
}

Test(stats, nothing_else_is_mapped)
{
	int fd = memfd_create("relay-test", MFD_CLOEXEC);
	int ends[2];

	cr_assert_geq(fd, 0);
	cr_assert_null(stats_map(fd, false), "of another size");
	cr_assert_eq(pipe(ends), 0);
	cr_assert_null(stats_map(ends[0], false), "no file");
	close(ends[0]);
	close(ends[1]);
	close(fd);
	cr_assert_null(stats_map(-1, false), "nothing");
	stats_unmap(NULL);
}
