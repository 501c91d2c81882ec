/*
 * test_pfi_socket.c - a request through a socket: with which byte of a read descriptors come.
 *
 * That is the kernel's to say, and the codec counts on it.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/pfi_server.h"

/* Environment A=1 and B=, arguments exit and 7. */
#define SEEN_LENGTH  "\0\0\0\x0f"
#define SEEN_MESSAGE "A=1\0B=\0\0exit\0007\0"

/* As the original client does it: a byte, a message with control data for each descriptor. */
static void
send_fd(int socket, int fd)
{
	char byte = PFI_BYTE;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control.room };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	cr_assert_eq(sendmsg(socket, &message, MSG_NOSIGNAL), 1);
}

/* Reads what is there, up to `size` bytes; closes the descriptors that come and counts them. */
static size_t
receive(int socket, uint8_t *bytes, size_t size, unsigned *fds)
{
	struct iovec iov = { .iov_base = bytes, .iov_len = size };

	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control.room };
	ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	cr_assert_geq(got, 0);
	*fds = 0;
	if (header == NULL)
		return (size_t)got;
	*fds = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (unsigned i = 0; i < *fds; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		close(fd);
	}
	return (size_t)got;
}

/* Reads of `read_max` bytes, 0: of what is wanted.  How many reads the call took. */
static unsigned
call_through_socket(size_t read_max)
{
	static const char tail[] = SEEN_LENGTH SEEN_MESSAGE;
	uint8_t bytes[64], message[64];
	size_t message_len = 0;
	struct pfi_server server;
	int pair[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned reads = 0, fds_seen = 0;

	cr_assert_geq(file, 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(write(pair[0], "", 1), 1);
	for (int i = 0; i < PFI_FDS; i++)
		send_fd(pair[0], file);
	cr_assert_eq(write(pair[0], tail, sizeof tail - 1), (ssize_t)sizeof tail - 1);
	pfi_server_init(&server, PFI_MESSAGE_MAX);
	while (server.state != PFI_SERVER_WHOLE) {
		size_t size = read_max > 0 ? read_max : pfi_server_want(&server);
		struct pfi_input input = { .data = bytes };
		struct wire_span body;
		enum pfi_server_event event;

		input.len = receive(pair[1], bytes, size, &input.fds);
		input.fd_at = pfi_server_fd_at(&server, input.len);
		reads++;
		while ((event = pfi_server_next(&server, &input, &body)) != PFI_REQUEST_MORE) {
			cr_assert_neq(event, PFI_REQUEST_BAD, "%s", pfi_fault_text(server.fault));
			fds_seen += event == PFI_REQUEST_FD;
			if (event != PFI_REQUEST_BODY && event != PFI_REQUEST_WHOLE)
				continue;
			memcpy(message + message_len, body.data, body.len);
			message_len += body.len;
		}
	}
	cr_assert_eq(fds_seen, PFI_FDS);
	cr_assert(wire_span_equal(wire_span(message, message_len),
				  wire_span(SEEN_MESSAGE, sizeof SEEN_MESSAGE - 1)));
	close(file);
	close(pair[0]);
	close(pair[1]);
	return reads;
}

Test(pfi_socket, call_through_a_socket)
{
	cr_assert_eq(call_through_socket(0), 6);
	for (size_t read_max = 1; read_max <= 64; read_max++)
		cr_assert_geq(call_through_socket(read_max), 4);
}
