/*
 * exporter_process.c - see exporter_process.h.
 *
 * The start time is not read: who wants it notes the clock when it starts.  Owns
 * the two files.
 */
#include "relay/exporter_process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t
exporter_process_now_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

void
exporter_process_open(struct exporter_process *process)
{
	process->memory = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	process->descriptors = opendir("/proc/self/fd");
}

void
exporter_process_close(struct exporter_process *process)
{
	if (process->memory >= 0)
		close(process->memory);
	if (process->descriptors != NULL)
		closedir(process->descriptors);
}

/* "size resident shared ...", in pages. */
static void
read_memory(int fd, struct metrics_self *self)
{
	char text[128];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	char *rest = text;
	self->virtual_bytes = strtoull(rest, &rest, 10) * page;
	self->resident_bytes = strtoull(rest, &rest, 10) * page;
}

static uint64_t
count_fds(DIR *dir)
{
	uint64_t count = 0;

	if (dir == NULL)
		return 0;
	rewinddir(dir);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	return count;
}

void
exporter_process_read(struct exporter_process *process, struct metrics_self *self)
{
	struct rlimit limit;

	self->cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	self->resident_bytes = self->virtual_bytes = 0;
	read_memory(process->memory, self);
	self->open_fds = count_fds(process->descriptors);
	self->max_fds = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}
