/*
 * test_sandbox.c - what a process that entered a sandbox can still do.  Each in a process of its
 * own, which ends with the number of the first fact that does not hold.
 */
#include "relay/sandbox.h"

#include "tests/temp_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOLDS(fact)                                \
	do {                                       \
		if (!(fact))                       \
			return __LINE__ % 250 + 1; \
	} while (0)

TestSuite(sandbox, .init = temp_dir_make, .fini = temp_dir_remove);

/* The status of a child that did this. */
static int
ends_with(int (*what)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(what());
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static bool
fails_with(long result, int error)
{
	return result == -1 && errno == error;
}

static int
worker_keeps_nothing(void)
{
	struct stat st;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sandbox_enter(SANDBOX_WORKER, NULL, 0);
	HOLDS(fails_with(open("/etc/passwd", O_RDONLY), EPERM));
	HOLDS(fails_with(execl("/bin/true", "true", (char *)NULL), EPERM));
	HOLDS(fails_with(fork(), EPERM));
	HOLDS(fails_with(socket(AF_NETLINK, SOCK_RAW, 0), EPERM));
	HOLDS(fails_with(stat("/etc/passwd", &st), EPERM));
	HOLDS(fails_with(kill(getppid(), 0), EPERM));
	HOLDS(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
	HOLDS(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	HOLDS(socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0);
	HOLDS(fstat(null, &st) == 0);
	HOLDS(malloc(1 << 20) != NULL);
	return 0;
}

static void *
try_secret(void *path)
{
	return (void *)(intptr_t)(fails_with(open(path, O_RDONLY), EACCES) ? 1 : 0);
}

static int
control_keeps_its_paths(void)
{
	const struct sandbox_path paths[] = {
		{ .path = temp_path("mine"), .write = true },
		{ .path = temp_path("theirs"), .write = false },
		{ .path = temp_path("nowhere"), .write = true },
	};
	char secret[512];
	pthread_t thread;
	void *refused = NULL;

	snprintf(secret, sizeof secret, "%s", temp_path("secret"));
	sandbox_enter(SANDBOX_CONTROL, paths, 3);
	HOLDS(open(temp_path("mine/new"), O_WRONLY | O_CREAT | O_TRUNC, 0600) >= 0);
	HOLDS(mkdir(temp_path("mine/below"), 0700) == 0);
	HOLDS(rename(temp_path("mine/new"), temp_path("mine/below/new")) == 0);
	HOLDS(unlink(temp_path("mine/below/new")) == 0);
	HOLDS(open(temp_path("theirs/file"), O_RDONLY) >= 0);
	HOLDS(fails_with(open(temp_path("theirs/file"), O_WRONLY), EACCES));
	HOLDS(fails_with(unlink(temp_path("theirs/file")), EACCES));
	HOLDS(fails_with(open(secret, O_RDONLY), EACCES));
	HOLDS(fails_with(symlink(secret, temp_path("mine/link")), EPERM));
	HOLDS(fails_with(execl("/bin/true", "true", (char *)NULL), EPERM));
	HOLDS(fails_with(fork(), EPERM));
	HOLDS(pthread_create(&thread, NULL, try_secret, secret) == 0);
	HOLDS(pthread_join(thread, &refused) == 0 && refused != NULL);
	return 0;
}

/* Whether the limit is that, and cannot be raised. */
static bool
is_limited(int resource, rlim_t to)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 && limit.rlim_cur == to && limit.rlim_max == to;
}

static int
resources_are_given_up(void)
{
	static const int all[] = { RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
				   RLIMIT_NICE, RLIMIT_RTPRIO,  RLIMIT_SIGPENDING };
	struct rlimit files;

	HOLDS(getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max > 32);
	files.rlim_cur = 32;
	HOLDS(setrlimit(RLIMIT_NOFILE, &files) == 0);
	/* The role that may ask for its limits, and is not to change them. */
	sandbox_enter(SANDBOX_CONTROL, NULL, 0);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		HOLDS(is_limited(all[i], 0));
	HOLDS(is_limited(RLIMIT_NOFILE, 32));
	HOLDS(!is_limited(RLIMIT_NPROC, 0)); /* threads */
	HOLDS(fails_with(setrlimit(RLIMIT_NOFILE, &files), EPERM));
	return 0;
}

static int
an_exporter_begins_no_process(void)
{
	sandbox_enter(SANDBOX_EXPORTER, NULL, 0);
	HOLDS(is_limited(RLIMIT_NPROC, 0));
	HOLDS(is_limited(RLIMIT_CORE, 0));
	return 0;
}

static int
both_give_up_privileges(void)
{
	struct rlimit core;

	HOLDS(prctl(PR_GET_DUMPABLE) == 1);
	sandbox_hide();
	HOLDS(prctl(PR_GET_DUMPABLE) == 0);
	HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	sandbox_enter(SANDBOX_CONTROL, NULL, 0);
	HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
	HOLDS(fails_with(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM));
	return 0;
}

static int
refusals_are_heard_of(void)
{
	sandbox_enter(SANDBOX_WORKER, NULL, 0);
	HOLDS(sandbox_refused() == -1);
	HOLDS(getpid() > 0 && sandbox_refused() == -1);
	HOLDS(fails_with(syscall(SYS_mkdirat, AT_FDCWD, "/nowhere/at/all", 0700), EPERM));
	HOLDS(fails_with(syscall(SYS_execve, "/bin/true", NULL, NULL), EPERM));
	HOLDS(fails_with(syscall(SYS_execve, "/bin/true", NULL, NULL), EPERM));
	HOLDS(fails_with(syscall(5000), EPERM));
	long first = sandbox_refused();
	long second = sandbox_refused();
	HOLDS(first + second == SYS_mkdirat + SYS_execve && first != second);
	HOLDS(sandbox_refused() == 1023);
	HOLDS(sandbox_refused() == -1);
	HOLDS(fails_with(syscall(SYS_execve, "/bin/true", NULL, NULL), EPERM));
	HOLDS(sandbox_refused() == -1);
	return 0;
}

/* The kernel would send it for us: any signal, also one that kills. */
static int
nobody_is_signalled_by_a_descriptor(void)
{
	struct f_owner_ex parent = { .type = F_OWNER_PID, .pid = getppid() };
	int ends[2];

	HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	sandbox_enter(SANDBOX_WORKER, NULL, 0);
	HOLDS(fails_with(fcntl(ends[0], F_SETOWN, getpid()), EPERM));
	HOLDS(fails_with(fcntl(ends[0], F_SETOWN_EX, &parent), EPERM));
	HOLDS(fails_with(fcntl(ends[0], F_SETSIG, SIGUSR1), EPERM));
	HOLDS(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	HOLDS(fcntl(ends[0], F_GETFD) >= 0);
	HOLDS(fcntl(ends[0], F_DUPFD_CLOEXEC, 3) >= 0);
	int memory = (int)syscall(SYS_memfd_create, "test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	HOLDS(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	HOLDS(fcntl(memory, F_GET_SEALS) == F_SEAL_SHRINK);
	return 0;
}

static int
what_is_known_to_be_refused_is_not(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sandbox_enter(SANDBOX_CONTROL, NULL, 0);
	HOLDS(fails_with(fchown(null, 0, 0), EPERM));
	HOLDS(fails_with(syscall(SYS_clone3, NULL, 0), ENOSYS));
	HOLDS(sandbox_refused() == -1);
	return 0;
}

/* A socket of the test's own, with a name of the kernel's choice. */
static struct sockaddr_un pager_name;
static socklen_t pager_name_len = sizeof pager_name;

static long
page_back(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	return sendto(fd, "ok", 2, MSG_DONTWAIT, (struct sockaddr *)&pager_name, pager_name_len);
}

static int
control_answers_abstract_names(void)
{
	sandbox_enter(SANDBOX_CONTROL, NULL, 0);
	HOLDS(page_back() == 2);
	return 0;
}

/* How the spool learns that a file is written still. */
static int
control_takes_leases(void)
{
	const struct sandbox_path mine = { .path = temp_path("."), .write = true };
	int ends[2];

	HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	sandbox_enter(SANDBOX_CONTROL, &mine, 1);
	int file = open(temp_path("file"), O_RDONLY | O_CLOEXEC);
	HOLDS(file >= 0);
	HOLDS(fcntl(file, F_SETSIG, SIGURG) == 0);
	HOLDS(fcntl(file, F_SETLEASE, F_RDLCK) == 0);
	HOLDS(fcntl(file, F_SETLEASE, F_UNLCK) == 0);
	HOLDS(fails_with(fcntl(ends[0], F_SETOWN, getpid()), EPERM));
	return 0;
}

/* Certificates have them: the first one in a process asks for the time zone. */
static int
dates_need_no_file(void)
{
	struct tm tm;

	HOLDS(sandbox_hear_refusals() == 0);
	sandbox_enter(SANDBOX_WORKER, NULL, 0);
	HOLDS(gmtime_r(&(time_t){ 0 }, &tm) != NULL);
	HOLDS(sandbox_refused() == -1);
	return 0;
}

static void
needs_sandbox(void)
{
	if (sandbox_lacks() != NULL)
		cr_skip_test("no whole sandbox here: it lacks %s", sandbox_lacks());
}

Test(sandbox, a_worker_has_sockets_and_nothing_else)
{
	needs_sandbox();
	int line = ends_with(worker_keeps_nothing);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, control_has_its_paths_also_in_its_threads)
{
	needs_sandbox();
	cr_assert_eq(mkdir(temp_path("mine"), 0700), 0);
	cr_assert_eq(mkdir(temp_path("theirs"), 0700), 0);
	temp_write("theirs/file", "text");
	temp_write("secret", "secret");
	int line = ends_with(control_keeps_its_paths);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, privileges_and_cores_are_gone)
{
	needs_sandbox();
	int line = ends_with(both_give_up_privileges);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, resources_that_are_not_used_are_given_up)
{
	needs_sandbox();
	int line = ends_with(resources_are_given_up);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
	line = ends_with(an_exporter_begins_no_process);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, a_refusal_is_heard_of_once)
{
	needs_sandbox();
	int line = ends_with(refusals_are_heard_of);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
	line = ends_with(what_is_known_to_be_refused_is_not);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, a_date_is_no_refusal)
{
	needs_sandbox();
	int line = ends_with(dates_need_no_file);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, no_signal_goes_by_a_descriptor)
{
	needs_sandbox();
	int line = ends_with(nobody_is_signalled_by_a_descriptor);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
	temp_write("file", "text");
	line = ends_with(control_takes_leases);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
}

Test(sandbox, control_answers_who_has_an_abstract_name)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	needs_sandbox();
	cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof own.sun_family), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&pager_name, &pager_name_len), 0);
	int line = ends_with(control_answers_abstract_names);
	cr_assert_eq(line, 0, "line %d, modulo 250", line - 1);
	close(fd);
}
