/*
 * listener.c - see listener.h.
 */
#include "relay/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * Bound by a name relative to the working directory, so that the directory's length does not count.
 * The file gets the socket's mode: by its name it would be set for whatever stands there by then,
 * if others may write to the directory.  Nobody can connect before we listen.
 */
static int
bind_here(int fd, const char *temporary, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fchmod(fd, mode) != 0)
		return -errno;
	strncpy(address.sun_path, temporary, sizeof address.sun_path - 1);
	mode_t mask = umask(0);
	int result = bind(fd, (const struct sockaddr *)&address, sizeof address);
	int error = errno;
	umask(mask);
	return result == 0 ? 0 : -error;
}

/* The kernel cuts the backlog to net.core.somaxconn. */
static int
make_ready(int fd, int type)
{
	int on = 1;
	int result = type == SOCK_STREAM ? listen(fd, INT32_MAX)
					 : setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);

	return result == 0 ? 0 : -errno;
}

static int
bind_and_rename(struct listener *listener, const char *name, int type, mode_t mode,
		struct owner owner)
{
	char temporary[64];
	struct stat st = { 0 };

	snprintf(temporary, sizeof temporary, ".relay-%ld", (long)getpid());
	unlink(temporary); /* left by a process that had this pid and was killed here */
	int error = bind_here(listener->fd, temporary, mode);
	if (error != 0)
		return error;
	error = make_ready(listener->fd, type);
	if (error == 0 &&
	    (lchown(temporary, owner.uid, owner.gid) != 0 || lstat(temporary, &st) != 0))
		error = -errno;
	if (error == 0 && !S_ISSOCK(st.st_mode))
		error = -ENOTSOCK;
	if (error == 0 && rename(temporary, name) != 0)
		error = -errno;
	if (error != 0) {
		unlink(temporary);
		return error;
	}
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
}

/* `type` as socket(2) takes it. */
static int
open_type(struct listener *listener, const char *dir, const char *name, int type, mode_t mode,
	  struct owner owner)
{
	int error = 0;
	int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	listener->fd = -1;
	if (back < 0)
		return -errno;
	if (chdir(dir) != 0) {
		error = -errno;
		close(back);
		return error;
	}
	listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	error = listener->fd < 0 ? -errno : bind_and_rename(listener, name, type, mode, owner);
	if (fchdir(back) != 0 && error == 0)
		error = -errno;
	close(back);
	if (error != 0 && listener->fd >= 0) {
		close(listener->fd);
		listener->fd = -1;
	}
	return error;
}

int
listener_open_for(struct listener *listener, const char *dir, const char *name, mode_t mode,
		  struct owner owner)
{
	return open_type(listener, dir, name, SOCK_STREAM, mode, owner);
}

int
listener_open(struct listener *listener, const char *dir, const char *name, mode_t mode)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };

	return listener_open_for(listener, dir, name, mode, nobody);
}

void
listener_close(struct listener *listener, const char *dir, const char *name)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at >= 0) {
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == listener->device && st.st_ino == listener->inode)
			unlinkat(at, name, 0);
		close(at);
	}
	close(listener->fd);
	listener->fd = -1;
}

/* The directory of a path, copied to `dir`; returns the name in it, or NULL if it has none. */
static const char *
split_path(const char *path, char dir[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0' || slash - path >= PATH_MAX)
		return NULL;
	size_t len = slash == path ? 1 : (size_t)(slash - path);
	memcpy(dir, path, len);
	dir[len] = '\0';
	return slash + 1;
}

int
listener_open_path(struct listener *listener, const char *path, mode_t mode, struct owner owner)
{
	char dir[PATH_MAX];
	const char *name = split_path(path, dir);

	listener->fd = -1;
	return name == NULL ? -EINVAL : listener_open_for(listener, dir, name, mode, owner);
}

int
listener_open_datagrams(struct listener *listener, const char *path, mode_t mode,
			struct owner owner)
{
	char dir[PATH_MAX];
	const char *name = split_path(path, dir);

	listener->fd = -1;
	return name == NULL
		   ? -EINVAL
		   : open_type(listener, dir, name, SOCK_DGRAM | SOCK_NONBLOCK, mode, owner);
}

void
listener_close_path(struct listener *listener, const char *path)
{
	char dir[PATH_MAX];
	const char *name = split_path(path, dir);

	if (name != NULL)
		listener_close(listener, dir, name);
}
