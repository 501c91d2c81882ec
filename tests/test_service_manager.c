/*
 * test_service_manager.c - the environment of a service manager and what is said to it.
 */
#include "tests/temp_dir.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/service_manager.h"

static struct service_manager manager;
static struct report report;

static void
set_up(void)
{
	temp_dir_make();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static void
tear_down(void)
{
	service_manager_fini(&manager);
	report_fini(&report);
	temp_dir_remove();
}

TestSuite(service_manager, .init = set_up, .fini = tear_down);

static bool
says(const char *variable, const char *part)
{
	for (size_t i = 0; i < report.count; i++) {
		const struct report_entry *entry = &report.entries[i];

		if (entry->severity == REPORT_WARNING && strcmp(entry->file, variable) == 0 &&
		    strstr(entry->text, part) != NULL)
			return true;
	}
	report_print(stderr, &report);
	return false;
}

/* ---- notifications ---- */

/* A manager's end, bound to `name`; '@' at its start makes it abstract. */
static int
listen_as(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	strcpy(address.sun_path, name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, len), 0, "%s", strerror(errno));
	setenv("NOTIFY_SOCKET", name, 1);
	service_manager_init(&manager, &report);
	cr_assert_null(getenv("NOTIFY_SOCKET"));
	return fd;
}

static const char *
heard(int fd)
{
	static char text[2048];
	ssize_t got = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	cr_assert_geq(got, 0, "%s", strerror(errno));
	text[got] = '\0';
	return text;
}

Test(service_manager, nobody_there)
{
	service_manager_init(&manager, &report);
	cr_assert_eq(manager.address_len, 0);
	cr_assert_eq(manager.watchdog_ms, 0);
	cr_assert_eq(manager.socket_count, 0);
	cr_assert_eq(service_manager_ready(&manager, NULL), 0);
	cr_assert_eq(service_manager_reloading(&manager), 0);
	cr_assert_eq(service_manager_stopping(&manager), 0);
	cr_assert_eq(service_manager_status(&manager, "x"), 0);
	cr_assert_eq(service_manager_watchdog(&manager), 0);
	cr_assert_eq(service_manager_take_socket(&manager, "unknown", ""), -1);
	cr_assert_eq(report.count, 0);
}

Test(service_manager, what_is_said)
{
	int fd = listen_as(temp_path("notify"));

	cr_assert_eq(service_manager_ready(&manager, NULL), 0);
	cr_assert_str_eq(heard(fd), "READY=1");
	cr_assert_eq(service_manager_ready(&manager, "serving 3 hosts"), 0);
	cr_assert_str_eq(heard(fd), "READY=1\nSTATUS=serving 3 hosts");
	cr_assert_eq(service_manager_stopping(&manager), 0);
	cr_assert_str_eq(heard(fd), "STOPPING=1");
	cr_assert_eq(service_manager_watchdog(&manager), 0);
	cr_assert_str_eq(heard(fd), "WATCHDOG=1");
	close(fd);
	cr_assert_eq(report.count, 0);
}

Test(service_manager, a_reload_tells_its_moment)
{
	int fd = listen_as(temp_path("notify"));
	struct timespec before, after;
	unsigned long long moment;
	char end;

	clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_eq(service_manager_reloading(&manager), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	cr_assert_eq(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%llu%c", &moment, &end), 1);
	cr_assert_geq(moment, (unsigned long long)before.tv_sec * 1000000 +
				  (unsigned long long)before.tv_nsec / 1000);
	cr_assert_leq(moment, (unsigned long long)after.tv_sec * 1000000 +
				  (unsigned long long)after.tv_nsec / 1000);
	close(fd);
}

Test(service_manager, a_status_is_one_bounded_line)
{
	int fd = listen_as(temp_path("notify"));
	char longest[SERVICE_MANAGER_STATUS_MAX + 100];

	cr_assert_eq(service_manager_status(&manager, "a\nREADY=1\x1b"), 0);
	cr_assert_str_eq(heard(fd), "STATUS=a?READY=1?");
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	cr_assert_eq(service_manager_ready(&manager, longest), 0);
	const char *text = heard(fd);
	cr_assert_eq(strncmp(text, "READY=1\nSTATUS=xxx", 18), 0);
	cr_assert_eq(strlen(text), strlen("READY=1\nSTATUS=") + SERVICE_MANAGER_STATUS_MAX);
	close(fd);
}

Test(service_manager, abstract_address)
{
	char name[64];

	snprintf(name, sizeof name, "@relay-test-%ld", (long)getpid());
	int fd = listen_as(name);
	cr_assert_eq(service_manager_watchdog(&manager), 0);
	cr_assert_str_eq(heard(fd), "WATCHDOG=1");
	close(fd);
}

Test(service_manager, longest_address)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int len = snprintf(name, sizeof name, "@relay-test-%ld-", (long)getpid());

	memset(name + len, 'x', sizeof name - 1 - (size_t)len);
	name[sizeof name - 1] = '\0';
	int fd = listen_as(name);
	cr_assert_eq(service_manager_watchdog(&manager), 0);
	cr_assert_str_eq(heard(fd), "WATCHDOG=1");
	close(fd);
}

Test(service_manager, a_manager_that_does_not_listen)
{
	int fd = listen_as(temp_path("notify"));
	int error = 0;

	/* A full queue: the caller is told, and never waits. */
	for (int i = 0; i < 100000 && error == 0; i++)
		error = service_manager_watchdog(&manager);
	cr_assert_eq(error, -EAGAIN, "%d", error);
	close(fd);
	cr_assert_eq(service_manager_ready(&manager, NULL), -ECONNREFUSED);
	cr_assert_eq(unlink(temp_path("notify")), 0);
	cr_assert_eq(service_manager_ready(&manager, NULL), -ENOENT);
}

Test(service_manager, addresses_that_are_none)
{
	char longest[200];

	memset(longest, '/', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	longest[108] = '\0'; /* one byte too long */
	const char *const wrong[] = { "relative/path", "@", "vsock:2:1234", longest };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		setenv("NOTIFY_SOCKET", wrong[i], 1);
		service_manager_init(&manager, &report);
		cr_assert_eq(manager.address_len, 0, "%s", wrong[i]);
		cr_assert_eq(report.count, i + 1);
		cr_assert_eq(service_manager_ready(&manager, NULL), 0);
	}
	cr_assert(says("$NOTIFY_SOCKET", "\"relative/path\" is neither"));
}

/* ---- watchdog ---- */

static uint64_t
watchdog(const char *limit, long pid)
{
	char text[32];

	snprintf(text, sizeof text, "%ld", pid);
	setenv("WATCHDOG_USEC", limit, 1);
	if (pid != 0)
		setenv("WATCHDOG_PID", text, 1);
	service_manager_init(&manager, &report);
	cr_assert_null(getenv("WATCHDOG_USEC"));
	cr_assert_null(getenv("WATCHDOG_PID"));
	return manager.watchdog_ms;
}

Test(service_manager, watchdog)
{
	cr_assert_eq(watchdog("3000000", 0), 1500);
	cr_assert_eq(watchdog("3000000", (long)getpid()), 1500);
	cr_assert_eq(watchdog("3000000", (long)getppid()), 0);
	cr_assert_eq(watchdog("1000", 0), 1, "never the zero that means none");
	cr_assert_eq(watchdog("0", 0), 0);
	cr_assert_eq(watchdog("18446744073709551615", 0), UINT64_MAX / 2000);
	cr_assert_eq(report.count, 0);
	cr_assert_eq(watchdog("18446744073709551616", 0), 0);
	cr_assert_eq(watchdog("3s", 0), 0);
	cr_assert_eq(watchdog("", 0), 0);
	cr_assert_eq(watchdog("-1", 0), 0);
	cr_assert_eq(report.count, 4);
	cr_assert(says("$WATCHDOG_USEC", "\"3s\" is not a number up to 18446744073709551615"));
}

/* ---- sockets ---- */

/*
 * Descriptors 3, 4 ... are in use here by the test's own machinery.  So each case runs in a child,
 * where it may do with them as it likes; its answer is the line of the check that failed, or 0.
 */
#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

static void
in_child(int (*body)(void))
{
	int *line =
	    mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	cr_assert_neq(line, MAP_FAILED);
	*line = -1;
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		*line = body();
		service_manager_fini(&manager);
		report_fini(&report);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(*line, 0, "the check in line %d failed", *line);
	munmap(line, sizeof *line);
}

enum kind {
	LISTENING,
	NOT_LISTENING,
	DATAGRAM,
	INTERNET,
	PIPE,
	CLOSED
};

static int
make_socket(enum kind kind, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = -1, ends[2];

	if (kind == PIPE && pipe(ends) == 0) {
		close(ends[1]);
		fd = ends[0];
	} else if (kind == INTERNET) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		listen(fd, 1);
	} else if (kind != CLOSED) {
		fd = socket(AF_UNIX, kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
		strcpy(address.sun_path, path);
		bind(fd, (const struct sockaddr *)&address, sizeof address);
		if (kind == LISTENING)
			listen(fd, 5);
	}
	return fd;
}

/* Descriptor 3 + index as the manager passes it. */
static void
pass(int index, enum kind kind, const char *name)
{
	int to = 3 + index;
	int fd = make_socket(kind, temp_path(name));

	if (fd >= 0 && fd != to) {
		dup2(fd, to);
		close(fd);
	} else if (fd < 0) {
		close(to);
	}
}

static void
announce(const char *count, const char *names)
{
	char pid[32];

	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
	service_manager_init(&manager, &report);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int
sockets_by_name(void)
{
	pass(0, LISTENING, "a");
	pass(1, LISTENING, "b");
	pass(2, LISTENING, "c");
	fcntl(4, F_SETFL, O_NONBLOCK);
	announce("3", "msul1:nsdl2:z-9.q_");
	CHECK(report.count == 0);
	CHECK(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
	      getenv("LISTEN_FDNAMES") == NULL);
	CHECK(manager.socket_count == 3);
	for (int fd = 3; fd <= 5; fd++) {
		CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	}
	CHECK(strcmp(manager.sockets[1].path, temp_path("b")) == 0);
	CHECK(service_manager_take_socket(&manager, "nsdl2", "/x") == 4);
	CHECK(service_manager_take_socket(&manager, "nsdl2", "/x") == -1);
	CHECK(service_manager_take_socket(&manager, "msul", "/x") == -1);
	CHECK(service_manager_take_socket(&manager, "z-9.q_", "/x") == 5);
	/* What nobody took is closed; what was taken stays. */
	service_manager_close_rest(&manager, &report);
	CHECK(says("$LISTEN_FDNAMES", "socket msul1 ("));
	CHECK(report.count == 1);
	CHECK(!is_open(3) && is_open(4) && is_open(5));
	CHECK(service_manager_take_socket(&manager, "msul1", "/x") == -1);
	return 0;
}

Test(service_manager, sockets_by_name)
{
	in_child(sockets_by_name);
}

/* One unit with many sockets gives all of them one name. */
static int
sockets_by_path(void)
{
	pass(0, LISTENING, "a");
	pass(1, LISTENING, "b");
	announce("2", "relay.socket:relay.socket");
	CHECK(report.count == 0);
	CHECK(service_manager_take_socket(&manager, "h", temp_path("b")) == 4);
	CHECK(service_manager_take_socket(&manager, "h", temp_path("b")) == -1);
	CHECK(service_manager_take_socket(&manager, "h", temp_path("a")) == 3);
	return 0;
}

Test(service_manager, sockets_by_path)
{
	in_child(sockets_by_path);
}

/* A name is meant; a path may be chance. */
static int
name_before_path(void)
{
	pass(0, LISTENING, "a");
	pass(1, LISTENING, "b");
	announce("2", "x:a");
	CHECK(service_manager_take_socket(&manager, "a", temp_path("a")) == 4);
	CHECK(service_manager_take_socket(&manager, "a", temp_path("a")) == 3);
	return 0;
}

Test(service_manager, name_before_path)
{
	in_child(name_before_path);
}

static int
missing_names(void)
{
	pass(0, LISTENING, "a");
	pass(1, LISTENING, "b");
	pass(2, LISTENING, "c");
	announce("3", "one:");
	CHECK(strcmp(manager.sockets[0].name, "one") == 0);
	CHECK(strcmp(manager.sockets[1].name, "") == 0);
	CHECK(strcmp(manager.sockets[2].name, "unknown") == 0);
	return 0;
}

Test(service_manager, missing_names)
{
	in_child(missing_names);
}

static int
foreign_descriptors(void)
{
	pass(0, NOT_LISTENING, "a");
	pass(1, DATAGRAM, "b");
	pass(2, INTERNET, "c");
	pass(3, PIPE, "d");
	pass(4, CLOSED, "e");
	pass(5, LISTENING, "f");
	announce("6", "a:b:c:d:e:f");
	CHECK(manager.socket_count == 1);
	CHECK(manager.sockets[0].fd == 8);
	CHECK(report.count == 5);
	CHECK(says("$LISTEN_FDS", "descriptor 3 (a) does not listen: closed"));
	CHECK(says("$LISTEN_FDS", "descriptor 4 (b) is not a UNIX stream socket: closed"));
	CHECK(says("$LISTEN_FDS", "descriptor 5 (c) is not a UNIX stream socket: closed"));
	CHECK(says("$LISTEN_FDS", "descriptor 6 (d) is not a socket: closed"));
	CHECK(says("$LISTEN_FDS", "descriptor 7 (e) is not open"));
	for (int fd = 3; fd <= 7; fd++)
		CHECK(!is_open(fd));
	return 0;
}

Test(service_manager, foreign_descriptors)
{
	in_child(foreign_descriptors);
}

/* They are meant for another process: nothing is touched but the environment. */
static int
sockets_for_others(void)
{
	char parent[32];

	snprintf(parent, sizeof parent, "%ld", (long)getppid());
	pass(0, LISTENING, "a");
	setenv("LISTEN_FDS", "1", 1);
	service_manager_init(&manager, &report);
	CHECK(manager.socket_count == 0);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", parent, 1);
	service_manager_init(&manager, &report);
	CHECK(manager.socket_count == 0 && getenv("LISTEN_FDS") == NULL);
	CHECK(report.count == 0);
	CHECK(fcntl(3, F_GETFD) == 0);
	announce("1000000", NULL);
	CHECK(manager.socket_count == 0 && report.count == 1);
	announce("one", NULL);
	CHECK(manager.socket_count == 0 && report.count == 2);
	setenv("LISTEN_PID", "me", 1);
	setenv("LISTEN_FDS", "1", 1);
	service_manager_init(&manager, &report);
	CHECK(manager.socket_count == 0 && report.count == 3);
	CHECK(says("$LISTEN_PID", "\"me\" is not a number"));
	CHECK(fcntl(3, F_GETFD) == 0);
	return 0;
}

Test(service_manager, sockets_for_others)
{
	in_child(sockets_for_others);
}

/* A path that fills its field to the last byte. */
static int
longest_path(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(address.sun_path, 'x', sizeof address.sun_path);
	CHECK(chdir(temp_dir) == 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
	CHECK(listen(fd, 1) == 0 && dup2(fd, 3) == 3);
	announce("1", "n");
	CHECK(manager.socket_count == 1);
	CHECK(strlen(manager.sockets[0].path) == sizeof address.sun_path);
	return 0;
}

Test(service_manager, longest_path)
{
	in_child(longest_path);
}
