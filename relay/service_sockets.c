/*
 * service_sockets.c - see service_sockets.h.
 *
 * Never waits, never accepts.  Owns the sockets.
 */
#include "relay/service_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
/* A user's own, here, is there while he has a session: it is made by nobody else. */
#define RUNTIME_DIRS "/var/run/user/"

/* Who takes a socket away is given way to, longer and longer: it may be another relay, and each
 * time both would start a server. */
enum {
	ANEW_AT_ONCE = 5, /* times */
	CALM_MS = 10000,  /* it was left alone for so long */
	WAIT_MAX_MS = 30000,
};

struct service_socket {
	LIST_ENTRY(service_socket) entry;
	bool named;        /* since the sync began */
	int said;          /* error of the last attempt to bind it anew, logged once */
	unsigned taken;    /* times in a row */
	uint64_t bound_at; /* ms: the last time that it was bound anew */
	uint64_t wait_ms;  /* from then on, before the next time */
	struct service_socket_wanted what;
	struct listener listener;
};

/* --- binding ---------------------------------------------------------------------------------- */

/* What the keeper goes back to. */
struct rights {
	int dir; /* -1 = nothing was changed */
	int group_count;
	gid_t *groups;
};

/* Whose rights count for files.  False: they are not those. */
static bool
set_rights(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	/* These two tell of no error: only what is in force says whether they worked. */
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

static bool
save_rights(struct rights *own)
{
	own->group_count = getgroups(0, NULL);
	if (own->group_count < 0)
		return false;
	own->groups = calloc((size_t)own->group_count + 1, sizeof *own->groups);
	if (own->groups == NULL || getgroups(own->group_count, own->groups) != own->group_count)
		return false;
	own->dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return own->dir >= 0;
}

/*
 * Takes the rights of that user, from the root directory, which all may pass through.  *own is for
 * leave_user(), whatever is answered.  False: nothing may be made.
 */
static bool
enter_user(uint32_t uid, struct rights *own)
{
	const struct passwd *user;

	*own = (struct rights){ .dir = -1 };
	if (uid == OWNER_NOBODY_UID || uid == geteuid())
		return true;
	if (!save_rights(own) || chdir("/") != 0)
		return false;
	user = getpwuid(uid);
	if ((user == NULL ? setgroups(0, NULL) : initgroups(user->pw_name, user->pw_gid)) != 0)
		return false;
	return set_rights(uid, user == NULL ? (gid_t)uid : user->pw_gid);
}

/* Who cannot change groups has not changed any. */
static bool
restore_groups(const struct rights *own)
{
	return setgroups((size_t)own->group_count, own->groups) == 0 || errno == EPERM;
}

static void
leave_user(struct rights *own)
{
	if (own->dir >= 0) {
		if (!set_rights(geteuid(), getegid()) || !restore_groups(own) ||
		    fchdir(own->dir) != 0) {
			log_error(NULL, "the keeper cannot take its own rights again");
			abort();
		}
		close(own->dir);
	}
	free(own->groups);
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
missing_dirs(const char *path)
{
	return strncmp(path, RUNTIME_DIRS, strlen(RUNTIME_DIRS)) == 0 ? 1 : MISSING_DIRS_MAX;
}

/* A socket that somebody left may be replaced; a file was never meant. */
static int
open_socket(struct listener *listener, const struct service_socket_wanted *what)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct stat found;

	if (lstat(what->path, &found) == 0 && !S_ISSOCK(found.st_mode))
		return -EEXIST;
	return listener_open_path(listener, what->path, (mode_t)what->mode, nobody);
}

static int
bind_socket(struct listener *listener, const struct service_socket_wanted *what)
{
	struct rights own;
	int error = -EPERM;

	listener->fd = -1;
	if (enter_user(what->uid, &own)) {
		error = open_socket(listener, what);
		if (error == -ENOENT && what->uid != OWNER_NOBODY_UID) {
			error = make_run_dir(what->path, missing_dirs(what->path));
			if (error == 0)
				error = open_socket(listener, what);
		}
	}
	leave_user(&own);
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
	struct rights own;

	LIST_REMOVE(socket, entry);
	sockets->count--;
	if (enter_user(socket->what.uid, &own))
		listener_close_path(&socket->listener, socket->what.path);
	leave_user(&own);
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

/* 0 or a negative errno. */
static int
look_at(const struct service_socket *socket, struct stat *st)
{
	struct rights own;
	int error = lstat(socket->what.path, st) == 0 ? 0 : -errno;

	/* In a home that comes over a network root may see less than its user. */
	if (error != -EACCES && error != -EPERM)
		return error;
	if (enter_user(socket->what.uid, &own))
		error = lstat(socket->what.path, st) == 0 ? 0 : -errno;
	leave_user(&own);
	return error;
}

/* What cannot be seen is taken to be where it was. */
static bool
was_taken(const struct service_socket *socket)
{
	struct stat st;
	int error = look_at(socket, &st);

	if (error == 0)
		return st.st_dev != socket->listener.device || st.st_ino != socket->listener.inode;
	return error == -ENOENT || error == -ENOTDIR;
}

static void
count_taken(struct service_socket *socket, uint64_t now)
{
	bool again = socket->taken > 0 && now - socket->bound_at < CALM_MS + socket->wait_ms;

	socket->taken = again ? socket->taken + 1 : 1;
	socket->bound_at = now;
	if (socket->taken < ANEW_AT_ONCE)
		socket->wait_ms = 0;
	else if (socket->wait_ms == 0)
		socket->wait_ms = SERVICE_SOCKETS_LOOK_MS;
	else
		socket->wait_ms *= 2;
	if (socket->wait_ms > WAIT_MAX_MS)
		socket->wait_ms = WAIT_MAX_MS;
	log_warning(NULL, "service socket %s was replaced or removed: bound anew%s",
		    socket->what.path, socket->wait_ms == 0 ? "" : "; does another relay want it?");
}

/* Callers that wait at the old socket are taken from it as long as somebody has it open. */
static void
look_at_path(struct service_sockets *sockets, struct service_socket *socket, uint64_t now)
{
	struct listener fresh;

	if (!was_taken(socket) || (socket->taken > 0 && now - socket->bound_at < socket->wait_ms))
		return;
	int error = bind_socket(&fresh, &socket->what);
	if (error != 0 && error != socket->said)
		log_error(NULL, "service socket %s cannot be bound anew: %s", socket->what.path,
			  strerror(-error));
	socket->said = error;
	if (error != 0)
		return;
	count_taken(socket, now);
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
			look_at_path(sockets, socket, now);
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
