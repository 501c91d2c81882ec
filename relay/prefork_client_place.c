/*
 * prefork_client_place.c - paths of services, connections to them, and their removal.
 *
 * Never makes a directory: where none is, nobody serves.  Owns no descriptor but while it holds the
 * lock.
 */
#include "relay/prefork_client_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "wire/pfi_path.h"

#define MODE_BITS 07777
#define LOCK_MODE 0600

__attribute__((format(printf, 2, 3))) static bool
failed(struct prefork_place *place, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(place->error, sizeof place->error, format, list);
	va_end(list);
	return false;
}

/* --- the run directory */

static bool
look_at_runtime_dir(struct prefork_place *place, struct pfi_run_facts *facts)
{
	char path[64] = "";
	struct wire_out out = wire_out(path, sizeof path - 1);
	struct stat found;

	pfi_put_runtime_dir(&out, facts->uid);
	if (lstat(path, &found) != 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? true
			   : failed(place, "%s: %s", path, strerror(errno));
	facts->is_directory = S_ISDIR(found.st_mode);
	facts->owner = found.st_uid;
	facts->mode = found.st_mode & MODE_BITS;
	return true;
}

static bool
put_run_dir(struct prefork_place *place, struct wire_out *out)
{
	struct pfi_run_facts facts = { .uid = getuid() };
	struct utsname system;
	const struct passwd *user;

	if (!look_at_runtime_dir(place, &facts))
		return false;
	if (!pfi_runtime_dir_usable(&facts)) {
		errno = 0;
		user = getpwuid(facts.uid);
		if (!user)
			return failed(place, "user %u: %s", facts.uid,
				      errno != 0 ? strerror(errno) : "not known");
		if (uname(&system) != 0)
			return failed(place, "uname: %s", strerror(errno));
		facts.home = wire_span_str(user->pw_dir);
		facts.nodename = wire_span_str(system.nodename);
	}
	pfi_put_run_dir(out, &facts);
	return !out->overflow || failed(place, "the home directory's path is too long");
}

static bool
put_path(struct prefork_place *place, char path[static PREFORK_PATH_SIZE], struct wire_span run,
	 enum pfi_path_kind kind, const char *ident)
{
	struct wire_out out = wire_out(path, PREFORK_PATH_SIZE - 1);

	switch (pfi_put_path(&out, run, kind, wire_span_str(ident))) {
	case WIRE_OK:
		break;
	case WIRE_BAD_LONG:
		return failed(place,
			      "ident '%.80s': longer than %zu bytes, which is all that %.*s allows",
			      ident, pfi_ident_max(run.len), (int)run.len, (const char *)run.data);
	case WIRE_BAD_ID:
		return failed(place, "ident '%.80s': a '/' would name something elsewhere", ident);
	case WIRE_MORE:
	case WIRE_SKIP:
	case WIRE_BAD_FORM:
	case WIRE_BAD_ORDER:
	case WIRE_BAD_REFUSED:
		return failed(place, "ident '%.80s': not possible", ident);
	}
	path[out.len] = '\0';
	return true;
}

/* What a caller hands over, his descriptors, goes to whoever answers there. */
static bool
is_kept_from_others(struct prefork_place *place, const char *run)
{
	struct stat found;

	if (stat(run, &found) != 0 || (found.st_mode & S_IWOTH) == 0)
		return true;
	return failed(place, "%.160s: anybody may write to it (mode %04o)", run,
		      (unsigned)found.st_mode & MODE_BITS);
}

bool
prefork_place_of_ident(struct prefork_place *place, const char *ident)
{
	char run[PATH_MAX];
	struct wire_out out = wire_out(run, sizeof run - 1);

	*place = (struct prefork_place){ .error = "" };
	if (!put_run_dir(place, &out))
		return false;
	run[out.len] = '\0';
	return prefork_place_in_dir(place, run, ident);
}

bool
prefork_place_in_dir(struct prefork_place *place, const char *run, const char *ident)
{
	struct wire_span dir = wire_span_str(run);

	*place = (struct prefork_place){ .error = "" };
	return is_kept_from_others(place, run) &&
	       put_path(place, place->extended, dir, PFI_PATH_EXTENDED, ident) &&
	       put_path(place, place->socket, dir, PFI_PATH_SOCKET, ident) &&
	       put_path(place, place->lock, dir, PFI_PATH_LOCK, ident);
}

bool
prefork_place_of_path(struct prefork_place *place, const char *path)
{
	size_t len = strlen(path);

	*place = (struct prefork_place){ .error = "" };
	if (len == 0 || len >= sizeof place->extended)
		return failed(place, "--socket: a path has 1 to %zu bytes",
			      sizeof place->extended - 1);
	memcpy(place->extended, path, len + 1);
	return true;
}

/* --- connections */

int
prefork_place_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* --- --kill */

/* Whether the lock that is held is still the one by that name. */
static bool
is_at(int fd, const char *path)
{
	struct stat held, found;

	return fstat(fd, &held) == 0 && stat(path, &found) == 0 && held.st_dev == found.st_dev &&
	       held.st_ino == found.st_ino;
}

/* The descriptor of the lock, held; -1: errno. */
static int
take_lock(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
		bool held = fd >= 0 && flock(fd, LOCK_EX) == 0;
		int error = errno;

		if (fd < 0 || (held && is_at(fd, path)))
			return fd;
		close(fd);
		/* Otherwise who held it before has removed it. */
		if (!held) {
			errno = error;
			return -1;
		}
	}
}

bool
prefork_place_kill(struct prefork_place *place)
{
	bool done = true;
	int fd;

	fd = take_lock(place->lock);
	if (fd < 0)
		return errno == ENOENT || failed(place, "%s: %s", place->lock, strerror(errno));
	if (unlink(place->socket) != 0 && errno != ENOENT)
		done = failed(place, "%s: %s", place->socket, strerror(errno));
	if (done && unlink(place->lock) != 0)
		done = failed(place, "%s: %s", place->lock, strerror(errno));
	close(fd);
	return done;
}
