/*
 * msg_page.c - sends one notice to the webpager socket, in either form, and waits for the answer.
 *
 * Its own socket gets a name of the kernel's choice, which leaves no file behind.
 */
#include "relay/msg_page.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* --- forms */

static void
put_little(struct wire_out *out, uint32_t value, size_t bytes)
{
	for (; bytes > 0; bytes--, value >>= 8)
		wire_out_bytes(out, &(uint8_t){ (uint8_t)value }, 1);
}

/* Its length counts the NUL, which is sent too. */
static void
put_string(struct wire_out *out, const char *text)
{
	size_t len = strlen(text) + 1;

	put_little(out, (uint32_t)len, 2);
	wire_out_bytes(out, text, len);
}

static enum notice_fault
put_original(struct wire_out *out, const struct msg_page *page)
{
	static const uint8_t head[] = { 9, 7, 2, 1, 0, 0, 0, 0 }; /* and no address of a sender */

	if (page->to > UINT32_MAX)
		return NOTICE_BAD_TARGET;
	if (strlen(page->sender) > NOTICE_ORIGINAL_NAME_MAX)
		return NOTICE_BAD_SENDER;
	if (strlen(page->text) > NOTICE_ORIGINAL_TEXT_MAX)
		return NOTICE_TOO_LONG;
	if (page->text[0] == '\0')
		return NOTICE_EMPTY;
	wire_out_bytes(out, head, sizeof head);
	put_little(out, (uint32_t)page->to, 4);
	put_string(out, "");
	put_string(out, page->sender);
	put_string(out, page->text);
	return NOTICE_FINE;
}

static enum notice_fault
put_text(struct wire_out *out, const struct msg_page *page)
{
	struct notice notice = {
		.to = page->to,
		.origin = NOTICE_OF_WEBPAGER,
		.sender = wire_span_str(page->sender),
		.text = wire_span_str(page->text),
	};

	if (getrandom(notice.id, sizeof notice.id, 0) != (ssize_t)sizeof notice.id)
		memset(notice.id, 0, sizeof notice.id); /* then the relay gives one */
	return notice_page_put(out, &notice);
}

/* --- the socket */

static int
open_socket(const struct msg_page *page)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX }, own = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = page->timeout_ms / 1000,
				    .tv_usec = page->timeout_ms % 1000 * 1000 };
	size_t len = strlen(page->socket);

	if (len == 0 || len >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, page->socket, len);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&own, sizeof own.sun_family) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static enum msg_paged
read_answer(int fd, char answer[static NOTICE_ANSWER_MAX])
{
	uint8_t bytes[NOTICE_ANSWER_MAX], id[NOTICE_ID_SIZE];
	struct wire_span reason;
	ssize_t n = recv(fd, bytes, sizeof bytes, 0);

	if (n <= 0)
		return MSG_PAGE_SILENCE;
	if (notice_answer_get(id, &reason, wire_span(bytes, (size_t)n))) {
		for (size_t i = 0; i < sizeof id; i++)
			snprintf(answer + 2 * i, 3, "%02x", id[i]);
		return MSG_PAGED;
	}
	snprintf(answer, NOTICE_ANSWER_MAX, "%.*s", (int)reason.len, (const char *)reason.data);
	return MSG_PAGE_REFUSED;
}

enum msg_paged
msg_page_send(const struct msg_page *page, char answer[static NOTICE_ANSWER_MAX])
{
	uint8_t bytes[NOTICE_PAGE_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	enum notice_fault fault =
	    page->is_original ? put_original(&out, page) : put_text(&out, page);
	enum msg_paged paged = MSG_PAGE_NO_RELAY;

	answer[0] = '\0';
	if (fault != NOTICE_FINE || out.overflow) {
		snprintf(answer, NOTICE_ANSWER_MAX, "%s", notice_fault_name(fault));
		return MSG_PAGE_REFUSED;
	}
	int fd = open_socket(page);
	if (fd < 0)
		return paged;
	if (send(fd, bytes, out.len, MSG_NOSIGNAL) == (ssize_t)out.len)
		paged = read_answer(fd, answer);
	int error = errno;
	close(fd);
	errno = error;
	return paged;
}
