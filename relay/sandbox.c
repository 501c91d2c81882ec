/*
 * sandbox.c - Landlock, and the order of things.  The seccomp filter is in sandbox_filter.c.
 *
 * Nothing here ends a process: a relay on a kernel or in a container that lacks something runs with
 * what there is.
 */
#include "relay/sandbox.h"

#include "relay/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* SANITIZERS DO NOT LIVE IN IT: they open files for what they find, start a symbolizer, and look
 * for leaks from a process of their own by ptrace(2).  Such a build has no sandbox. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Newer than the distribution's header; all of the file system up to its version 5. */
#define FS_TRUNCATE  (1ULL << 14) /* version 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* version 5 */
#define NET_BIND_TCP (1ULL << 0)  /* version 4 */
#define SCOPE_NAMES  (1ULL << 0)  /* version 6: abstract sockets of others */
#define SCOPE_SIGNAL (1ULL << 1)  /* likewise: signals to others */
#define FS_FIRST     ((LANDLOCK_ACCESS_FS_REFER << 1) - 1)

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* What somebody put into delayed/ and is no regular file is set aside, which takes the right to
 * make its kind; no system call that makes one is let through but bind(2). */
#define FS_MAKE                                                                                    \
	(LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define FS_WRITE                                                                    \
	(FS_MAKE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
/* What there is to do with a file. */
#define FS_OF_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

enum {
	LANDLOCK_MIN = 2, /* the first denies every rename to another directory */
};

/* As the newest kernel has it: one that knows less takes it if the rest is zero. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static int
landlock_version(void)
{
	long version =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < LANDLOCK_MIN ? 0 : (int)version;
}

/* Control answers who pages: often a socket whose abstract name the kernel has chosen. */
static uint64_t
scope_of(enum sandbox_role role)
{
	return role == SANDBOX_CONTROL ? SCOPE_SIGNAL : SCOPE_SIGNAL | SCOPE_NAMES;
}

static struct ruleset
handled_by(int version, enum sandbox_role role)
{
	return (struct ruleset){
		.fs =
		    FS_FIRST | (version >= 3 ? FS_TRUNCATE : 0) | (version >= 5 ? FS_IOCTL_DEV : 0),
		.net = version >= 4 ? NET_BIND_TCP : 0,
		.scoped = version >= 6 ? scope_of(role) : 0,
	};
}

static uint64_t
rights_of(const struct sandbox_path *path)
{
	if (path->remove)
		return LANDLOCK_ACCESS_FS_REMOVE_FILE;
	return path->write ? FS_READ | FS_WRITE : FS_READ;
}

static void
allow(int ruleset, const struct ruleset *handled, const struct sandbox_path *path)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights_of(path) & handled->fs,
		.parent_fd = open(path->path, O_PATH | O_CLOEXEC),
	};
	struct stat st;

	if (rule.parent_fd < 0)
		return;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		log_warning(NULL, "sandbox: %s stays out of reach: %s", path->path,
			    strerror(errno));
	close(rule.parent_fd);
}

static int
bind_to(enum sandbox_role role, const struct sandbox_path *paths, size_t count)
{
	struct ruleset handled = handled_by(landlock_version(), role);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
	int error = 0;

	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < count; i++)
		allow(ruleset, &handled, &paths[i]);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		error = -errno;
	close(ruleset);
	return error;
}

static void
complain(const char *what, int error)
{
	if (error != 0)
		log_warning(NULL, "sandbox: no %s here, running on without it: %s", what,
			    strerror(-error));
}

/* From then on this process is hidden, and the filter refuses to hear it again. */
static bool entered;

void
sandbox_hide(void)
{
	if (!SANITIZED && !entered)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/*
 * What is never used after the start; the ring of a worker has its locked memory by then.  Not
 * here: processes, for the kernel's helpers of a ring count as such, and so do threads; the length
 * of files, which binds memfds, too, and by a signal that kills; the address space, of which
 * libraries and threads reserve more than a configuration says.  An exporter has neither ring nor
 * threads.
 */
static const struct {
	int resource;
	unsigned who;
} GIVEN_UP[] = {
	{ RLIMIT_CORE, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_MEMLOCK, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_MSGQUEUE, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_NICE, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_RTPRIO, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_SIGPENDING, SANDBOX_WORKER | SANDBOX_CONTROL | SANDBOX_EXPORTER },
	{ RLIMIT_NPROC, SANDBOX_EXPORTER },
};

/* Descriptors: as many as there may be now, for the configuration that asks for them is live. */
static void
give_up_resources(enum sandbox_role role)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	for (size_t i = 0; i < sizeof GIVEN_UP / sizeof GIVEN_UP[0]; i++) {
		if ((GIVEN_UP[i].who & role) != 0)
			setrlimit(GIVEN_UP[i].resource, &none);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_max = files.rlim_cur;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

void
sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths, size_t count)
{
	if (SANITIZED)
		return;
	/* Or the first date of a certificate would open the file of the zone. */
	tzset();
	sandbox_hide();
	give_up_resources(role);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		complain("no_new_privs", -errno);
	if (landlock_version() != 0)
		complain("Landlock", bind_to(role, paths, count));
	/* Last: the filter lets none of the calls above through. */
	if (sandbox_filter_there())
		complain("seccomp filter", sandbox_filter(role));
	entered = true;
}

const char *
sandbox_lacks(void)
{
	bool landlock = landlock_version() != 0;
	bool filter = sandbox_filter_there();

	if (SANITIZED)
		return "everything: this program was built with sanitizers";
	if (landlock && filter)
		return NULL;
	return landlock ? "the seccomp filter: the kernel or a container refuses seccomp(2)"
	       : filter ? "Landlock: the kernel is without it, or a container refuses it"
			: "Landlock and the seccomp filter: kernel or container refuse both";
}

void
sandbox_report(FILE *to)
{
	const char *lacks = sandbox_lacks();
	int version = landlock_version();

	if (version > 0)
		fprintf(to, "%-22s version %d\n", "landlock", version);
	else
		fprintf(to, "%-22s no\n", "landlock");
	fprintf(to, "%-22s %s\n", "own seccomp filter", sandbox_filter_there() ? "yes" : "no");
	fprintf(to, "%-22s %s%s\n", "sandbox", lacks == NULL ? "whole" : "lacks ",
		lacks == NULL ? "" : lacks);
}
