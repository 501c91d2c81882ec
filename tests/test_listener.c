/*
 * test_listener.c - listening sockets in a directory of their own: never missing, of the right
 * mode, removed only by their owner, and nothing left behind by a failure.
 */
#include "relay/listener.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/open_fds.h"

static char dir[PATH_MAX];
static char cwd[PATH_MAX];
static mode_t mask;
static int fds_before;
static const char *swapped_for; /* what takes the place of the temporary name; NULL = nothing */

/* In place of the C library's: the moment at which others of the directory can be faster. */
int
listen(int fd, int backlog)
{
	char name[64];

	if (swapped_for != NULL) {
		snprintf(name, sizeof name, ".relay-%ld", (long)getpid());
		cr_assert_eq(unlink(name), 0);
		cr_assert_eq(symlink(swapped_for, name), 0);
	}
	return (int)syscall(SYS_listen, fd, backlog);
}

static void
set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof dir, "%s/relay-listener-XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_not_null(getcwd(cwd, sizeof cwd));
	mask = umask(027);
	umask(027);
	fds_before = count_fds();
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void
tear_down(void)
{
	umask(mask);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The end of each test. */
static void
process_is_as_before(void)
{
	char now[PATH_MAX];

	cr_assert_not_null(getcwd(now, sizeof now));
	cr_assert_str_eq(now, cwd);
	cr_assert_eq(umask(027), 027);
	cr_assert_eq(count_fds(), fds_before);
}

static void
in_dir(char *path, size_t size, const char *name)
{
	cr_assert_lt((size_t)snprintf(path, size, "%s/%s", dir, name), size);
}

static void
make_file(const char *name)
{
	char path[PATH_MAX + 300];

	in_dir(path, sizeof path, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
}

static bool
status(const char *name, struct stat *st)
{
	char path[PATH_MAX + 300];

	in_dir(path, sizeof path, name);
	return lstat(path, st) == 0;
}

static int
entries(void)
{
	DIR *d = opendir(dir);
	int count = -2;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

/* By a path through a descriptor, so that the length of `dir` does not count.  Descriptor or
 * negative errno. */
static int
connect_to(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(at, 0);
	cr_assert_geq(fd, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", at, name);
	int result = connect(fd, (const struct sockaddr *)&address, sizeof address);
	int error = errno;
	close(at);
	if (result == 0)
		return fd;
	close(fd);
	return -error;
}

/* A client of the path reaches this listener. */
static void
reaches(const char *name, const struct listener *listener)
{
	char byte = 0;
	int client = connect_to(name);

	cr_assert_geq(client, 0, "%s", strerror(-client));
	int server = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(server, 0);
	cr_assert_eq(write(server, "x", 1), 1);
	cr_assert_eq(read(client, &byte, 1), 1);
	close(server);
	close(client);
}

static void
open_good(struct listener *listener, const char *name, mode_t mode)
{
	cr_assert_eq(listener_open(listener, dir, name, mode), 0);
	cr_assert_geq(listener->fd, 0);
}

TestSuite(listener, .init = set_up, .fini = tear_down);

Test(listener, listens_with_its_mode)
{
	const mode_t modes[] = { 0600, 0660, 0755, 0777 };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct listener listener;
		struct stat st;

		open_good(&listener, "msul1", modes[i]);
		cr_assert(status("msul1", &st));
		cr_assert(S_ISSOCK(st.st_mode));
		cr_assert_eq(st.st_mode & 07777, modes[i], "whatever the umask is");
		cr_assert_eq(st.st_ino, listener.inode);
		cr_assert_eq(st.st_dev, listener.device);
		cr_assert(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
		reaches("msul1", &listener);
		cr_assert_eq(entries(), 1, "nothing temporary is left");
		listener_close(&listener, dir, "msul1");
		cr_assert_eq(listener.fd, -1);
		cr_assert_eq(entries(), 0);
	}
	process_is_as_before();
}

Test(listener, several_in_one_directory)
{
	struct listener a, b;

	open_good(&a, "a", 0755);
	open_good(&b, "b", 0755);
	reaches("a", &a);
	reaches("b", &b);
	listener_close(&a, dir, "a");
	reaches("b", &b);
	listener_close(&b, dir, "b");
	process_is_as_before();
}

Test(listener, takes_the_place_of_what_is_there)
{
	struct listener old, listener;
	struct stat st;

	open_good(&old, "msul1", 0755);
	close(old.fd); /* a relay that was killed */
	cr_assert_eq(connect_to("msul1"), -ECONNREFUSED);
	open_good(&listener, "msul1", 0755);
	reaches("msul1", &listener);
	cr_assert_eq(entries(), 1);
	listener_close(&listener, dir, "msul1");

	make_file("nsdl2");
	open_good(&listener, "nsdl2", 0755);
	cr_assert(status("nsdl2", &st));
	cr_assert(S_ISSOCK(st.st_mode));
	reaches("nsdl2", &listener);
	listener_close(&listener, dir, "nsdl2");
	process_is_as_before();
}

/* While one is replaced by the next, over and over, a client never finds nobody. */
Test(listener, the_path_is_never_missing)
{
	enum {
		CLIENTS = 3000,
		LISTENERS = 400
	};
	static struct listener listeners[LISTENERS];
	int count = 0, child_status = 0;

	open_good(&listeners[count++], "msul1", 0755);
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		for (int i = 0; i < CLIENTS; i++) {
			int fd = connect_to("msul1");
			if (fd < 0)
				_exit(-fd);
			close(fd);
		}
		_exit(0);
	}
	/* All stay open: a client may have found the old one just before. */
	bool running = true;
	while (running && count < LISTENERS) {
		open_good(&listeners[count++], "msul1", 0755);
		running = waitpid(child, &child_status, WNOHANG) == 0;
	}
	if (running)
		cr_assert_eq(waitpid(child, &child_status, 0), child);
	cr_assert_eq(child_status, 0, "%s", strerror(WEXITSTATUS(child_status)));
	cr_assert_gt(count, 1);
	cr_assert_eq(entries(), 1);
	for (int i = 0; i < count; i++)
		listener_close(&listeners[i], dir, "msul1");
	cr_assert_eq(entries(), 0);
	process_is_as_before();
}

Test(listener, close_removes_only_its_own)
{
	struct listener old, new;
	struct stat st;

	open_good(&old, "msul1", 0755);
	open_good(&new, "msul1", 0755);
	listener_close(&old, dir, "msul1");
	reaches("msul1", &new);
	listener_close(&new, dir, "msul1");
	cr_assert_not(status("msul1", &st));

	char path[PATH_MAX + 300];
	open_good(&old, "msul1", 0755);
	in_dir(path, sizeof path, "msul1");
	cr_assert_eq(unlink(path), 0);
	make_file("msul1");
	listener_close(&old, dir, "msul1");
	cr_assert(status("msul1", &st));
	cr_assert(S_ISREG(st.st_mode));

	cr_assert_eq(unlink(path), 0);
	open_good(&old, "hidden", 0755);
	cr_assert_eq(symlink("hidden", path), 0);
	listener_close(&old, dir, "msul1"); /* leads to ours, but is not ours */
	cr_assert(status("msul1", &st));
	cr_assert(S_ISLNK(st.st_mode));
	process_is_as_before();
}

Test(listener, close_of_what_is_gone)
{
	struct listener listener;
	char path[PATH_MAX + 300];

	open_good(&listener, "msul1", 0755);
	in_dir(path, sizeof path, "msul1");
	cr_assert_eq(unlink(path), 0);
	listener_close(&listener, dir, "msul1");
	cr_assert_eq(listener.fd, -1);
	listener_close(&listener, dir, "msul1");

	open_good(&listener, "msul1", 0755);
	listener_close(&listener, "/nonexistent/directory", "msul1");
	cr_assert_eq(listener.fd, -1);
	cr_assert_eq(count_fds(), fds_before);
	process_is_as_before();
}

static void
fails(const char *where, const char *name, int error, int left)
{
	struct listener listener = { .fd = 99 };

	cr_assert_eq(listener_open(&listener, where, name, 0755), -error, "%s", name);
	cr_assert_eq(listener.fd, -1);
	cr_assert_eq(entries(), left, "%s: something was left behind", name);
}

Test(listener, failures_leave_nothing_behind)
{
	char path[PATH_MAX + 300], longest[NAME_MAX + 2];
	struct stat st;

	in_dir(path, sizeof path, "missing");
	fails(path, "msul1", ENOENT, 0);
	make_file("file");
	in_dir(path, sizeof path, "file");
	fails(path, "msul1", ENOTDIR, 1);

	in_dir(path, sizeof path, "delayed");
	cr_assert_eq(mkdir(path, 0755), 0);
	fails(dir, "delayed", EISDIR, 2);
	cr_assert(status("delayed", &st));
	cr_assert(S_ISDIR(st.st_mode));
	fails(dir, "nowhere/msul1", ENOENT, 2);

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	fails(dir, longest, ENAMETOOLONG, 2);
	process_is_as_before();
}

/* What a process of the same pid left when it was killed half-way. */
Test(listener, a_left_temporary_name_does_no_harm)
{
	struct listener listener;
	char name[64];

	snprintf(name, sizeof name, ".relay-%ld", (long)getpid());
	make_file(name);
	open_good(&listener, "msul1", 0755);
	cr_assert_eq(entries(), 1);
	reaches("msul1", &listener);
	listener_close(&listener, dir, "msul1");
	process_is_as_before();
}

Test(listener, a_path_of_107_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct listener listener;
	char name[108];
	size_t len = 107 - strlen(dir) - 1;

	cr_assert_lt(strlen(dir), 100, "TMPDIR is too long for this test");
	memset(name, 'h', len);
	name[len] = '\0';
	open_good(&listener, name, 0755);
	cr_assert_eq(snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name), 107);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	listener_close(&listener, dir, name);
	process_is_as_before();
}

Test(listener, a_long_directory)
{
	struct listener listener;
	char top[PATH_MAX], part[52];

	strcpy(top, dir);
	memset(part, 'd', sizeof part - 1);
	part[0] = '/';
	part[sizeof part - 1] = '\0';
	for (int i = 0; i < 10; i++) {
		strcat(dir, part);
		cr_assert_eq(mkdir(dir, 0755), 0);
	}
	cr_assert_gt(strlen(dir), 500);
	open_good(&listener, "msul1", 0755);
	reaches("msul1", &listener);
	cr_assert_eq(entries(), 1);
	listener_close(&listener, dir, "msul1");
	cr_assert_eq(entries(), 0);
	strcpy(dir, top);
	process_is_as_before();
}

Test(listener, a_relative_directory)
{
	struct listener listener;

	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(mkdir("sockets", 0755), 0);
	cr_assert_eq(listener_open(&listener, "sockets", "msul1", 0755), 0);
	cr_assert_eq(access("sockets/msul1", F_OK), 0);
	listener_close(&listener, "sockets", "msul1");
	cr_assert_eq(access("sockets/msul1", F_OK), -1);
	cr_assert_eq(chdir(cwd), 0);
	process_is_as_before();
}

/* Whoever may write to the directory cannot have rights of other files changed. */
Test(listener, a_swapped_name_is_not_followed)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct listener listener;
	char path[PATH_MAX + 16];
	struct stat st;

	make_file("victim");
	snprintf(path, sizeof path, "%s/victim", dir);
	cr_assert_eq(chmod(path, 0600), 0);
	swapped_for = path;
	int error = listener_open_for(&listener, dir, "msul1", 0666, nobody);
	swapped_for = NULL;
	cr_assert(status("victim", &st));
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(error, -ENOTSOCK);
	cr_assert_eq(entries(), 1, "the victim alone");
	process_is_as_before();
}
