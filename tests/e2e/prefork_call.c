/*
 * prefork_call.c - a caller of a prefork service who can do what no proper one would.
 *
 *   prefork-call SOCKET STEP...
 *
 *   HEX          sends these bytes                     fd HEX N     sends them with descriptor N
 *   fds HEX N    ... with N copies of descriptor 0     all HEX      ... with descriptors 0, 1, 2
 *   zeros N      sends N zero bytes                    half         ends its direction
 *   read N       shows the next N bytes                wait PATH    until that file exists
 *   rest         shows what comes until the end        pause MS     does nothing
 *   poke FILE    creates a file                        each HEX     sends byte after byte
 *
 * What is received is shown in hexadecimal, `end` and `reset` are how the connection ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	FDS_MAX = 253,
	BYTES_MAX = 65536
};

struct step {
	const char *word;
	const char *first, *second;
};

static void
pause_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static void
fail(const char *what)
{
	fprintf(stderr, "prefork-call: %s: %s\n", what, strerror(errno));
	exit(71);
}

static size_t
from_hex(const char *hex, unsigned char *bytes)
{
	size_t length = strlen(hex) / 2;

	if (length > BYTES_MAX || strlen(hex) % 2 != 0)
		exit(64);
	for (size_t i = 0; i < length; i++) {
		char pair[] = { hex[2 * i], hex[2 * i + 1], '\0' };
		char *end;

		bytes[i] = (unsigned char)strtoul(pair, &end, 16);
		if (end != pair + 2)
			exit(64);
	}
	return length;
}

/* The other side may have gone: that shows when something is read. */
static void
send_with(int fd, const char *hex, const int *fds, size_t count)
{
	static unsigned char bytes[BYTES_MAX];

	static union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = from_hex(hex, bytes) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
	}
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		fail("sendmsg");
}

static void
send_copies(int fd, const char *hex, const char *text)
{
	size_t count = strtoul(text, NULL, 10);
	int fds[FDS_MAX];

	if (count > FDS_MAX)
		exit(64);
	for (size_t i = 0; i < count; i++)
		fds[i] = 0;
	send_with(fd, hex, fds, count);
}

static void
send_each(int fd, const char *hex)
{
	for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
		char pair[] = { hex[0], hex[1], '\0' };

		send_with(fd, pair, NULL, 0);
		pause_ms(1);
	}
}

static void
send_zeros(int fd, const char *text)
{
	static const char zeros[BYTES_MAX];
	size_t left = strtoul(text, NULL, 10);

	while (left > 0) {
		size_t size = left < sizeof zeros ? left : sizeof zeros;
		ssize_t sent = send(fd, zeros, size, MSG_NOSIGNAL);

		if (sent < 0)
			return;
		left -= (size_t)sent;
	}
}

static void
show(int fd, size_t wanted)
{
	unsigned char byte;
	ssize_t got = 0;

	for (; wanted > 0 && (got = recv(fd, &byte, 1, 0)) == 1; wanted--)
		printf("%02x", byte);
	if (wanted > 0)
		printf("%s", got == 0 ? "end" : "reset");
	printf("\n");
	fflush(stdout);
}

static void
touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail(path);
	close(fd);
}

/* How many values belong to the word. */
static int
take(int fd, const struct step *step)
{
	static const int standard[] = { 0, 1, 2 };

	if (strcmp(step->word, "fd") == 0) {
		int number = atoi(step->second);
		send_with(fd, step->first, &number, 1);
		return 2;
	}
	if (strcmp(step->word, "fds") == 0) {
		send_copies(fd, step->first, step->second);
		return 2;
	}
	if (strcmp(step->word, "half") == 0) {
		shutdown(fd, SHUT_WR);
		return 0;
	}
	if (strcmp(step->word, "rest") == 0) {
		show(fd, (size_t)-1);
		return 0;
	}
	if (strcmp(step->word, "all") == 0)
		send_with(fd, step->first, standard, 3);
	else if (strcmp(step->word, "each") == 0)
		send_each(fd, step->first);
	else if (strcmp(step->word, "zeros") == 0)
		send_zeros(fd, step->first);
	else if (strcmp(step->word, "read") == 0)
		show(fd, strtoul(step->first, NULL, 10));
	else if (strcmp(step->word, "pause") == 0)
		pause_ms(atol(step->first));
	else if (strcmp(step->word, "poke") == 0)
		touch(step->first);
	else if (strcmp(step->word, "wait") == 0)
		while (access(step->first, F_OK) != 0)
			pause_ms(2);
	else {
		send_with(fd, step->word, NULL, 0);
		return 0;
	}
	return 1;
}

int
main(int argc, char *argv[])
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc < 3)
		return 64;
	snprintf(to.sun_path, sizeof to.sun_path, "%s", argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		fail(argv[1]);
	for (int i = 2; i < argc; i++) {
		struct step step = { .word = argv[i],
				     .first = i + 1 < argc ? argv[i + 1] : "",
				     .second = i + 2 < argc ? argv[i + 2] : "" };

		i += take(fd, &step);
	}
	return 0;
}
