/*
 * calls_one.c - one call: the request is written at once, without waiting for the greeting, as the
 * protocol allows; or a process is started that makes the call.
 *
 * Owns the connection or the process until the call is over.
 */
#include "bench/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/pfi.h"

bool
calls_work_init(struct calls_work *work, const char *path, char *const *command)
{
	static char name[] = "true";
	char *const arguments[] = { name, NULL };
	size_t len = PFI_LENGTH_SIZE + pfi_message_size(environ, arguments);

	*work = (struct calls_work){ .path = path, .command = command, .message_len = len };
	work->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	work->message = malloc(len);
	if (work->null < 0 || work->message == NULL)
		return false;
	struct wire_out out = wire_out(work->message, len);
	errno = E2BIG;
	return pfi_put_message(&out, environ, arguments, PFI_MESSAGE_MAX) == PFI_FINE;
}

void
calls_work_fini(struct calls_work *work)
{
	if (work->null >= 0)
		close(work->null);
	free(work->message);
}

/* --- by socket -------------------------------------------------------------------------------- */

static bool
put(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return false;
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		}
	}
	return true;
}

static bool
put_fd(int fd, int passed)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };

	uint8_t byte = PFI_BYTE;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	msg.msg_control = &control;
	msg.msg_controllen = sizeof control;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1;
}

static bool
put_request(int fd, const struct calls_work *work)
{
	const uint8_t first = PFI_BYTE;

	if (!put(fd, &first, 1))
		return false;
	for (int i = 0; i < PFI_FDS; i++)
		if (!put_fd(fd, work->null))
			return false;
	return put(fd, work->message, work->message_len);
}

static bool
begin_socket(struct calls_one *one, const struct calls_work *work)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	snprintf(to.sun_path, sizeof to.sun_path, "%s", work->path);
	pfi_client_init(&one->answer);
	pfi_client_allow_extended(&one->answer);
	one->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (one->fd < 0)
		return false;
	if (connect(one->fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
	    put_request(one->fd, work))
		return true;
	int error = errno;
	calls_give_up(one);
	errno = error;
	return false;
}

static enum calls_heard
hear_socket(struct calls_one *one)
{
	uint8_t bytes[64];
	enum pfi_client_event event;
	ssize_t got = recv(one->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return CALLS_GOES_ON;
	if (got <= 0)
		return CALLS_WRONG;
	struct wire_span span = wire_span(bytes, (size_t)got);
	do
		event = pfi_client_next(&one->answer, &span);
	while (event == PFI_ANSWER_GREETED);
	if (event == PFI_ANSWER_MORE)
		return CALLS_GOES_ON;
	if (event == PFI_ANSWER_BAD || one->answer.status != pfi_status_exited(0))
		return CALLS_WRONG;
	return CALLS_RIGHT;
}

/* --- by command ------------------------------------------------------------------------------- */

static bool
begin_command(struct calls_one *one, const struct calls_work *work)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error = posix_spawn_file_actions_init(&actions);

	/* Its signals are as any program expects them, not blocked as ours are. */
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	for (int fd = 0; error == 0 && fd < PFI_FDS; fd++)
		error = posix_spawn_file_actions_adddup2(&actions, work->null, fd);
	if (error == 0)
		error = posix_spawnp(&one->pid, work->command[0], &actions, &attributes,
				     work->command, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0) {
		one->pid = 0;
		errno = error;
		return false;
	}
	one->fd = pidfd_open(one->pid, 0);
	if (one->fd >= 0)
		return true;
	error = errno;
	calls_give_up(one);
	errno = error;
	return false;
}

static enum calls_heard
hear_command(struct calls_one *one)
{
	int status;
	pid_t pid = waitpid(one->pid, &status, WNOHANG);

	if (pid == 0)
		return CALLS_GOES_ON;
	one->pid = 0;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CALLS_RIGHT : CALLS_WRONG;
}

/* --- either ----------------------------------------------------------------------------------- */

bool
calls_begin(struct calls_one *one, const struct calls_work *work)
{
	one->fd = -1;
	one->pid = 0;
	return work->path != NULL ? begin_socket(one, work) : begin_command(one, work);
}

enum calls_heard
calls_hear(struct calls_one *one)
{
	enum calls_heard heard = one->pid > 0 ? hear_command(one) : hear_socket(one);

	if (heard != CALLS_GOES_ON)
		calls_give_up(one);
	return heard;
}

void
calls_give_up(struct calls_one *one)
{
	if (one->fd >= 0)
		close(one->fd);
	one->fd = -1;
	if (one->pid > 0) {
		kill(one->pid, SIGKILL);
		waitpid(one->pid, NULL, 0);
	}
	one->pid = 0;
}
