/*
 * service_sockets.c - see service_sockets.h.
 *
 * Never waits, never accepts.  Owns the sockets.
 */
#include "relay/service_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/listener.h"
#include "relay/log.h"

/* Of the run directory: its own, and the one that is named after the program. */
#define MISSING_DIRS_MAX 2

struct service_socket {
	LIST_ENTRY(service_socket) entry;
	bool named; /* since the sync began */
	int said;   /* error of the last attempt to bind it anew, logged once */
	struct service_socket_wanted what;
	struct listener listener;
};

/* --- binding ---------------------------------------------------------------------------------- */

/* Whose rights count for files.  False: they are not those. */
static bool
set_rights(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	/* These two tell of no error: only what is in force says whether they worked. */
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

/*
 * Takes the rights of that user, from the root directory, which all may pass through.  *back is for
 * leave_user(), whatever is answered.  False: nothing may be made.
 */
static bool
enter_user(uint32_t uid, int *back)
{
	const struct passwd *user;

	*back = -1;
	if (uid == OWNER_NOBODY_UID || uid == geteuid())
		return true;
	user = getpwuid(uid);
	*back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *back >= 0 && chdir("/") == 0 &&
	       set_rights(uid, user == NULL ? (gid_t)uid : user->pw_gid);
}

static void
leave_user(int back)
{
	if (back < 0)
		return;
	if (!set_rights(geteuid(), getegid()) || fchdir(back) != 0) {
		log_error(NULL, "the keeper cannot take its own rights again");
		abort();
	}
	close(back);
}

/* The directory that the path is in, and the one above if that is missing too. */
static int
make_run_dir(const char *path, int levels)
{
	char dir[SERVICE_PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return -ENOENT;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || levels == 1)
		return -errno;
	int error = make_run_dir(dir, levels - 1);
	if (error != 0)
		return error;
	return mkdir(dir, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static int
bind_socket(struct listener *listener, const struct service_socket_wanted *what)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	mode_t mode = (mode_t)what->mode;
	int error = -EPERM;
	int back;

	listener->fd = -1;
	if (enter_user(what->uid, &back)) {
		error = listener_open_path(listener, what->path, mode, nobody);
		if (error == -ENOENT && what->uid != OWNER_NOBODY_UID) {
			error = make_run_dir(what->path, MISSING_DIRS_MAX);
			if (error == 0)
				error = listener_open_path(listener, what->path, mode, nobody);
		}
	}
	leave_user(back);
	return error;
}

/* --- the table -------------------------------------------------------------------------------- */

static struct service_socket *
find(struct service_sockets *sockets, const char *path)
{
	struct service_socket *socket;

	LIST_FOREACH(socket, &sockets->all, entry) {
		if (strcmp(socket->what.path, path) == 0)
			return socket;
	}
	return NULL;
}

static void
tell(struct service_sockets *sockets, const struct service_socket_wanted *what, int fd, int error)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };

	message.service_socket.index = what->index;
	message.service_socket.extended = what->extended;
	message.service_socket.error = error;
	memcpy(message.service_socket.path, what->path, sizeof what->path);
	if (sockets->control->channel != NULL)
		channel_send(sockets->control->channel, &message, fd);
}

void
service_sockets_refuse(struct service_sockets *sockets, uint32_t index, bool extended, int error)
{
	struct service_socket_wanted what = { .index = index, .extended = extended };

	tell(sockets, &what, -1, error);
}

static void
close_socket(struct service_sockets *sockets, struct service_socket *socket)
{
	int back;

	LIST_REMOVE(socket, entry);
	sockets->count--;
	if (enter_user(socket->what.uid, &back))
		listener_close_path(&socket->listener, socket->what.path);
	leave_user(back);
	if (socket->listener.fd >= 0)
		close(socket->listener.fd);
	free(socket);
}

static int
make_socket(struct service_sockets *sockets, const struct service_socket_wanted *wanted,
	    struct service_socket **made)
{
	if (sockets->count >= SERVICE_SOCKETS_MAX)
		return -ENOSPC;
	struct service_socket *socket = calloc(1, sizeof *socket);
	if (socket == NULL)
		return -ENOMEM;
	int error = bind_socket(&socket->listener, wanted);
	if (error != 0) {
		free(socket);
		return error;
	}
	LIST_INSERT_HEAD(&sockets->all, socket, entry);
	sockets->count++;
	*made = socket;
	return 0;
}

/* A socket with other rights is another socket: only so nobody keeps those of before. */
void
service_sockets_listen(struct service_sockets *sockets, const struct service_socket_wanted *wanted)
{
	struct service_socket *socket = find(sockets, wanted->path);
	int error = 0;

	if (socket != NULL &&
	    (socket->what.mode != wanted->mode || socket->what.uid != wanted->uid)) {
		close_socket(sockets, socket);
		socket = NULL;
	}
	if (socket == NULL)
		error = make_socket(sockets, wanted, &socket);
	if (error != 0) {
		tell(sockets, wanted, -1, error);
		return;
	}
	socket->what = *wanted;
	socket->named = true;
	tell(sockets, &socket->what, socket->listener.fd, 0);
}

/* There may be two: one that it had before, until the end of a sync. */
void
service_sockets_unlisten(struct service_sockets *sockets, const char *name, bool extended)
{
	struct service_socket *socket = LIST_FIRST(&sockets->all);

	while (socket != NULL) {
		struct service_socket *next = LIST_NEXT(socket, entry);
		if (socket->what.extended == extended && strcmp(socket->what.name, name) == 0)
			close_socket(sockets, socket);
		socket = next;
	}
}

void
service_sockets_mark(struct service_sockets *sockets)
{
	struct service_socket *socket;

	LIST_FOREACH(socket, &sockets->all, entry)
		socket->named = false;
}

void
service_sockets_sweep(struct service_sockets *sockets)
{
	struct service_socket *socket = LIST_FIRST(&sockets->all);

	while (socket != NULL) {
		struct service_socket *next = LIST_NEXT(socket, entry);
		if (!socket->named)
			close_socket(sockets, socket);
		socket = next;
	}
}

/* --- the paths -------------------------------------------------------------------------------- */

/* Callers that wait at the old socket are taken from it as long as somebody has it open. */
static void
look_at_path(struct service_sockets *sockets, struct service_socket *socket)
{
	const char *path = socket->what.path;
	struct listener fresh;
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == socket->listener.device &&
	    st.st_ino == socket->listener.inode)
		return;
	int error = bind_socket(&fresh, &socket->what);
	if (error != 0 && error != socket->said)
		log_error(NULL, "service socket %s cannot be bound anew: %s", path,
			  strerror(-error));
	socket->said = error;
	if (error != 0)
		return;
	log_warning(NULL, "service socket %s was replaced or removed: bound anew", path);
	close(socket->listener.fd);
	socket->listener = fresh;
	tell(sockets, &socket->what, socket->listener.fd, 0);
}

uint64_t
service_sockets_clock(struct service_sockets *sockets, uint64_t now)
{
	struct service_socket *socket;

	if (LIST_EMPTY(&sockets->all))
		return UINT64_MAX;
	if (sockets->look_at <= now) {
		sockets->look_at = now + SERVICE_SOCKETS_LOOK_MS;
		LIST_FOREACH(socket, &sockets->all, entry)
			look_at_path(sockets, socket);
	}
	return sockets->look_at;
}

/* --- life ------------------------------------------------------------------------------------- */

void
service_sockets_init(struct service_sockets *sockets, const struct child *control)
{
	*sockets = (struct service_sockets){ .control = control };
	LIST_INIT(&sockets->all);
}

void
service_sockets_fini(struct service_sockets *sockets)
{
	service_sockets_mark(sockets);
	service_sockets_sweep(sockets);
}
