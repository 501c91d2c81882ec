/*
 * stats.c - see stats.h.  Sealed against shrinking: a reader must never meet a page that is gone.
 */
#include "relay/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int
stats_create(void)
{
	int fd = memfd_create("relay-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)sizeof(struct worker_stats)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

struct worker_stats *
stats_map(int fd, bool writable)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct worker_stats))
		return NULL;
	void *at = mmap(NULL, sizeof(struct worker_stats), PROT_READ | (writable ? PROT_WRITE : 0),
			MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

void
stats_unmap(struct worker_stats *stats)
{
	if (stats != NULL)
		munmap(stats, sizeof *stats);
}
