/*
 * open_fds.h - how many descriptors a test has open: none may be left behind.
 */
#ifndef TESTS_OPEN_FDS_H
#define TESTS_OPEN_FDS_H

#include <fcntl.h>

#define OPEN_FDS_MAX 20000 /* no test comes so far */

static inline int
count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < OPEN_FDS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#endif
