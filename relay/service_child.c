/*
 * service_child.c - see service_child.h.
 *
 * The keeper's copies of what the service alone may hold are closed as soon as it is forked: one
 * that stayed would keep a dead socket alive, and callers waiting on it.
 *
 * Never reads what a service says.  Owns nothing but the struct's descriptors.
 */
#include "relay/service_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "relay/child.h"

#define VARIABLE "PREFORK_INTERP"
/* A server that knows it may greet with it; to others it means nothing. */
#define EXTENSION "rlx1"

enum {
	STATUS_NOT_STARTED = 127,
	FIRST_FD = 3,
	HIGH_FD = 16, /* above all places that are filled */
	CHILDREN_MAX = 4096,
	LINK_MAX_LEN = 64,
};

/* In the order of the variable. */
enum given {
	GIVEN_LISTEN,
	GIVEN_CALL,
	GIVEN_SENTINEL,
	GIVEN_LEASH,
	GIVEN_COUNT,
};

/* --- the directory ---------------------------------------------------------------------------- */

int
service_child_make_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	if (lstat(dir, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* Who can write there could answer in a service's place. */
	return st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? 0 : -EPERM;
}

void
service_child_sweep_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	struct stat st;
	DIR *all = NULL;

	/* Whoever owns run_dir could point it at other sockets. */
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid())
		all = fdopendir(fd);
	if (all == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(all)) != NULL) {
		if (fstatat(dirfd(all), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISSOCK(st.st_mode))
			unlinkat(dirfd(all), entry->d_name, 0);
	}
	closedir(all);
}

/* --- in the new process ----------------------------------------------------------------------- */

/* All the rights of that user, and none besides. */
static bool
switch_user(const struct service_start *start)
{
	if (start->uid == OWNER_NOBODY_UID || start->uid == geteuid())
		return start->gid == OWNER_NOBODY_GID || start->gid == getegid() ||
		       setgid(start->gid) == 0;
	const struct passwd *user = getpwuid(start->uid);
	gid_t gid = start->gid != OWNER_NOBODY_GID ? start->gid
		    : user != NULL                 ? user->pw_gid
						   : (gid_t)start->uid;
	int groups = user != NULL ? initgroups(user->pw_name, gid) : setgroups(0, NULL);
	if (groups != 0 || setgid(gid) != 0 || setuid(start->uid) != 0)
		return false;
	if (user != NULL) {
		setenv("HOME", user->pw_dir, 1);
		setenv("USER", user->pw_name, 1);
		setenv("LOGNAME", user->pw_name, 1);
	}
	return true;
}

static void
default_signals(void)
{
	sigset_t none;

	/* Past the C library, which keeps two signals to itself: they too may have been ignored by
	 * whoever started the relay.  All zero is the default action in the kernel's structure. */
	static const uint64_t by_default[8];
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, by_default, NULL, sizeof by_default[0]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
lower_limit(rlim_t nofile)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= nofile)
		return;
	limit.rlim_cur = nofile;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Standard input is empty, standard output is standard error; the given ones follow, no other. */
static bool
place_descriptors(const int given[GIVEN_COUNT])
{
	int high[GIVEN_COUNT];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < GIVEN_COUNT; i++) {
		high[i] = fcntl(given[i], F_DUPFD_CLOEXEC, HIGH_FD);
		if (high[i] < 0)
			return false;
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return false;
	for (int i = 0; i < GIVEN_COUNT; i++) {
		if (dup2(high[i], FIRST_FD + i) < 0)
			return false;
	}
	return close_range(FIRST_FD + GIVEN_COUNT, ~0U, 0) == 0;
}

static bool
set_variable(struct timespec made)
{
	char value[128];

	snprintf(value, sizeof value, "v1,%lld.%09ld," EXTENSION " %d,%d,%d,%d",
		 (long long)made.tv_sec, made.tv_nsec, FIRST_FD + GIVEN_LISTEN,
		 FIRST_FD + GIVEN_CALL, FIRST_FD + GIVEN_SENTINEL, FIRST_FD + GIVEN_LEASH);
	return setenv(VARIABLE, value, 1) == 0;
}

static _Noreturn void
become(const struct service_start *start, const int given[GIVEN_COUNT], struct timespec made)
{
	if (start->silent)
		child_silence();
	setsid();
	default_signals();
	lower_limit(start->nofile);
	if (place_descriptors(given) && switch_user(start) && set_variable(made))
		execvp(start->command[0], start->command);
	dprintf(STDERR_FILENO, "relay: service %s cannot be started: %s\n", start->command[0],
		strerror(errno));
	_exit(STATUS_NOT_STARTED);
}

/* --- starting --------------------------------------------------------------------------------- */

static int
open_socket(struct service_child *process, const char *path, struct timespec *made)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct stat st;
	int error = listener_open_path(&process->socket, path, 0600, nobody);

	if (error != 0)
		return error;
	if (fcntl(process->socket.fd, F_SETFL, O_NONBLOCK) != 0 || lstat(path, &st) != 0) {
		error = -errno;
		listener_close_path(&process->socket, path);
		return error;
	}
	*made = st.st_mtim;
	return 0;
}

/* given[GIVEN_LISTEN] is there already; ours are put into the process. */
static int
open_pipes(struct service_child *process, int given[GIVEN_COUNT])
{
	int call[2];
	int sentinel[2];
	int leash[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, call) != 0)
		return -errno;
	close(call[1]);
	given[GIVEN_CALL] = call[0];
	if (pipe2(sentinel, O_CLOEXEC) != 0)
		return -errno;
	process->sentinel = sentinel[0];
	given[GIVEN_SENTINEL] = sentinel[1];
	if (pipe2(leash, O_CLOEXEC) != 0)
		return -errno;
	given[GIVEN_LEASH] = leash[0];
	process->leash = leash[1];
	/* The other ends of the pipes are descriptions of their own. */
	if (fcntl(sentinel[0], F_SETFL, O_NONBLOCK) != 0 ||
	    fcntl(leash[0], F_SETFL, O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

static int
fork_setup(struct service_child *process, const struct service_start *start,
	   const int given[GIVEN_COUNT], struct timespec made)
{
	pid_t pid = fork();

	if (pid == 0)
		become(start, given, made);
	if (pid < 0)
		return -errno;
	process->setup = pid;
	return 0;
}

int
service_child_start(struct service_child *process, const struct service_start *start)
{
	int given[GIVEN_COUNT] = { -1, -1, -1, -1 };
	struct timespec made = { 0 };

	*process = (struct service_child){ .sentinel = -1, .leash = -1, .socket = { .fd = -1 } };
	int error = open_socket(process, start->path, &made);
	if (error != 0)
		return error;
	given[GIVEN_LISTEN] = process->socket.fd;
	error = open_pipes(process, given);
	if (error == 0)
		error = fork_setup(process, start, given, made);
	for (int i = GIVEN_CALL; i < GIVEN_COUNT; i++) {
		if (given[i] >= 0)
			close(given[i]);
	}
	if (error == 0) {
		close(process->socket.fd);
		process->socket.fd = -1;
		return 0;
	}
	listener_close_path(&process->socket, start->path);
	service_child_fini(process);
	return error;
}

/* --- its life and end ------------------------------------------------------------------------- */

bool
service_child_lives(struct service_child *process)
{
	char rest[512];

	if (process->sentinel < 0)
		return false;
	/* What somebody writes there means nothing. */
	ssize_t got = read(process->sentinel, rest, sizeof rest);
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return true;
	close(process->sentinel);
	process->sentinel = -1;
	return false;
}

/* Only if the path is still this generation's. */
static void
unlink_socket(const struct service_child *process, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == process->socket.device &&
	    st.st_ino == process->socket.inode)
		unlink(path);
}

void
service_child_end(struct service_child *process, const char *path)
{
	if (process->leash < 0)
		return;
	close(process->leash);
	process->leash = -1;
	unlink_socket(process, path);
}

/*
 * Whether it has the end for writing of the pipe `target`.  A process that was forked a moment ago
 * may still have the keeper's own, for reading.
 */
static bool
holds(pid_t pid, const char *target)
{
	char path[64];
	char link[LINK_MAX_LEN];
	struct stat st;
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	DIR *fds = opendir(path);
	if (fds == NULL)
		return false;
	while (!found && (entry = readdir(fds)) != NULL) {
		ssize_t len = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
		if (len <= 0 || fstatat(dirfd(fds), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		link[len] = '\0';
		found = strcmp(link, target) == 0 && (st.st_mode & S_IWUSR) != 0;
	}
	closedir(fds);
	return found;
}

/*
 * A server has lost its parent, so it is a child of the keeper, as the children of a killed one.
 * The relay's own processes have the keeper's session: into their hands a service could only play
 * its sentinel, by a call.
 */
static void
kill_holders(const char *target)
{
	char path[64];
	long child;

	snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)getpid(), (long)getpid());
	FILE *children = fopen(path, "re");
	if (children == NULL)
		return;
	for (int i = 0; i < CHILDREN_MAX && fscanf(children, "%ld", &child) == 1; i++) {
		if (getsid((pid_t)child) != getsid(0) && holds((pid_t)child, target))
			kill((pid_t)child, SIGKILL);
	}
	fclose(children);
}

void
service_child_kill(const struct service_child *process)
{
	struct stat st;
	char target[LINK_MAX_LEN];

	if (process->setup != 0)
		kill(-process->setup, SIGKILL);
	if (process->setup != 0)
		kill(process->setup, SIGKILL); /* it may not have its session yet */
	if (process->sentinel < 0 || fstat(process->sentinel, &st) != 0)
		return;
	snprintf(target, sizeof target, "pipe:[%llu]", (unsigned long long)st.st_ino);
	kill_holders(target);
}

void
service_child_fini(struct service_child *process)
{
	if (process->sentinel >= 0)
		close(process->sentinel);
	if (process->leash >= 0)
		close(process->leash);
	process->sentinel = process->leash = -1;
}
