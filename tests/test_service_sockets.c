/*
 * test_service_sockets.c - the keeper's public sockets of services: asked for, kept, bound anew,
 * made with the rights of their user.
 */
#include "relay/service_sockets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/log.h"
#include "relay/owner.h"
#include "tests/temp_dir.h"

#define SOMEBODY 65534u

static struct child control;
static struct channel *other_end; /* what control reads */
static struct service_sockets sockets;

static void
ignore(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	(void)text;
}

static void
init(void)
{
	int ends[2];

	log_set_sink(ignore, NULL);
	temp_dir_make();
	cr_assert_eq(channel_pair(ends), 0);
	control.channel = channel_new(ends[0]);
	other_end = channel_new(ends[1]);
	service_sockets_init(&sockets, &control);
}

static void
fini(void)
{
	service_sockets_fini(&sockets);
	channel_free(control.channel);
	channel_free(other_end);
	temp_dir_remove();
}

TestSuite(service_sockets, .init = init, .fini = fini);

static struct service_socket_wanted
wanted(const char *name)
{
	struct service_socket_wanted what = {
		.index = 7, .mode = 0600, .extended = true, .uid = OWNER_NOBODY_UID
	};

	snprintf(what.name, sizeof what.name, "%s", name);
	snprintf(what.path, sizeof what.path, "%s/%s", temp_dir, name);
	return what;
}

/* The next answer, and its descriptor (-1 = none). */
static struct channel_service_socket
answer(int *fd)
{
	struct channel_message message;

	cr_assert_eq(channel_receive(other_end, &message, fd), 1);
	cr_assert_eq(message.type, CHANNEL_SERVICE_LISTENER);
	return message.service_socket;
}

static bool
is_silent(void)
{
	struct channel_message message;
	int fd = -1;
	bool silent = channel_receive(other_end, &message, &fd) == 0;

	if (fd >= 0)
		close(fd);
	return silent;
}

static bool
can_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	bool done = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return done;
}

static ino_t
inode(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

Test(service_sockets, is_made_once_and_kept)
{
	struct service_socket_wanted what = wanted("hello");
	struct stat st;
	int fd, kept;

	service_sockets_listen(&sockets, &what);
	struct channel_service_socket is = answer(&fd);
	cr_assert_eq(is.index, 7);
	cr_assert_eq(is.error, 0);
	cr_assert_eq(is.extended, 1);
	cr_assert_str_eq(is.path, what.path);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(stat(what.path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	ino_t first = inode(what.path);

	/* Another control process asks, and knows it by another index. */
	what.index = 3;
	service_sockets_listen(&sockets, &what);
	is = answer(&fd);
	cr_assert_eq(is.index, 3);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(inode(what.path), first);

	/* Who has the old one open keeps its number from being used again. */
	service_sockets_listen(&sockets, &what);
	answer(&kept);
	what.mode = 0666;
	service_sockets_listen(&sockets, &what);
	is = answer(&fd);
	close(fd);
	cr_assert_neq(inode(what.path), first, "nobody keeps what he had by the old rights");
	cr_assert_eq(stat(what.path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0666);
	cr_assert_eq(sockets.count, 1);
	close(kept);

	service_sockets_unlisten(&sockets, "hello", false);
	service_sockets_unlisten(&sockets, what.path, true);
	cr_assert_eq(sockets.count, 1, "these are none of its names");
	service_sockets_unlisten(&sockets, "hello", true);
	cr_assert_eq(inode(what.path), 0);
	cr_assert_eq(sockets.count, 0);
	service_sockets_unlisten(&sockets, "hello", true);
}

Test(service_sockets, what_cannot_be_made_is_answered)
{
	struct service_socket_wanted what = wanted("missing/hello");
	int fd;

	service_sockets_listen(&sockets, &what);
	struct channel_service_socket is = answer(&fd);
	cr_assert_eq(is.error, -ENOENT, "its directory is made for a user's alone");
	cr_assert_eq(fd, -1);
	cr_assert_eq(sockets.count, 0);
}

/* A socket at which nobody listens. */
static void
take_place(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

/* A path that was mistyped must not cost a file. */
Test(service_sockets, takes_the_place_of_sockets_alone)
{
	struct service_socket_wanted what = wanted("precious");
	struct stat st;
	int fd;

	FILE *file = fopen(what.path, "w");
	cr_assert_not_null(file);
	fclose(file);
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, -EEXIST);
	cr_assert_eq(lstat(what.path, &st), 0);
	cr_assert(S_ISREG(st.st_mode));

	cr_assert_eq(unlink(what.path), 0);
	take_place(what.path);
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
	cr_assert(can_connect(what.path));
}

Test(service_sockets, is_bound_anew)
{
	struct service_socket_wanted what = wanted("hello");
	int fd;

	service_sockets_listen(&sockets, &what);
	answer(&fd);
	close(fd);
	uint64_t next = service_sockets_clock(&sockets, 1000);
	cr_assert_eq(next, 1000 + SERVICE_SOCKETS_LOOK_MS);
	cr_assert_leq(next, 2000, "within a second");
	cr_assert(is_silent());

	cr_assert_eq(unlink(what.path), 0);
	service_sockets_clock(&sockets, next - 1);
	cr_assert_eq(inode(what.path), 0, "not before its time");
	next = service_sockets_clock(&sockets, next);
	struct channel_service_socket is = answer(&fd);
	cr_assert_eq(is.index, 7);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert(can_connect(what.path));

	/* Another one in its place. */
	cr_assert_eq(unlink(what.path), 0);
	take_place(what.path);
	cr_assert_not(can_connect(what.path));
	next = service_sockets_clock(&sockets, next);
	answer(&fd);
	close(fd);
	cr_assert(can_connect(what.path));

	/* Its directory went: it is tried again and again. */
	char moved[128];
	snprintf(moved, sizeof moved, "%s.moved", temp_dir);
	cr_assert_eq(rename(temp_dir, moved), 0);
	next = service_sockets_clock(&sockets, next);
	next = service_sockets_clock(&sockets, next);
	cr_assert(is_silent());
	cr_assert_eq(rename(moved, temp_dir), 0);
	service_sockets_clock(&sockets, next);
	cr_assert(can_connect(what.path));
}

Test(service_sockets, what_is_not_named_again_goes)
{
	struct service_socket_wanted kept = wanted("kept");
	struct service_socket_wanted gone = wanted("gone");
	int fd;

	service_sockets_listen(&sockets, &kept);
	answer(&fd);
	close(fd);
	service_sockets_listen(&sockets, &gone);
	answer(&fd);
	close(fd);
	service_sockets_mark(&sockets);
	service_sockets_listen(&sockets, &kept);
	answer(&fd);
	close(fd);
	service_sockets_sweep(&sockets);
	cr_assert(can_connect(kept.path));
	cr_assert_eq(inode(gone.path), 0);
}

Test(service_sockets, a_users_directories_are_made)
{
	struct service_socket_wanted what = wanted("one/two/hello");
	char path[128];
	struct stat st;
	int fd;

	what.uid = geteuid();
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
	snprintf(path, sizeof path, "%s/one/two", temp_dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);

	/* Not any number of them. */
	what = wanted("a/b/c/hello");
	what.uid = geteuid();
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, -ENOENT);
	service_sockets_fini(&sockets);
	unlink(path);
	rmdir(path);
	snprintf(path, sizeof path, "%s/one", temp_dir);
	rmdir(path);
}

/* Only root can be somebody else. */
Test(service_sockets, is_made_by_its_user)
{
	struct service_socket_wanted what = wanted("his/hello");
	char here[128], before[256], after[256];
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return;
	cr_assert_eq(chmod(temp_dir, 0711), 0);
	snprintf(here, sizeof here, "%s/his", temp_dir);
	cr_assert_eq(mkdir(here, 0700), 0);
	what.uid = SOMEBODY;
	cr_assert_not_null(getcwd(before, sizeof before));

	/* What he may not do is not done for him. */
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, -EACCES);
	cr_assert_not_null(getcwd(after, sizeof after));
	cr_assert_str_eq(before, after);

	cr_assert_eq(chown(here, SOMEBODY, SOMEBODY), 0);
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
	cr_assert_eq(stat(what.path, &st), 0);
	cr_assert_eq(st.st_uid, SOMEBODY);
	cr_assert_eq(st.st_mode & 07777, 0600);

	/* We are root again: this directory is not his. */
	struct service_socket_wanted ours = wanted("ours");
	service_sockets_listen(&sockets, &ours);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
	cr_assert_eq(stat(ours.path, &st), 0);
	cr_assert_eq(st.st_uid, 0);

	service_sockets_fini(&sockets);
	cr_assert_eq(inode(what.path), 0);
}

/* Our own groups are no rights of his. */
Test(service_sockets, a_user_has_his_own_groups_alone)
{
	struct service_socket_wanted what = wanted("group/hello");
	const gid_t ours = 54321;
	gid_t after[8];
	char dir[128];
	int fd;

	if (geteuid() != 0)
		return;
	cr_assert_eq(setgroups(1, &ours), 0);
	cr_assert_eq(chmod(temp_dir, 0711), 0);
	snprintf(dir, sizeof dir, "%s/group", temp_dir);
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(chown(dir, 0, ours), 0);
	cr_assert_eq(chmod(dir, 0770), 0);
	what.uid = SOMEBODY;
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, -EACCES);
	cr_assert_eq(getgroups(8, after), 1);
	cr_assert_eq(after[0], ours);
}

static void
drop_root_s_way_into_all_directories(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	const uint32_t dropped = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;

	cr_assert_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~dropped;
	data[0].permitted &= ~dropped;
	cr_assert_eq(syscall(SYS_capset, &header, data), 0);
}

/* As with homes that come over a network: what we must not see is not gone. */
Test(service_sockets, is_seen_with_its_user_s_eyes)
{
	struct service_socket_wanted what = wanted("his/hello");
	char dir[128];
	int fd;

	if (geteuid() != 0)
		return;
	cr_assert_eq(chmod(temp_dir, 0711), 0);
	snprintf(dir, sizeof dir, "%s/his", temp_dir);
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(chown(dir, SOMEBODY, SOMEBODY), 0);
	drop_root_s_way_into_all_directories();
	cr_assert_eq(inode(what.path), 0);
	what.uid = SOMEBODY;
	service_sockets_listen(&sockets, &what);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
	uint64_t next = service_sockets_clock(&sockets, 1000);
	cr_assert(is_silent(), "it is where it was");

	/* And what is gone is noticed. */
	cr_assert_eq(chown(dir, 0, 0), 0);
	cr_assert_eq(unlink(what.path), 0);
	cr_assert_eq(chown(dir, SOMEBODY, SOMEBODY), 0);
	service_sockets_clock(&sockets, next);
	cr_assert_eq(answer(&fd).error, 0);
	close(fd);
}

/* Two relays that want the same one: none of them starts services over and over. */
Test(service_sockets, is_not_fought_for)
{
	struct service_socket_wanted what = wanted("hello");
	uint64_t now = 1000;
	unsigned taken = 0;
	int fd;

	service_sockets_listen(&sockets, &what);
	answer(&fd);
	close(fd);
	while (now < 1000 + 10 * 60000) {
		if (unlink(what.path) == 0)
			take_place(what.path);
		now = service_sockets_clock(&sockets, now);
		if (!is_silent())
			taken++;
	}
	cr_assert_geq(taken, 10, "it is never given up");
	cr_assert_leq(taken, 40, "%u times in ten minutes", taken);

	/* After some peace it is back within a second. */
	service_sockets_clock(&sockets, now += 60000);
	cr_assert_eq(unlink(what.path), 0);
	now = service_sockets_clock(&sockets, now += 60000);
	cr_assert(can_connect(what.path));
}

/* Runtime directories are made by who opens sessions: one of ours would be taken for his. */
Test(service_sockets, no_runtime_directory_is_made)
{
	struct service_socket_wanted what = { .mode = 0600, .uid = geteuid() };
	char dir[64], inner[80];
	int fd;

	snprintf(dir, sizeof dir, "/var/run/user/relay-test-%ld", (long)getpid());
	snprintf(inner, sizeof inner, "%s/prefork-interp", dir);
	snprintf(what.path, sizeof what.path, "%s/shello", inner);
	service_sockets_listen(&sockets, &what);
	int error = answer(&fd).error;
	service_sockets_unlisten(&sockets, what.name, what.extended);
	if (fd >= 0)
		close(fd);
	rmdir(inner);
	rmdir(dir);
	cr_assert(error == -ENOENT || error == -EACCES, "%s", strerror(-error));
}
