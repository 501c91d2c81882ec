/*
 * call_site.h - a worker and everybody around its services: the test is control, the caller and the
 * service.
 */
#ifndef TESTS_CALL_SITE_H
#define TESTS_CALL_SITE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>

#include "relay/call.h"
#include "tests/open_fds.h"
#include "tests/temp_dir.h"
#include "tests/worker_site.h"
#include "wire/pfi_signal.h"

enum {
	SITE_CALLS_MAX = 512,
};

static struct worker_site site;
/* What control was told last, of any generation, and how often. */
static struct channel_service_calls site_told;
static unsigned site_tellings;
static unsigned site_refusals;
/* What else it was told: the last of each. */
static struct channel_message site_rows;
static struct channel_message site_killed;
static struct channel_message site_slow;
static unsigned site_answers;
static unsigned site_slows;

static inline void
site_note(const struct channel_message *message, int fd)
{
	cr_assert_eq(fd, -1);
	if (message->type == CHANNEL_ROWS)
		site_rows = *message;
	if (message->type == CHANNEL_KILLED)
		site_killed = *message;
	if (message->type == CHANNEL_SERVICE_SLOW)
		site_slow = *message;
	site_answers += message->type == CHANNEL_ROWS || message->type == CHANNEL_KILLED;
	site_slows += message->type == CHANNEL_SERVICE_SLOW;
	if (message->type != CHANNEL_SERVICE_CALLS)
		return;
	site_told = message->service_calls;
	site_tellings++;
	site_refusals += message->service_calls.refused;
}

static inline void
site_up(void)
{
	const struct uring_options ring_options = URING_DEFAULTS;

	temp_dir_make();
	log_set_level(LOG_WARNING);
	site_make(&site, &ring_options, 15000, site_note);
}

static inline void
site_down(void)
{
	site_free(&site);
	temp_dir_remove();
}

static inline void
turn(void)
{
	site_turn(&site);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static inline int
site_socket(const char *name, struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof address->sun_path, "%s", temp_path(name));
	return fd;
}

static inline int
site_listen(const char *name, int backlog)
{
	struct sockaddr_un address;
	int fd = site_socket(name, &address);

	unlink(address.sun_path);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(listen(fd, backlog), 0);
	return fd;
}

static inline int
site_connect(const char *name)
{
	struct sockaddr_un address;
	int fd = site_socket(name, &address);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0, "%s: %s",
		     name, strerror(errno));
	return fd;
}

static inline int
site_accepted(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Turns until the worker has connected. */
static inline int
site_accept(int listener)
{
	int fd = -1;

	TURN_UNTIL((fd = site_accepted(listener)) >= 0);
	return fd;
}

/* Bytes: >= 0, 0 = the end; -1 = nothing there. */
static inline ssize_t
site_read(int fd, void *bytes, size_t len)
{
	ssize_t got = read(fd, bytes, len);

	if (got < 0 && errno == ECONNRESET)
		return 0;
	cr_assert(got >= 0 || errno == EAGAIN, "%s", strerror(errno));
	return got;
}

/* Exactly these bytes. */
static inline void
site_expect(int fd, const void *bytes, size_t len)
{
	uint8_t got[64];
	size_t have = 0;
	ssize_t n = 0;

	cr_assert_leq(len, sizeof got);
	while (have < len) {
		TURN_UNTIL((n = site_read(fd, got + have, len - have)) >= 0);
		cr_assert_gt(n, 0, "the end after %zu bytes", have);
		have += (size_t)n;
	}
	cr_assert_arr_eq(got, bytes, len);
}

static inline void
site_expect_end(int fd)
{
	uint8_t byte;
	ssize_t got = -1;

	TURN_UNTIL((got = site_read(fd, &byte, 1)) >= 0);
	cr_assert_eq(got, 0);
	close(fd);
}

static inline void
site_expect_nothing(int fd)
{
	uint8_t byte;

	turn_for_nothing();
	cr_assert_eq(site_read(fd, &byte, 1), -1);
}

static inline void
site_put(int fd, const void *bytes, size_t len)
{
	cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len, "%s", strerror(errno));
}

/* Bytes, the first of which carries descriptors. */
static inline void
site_put_fds(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control = { .room = { 0 } };

	uint8_t copy[64];
	struct iovec iov = { .iov_base = copy, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	cr_assert_leq(len, sizeof copy);
	memcpy(copy, bytes, len);
	msg.msg_control = &control;
	msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	cr_assert_eq(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)len, "%s", strerror(errno));
}

/* --- control ---------------------------------------------------------------------------------- */

static inline struct channel_message
site_service(void)
{
	return (struct channel_message){
		.type = CHANNEL_SERVICE_ADD,
		.service = { .index = 3, .calls_max = 4, .name = "hello" },
	};
}

static inline void
site_say(const struct channel_message *message, int fd)
{
	site_say_to(&site, message, fd);
	turn_for_nothing();
}

static inline void
site_generation(uint32_t number, enum service_generation_state state, const char *name)
{
	struct channel_message message = {
		.type = CHANNEL_SERVICE_GENERATION,
		.service_generation = { .index = 3, .generation = number, .state = state },
	};

	snprintf(message.service_generation.path, sizeof message.service_generation.path, "%s",
		 temp_path(name));
	site_say(&message, -1);
}

/* A service at "public", whose generation 1 is at "svc1"; returns the listener of that. */
static inline int
site_serve(const struct channel_message *service)
{
	site_say(service, site_listen("public", 128));
	int listener = site_listen("svc1", 128);
	site_generation(1, SERVICE_GENERATION_USE, "svc1");
	return listener;
}

/* --- the caller ------------------------------------------------------------------------------- */

static const uint8_t GREETING[PFI_GREETING_SIZE] = "PFI\n\0\0\0";
static const uint8_t EXTENDED_GREETING[PFI_EXTENDED_GREETING_SIZE] = {
	'P', 'F', 'I', '\n', 0, 0, 0, 4, 'R', 'L', 'X', '1'
};

static inline int
caller_connect(const char *name)
{
	int fd = site_connect(name);

	site_expect(fd, GREETING, sizeof GREETING);
	return fd;
}

/* The request up to the message: signalling byte and the descriptors. */
static inline void
caller_put_fds(int fd, const int fds[PFI_FDS])
{
	site_put(fd, "", 1);
	for (int i = 0; i < PFI_FDS; i++)
		site_put_fds(fd, "", 1, fds + i, 1);
}

static inline void
caller_put_message(int fd, const void *message, uint32_t len)
{
	uint8_t word[4];

	pfi_put_word(word, len);
	site_put(fd, word, sizeof word);
	if (len > 0)
		site_put(fd, message, len);
}

/* The whole request: an empty environment and one argument. */
static inline void
caller_ask(int fd, const char *argument)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t message[64] = "";

	caller_put_fds(fd, (int[]){ null, null, null });
	close(null);
	memcpy(message + 1, argument, strlen(argument) + 1);
	caller_put_message(fd, message, (uint32_t)strlen(argument) + 2);
}

static inline int
caller_call(const char *argument)
{
	int fd = caller_connect("public");

	caller_ask(fd, argument);
	return fd;
}

static inline void
caller_expect_status(int fd, uint32_t status)
{
	uint8_t word[4];

	pfi_put_word(word, status);
	site_expect(fd, word, sizeof word);
	site_expect_end(fd);
}

/* --- the service ------------------------------------------------------------------------------ */

/* What a service was given. */
struct given {
	int fds[8];
	size_t fds_count;
	size_t fd_at[8]; /* behind how many bytes each came */
	uint8_t bytes[4096];
	size_t len;
};

static inline size_t
given_wants(const struct given *given)
{
	size_t want = 1 + PFI_FDS + 4;

	if (given->len >= want)
		want += pfi_get_word(given->bytes + 1 + PFI_FDS);
	cr_assert_leq(want, sizeof given->bytes);
	return want - given->len;
}

/* One read of at most `len` bytes; its result. */
static inline ssize_t
given_read(struct given *given, int fd, size_t len)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = given->bytes + given->len, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *cmsg = got < 0 ? NULL : CMSG_FIRSTHDR(&msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		cr_assert_leq(given->fds_count + count, 8u);
		memcpy(given->fds + given->fds_count, CMSG_DATA(cmsg), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			given->fd_at[given->fds_count++] = given->len;
	}
	if (got > 0)
		given->len += (size_t)got;
	return got;
}

/* Turns until the whole request is there; it must be as the original client sends it. */
static inline void
service_take(struct given *given, int fd)
{
	*given = (struct given){ 0 };
	while (given_wants(given) > 0) {
		ssize_t got = -1;
		size_t want = given->len < 1 + PFI_FDS ? 1 : given_wants(given);
		TURN_UNTIL((got = given_read(given, fd, want)) >= 0);
		cr_assert_gt(got, 0);
	}
	cr_assert_eq(given->fds_count, 3u);
	for (size_t i = 0; i < PFI_FDS; i++)
		cr_assert_eq(given->fd_at[i], 1 + i);
	for (size_t i = 0; i < 1 + PFI_FDS; i++)
		cr_assert_eq(given->bytes[i], 0);
}

static inline const char *
given_argument(const struct given *given)
{
	return (const char *)given->bytes + 1 + PFI_FDS + 4 + 1;
}

static inline void
given_close(struct given *given)
{
	for (size_t i = 0; i < given->fds_count; i++)
		close(given->fds[i]);
	given->fds_count = 0;
}

static inline void
service_greet(int fd)
{
	site_put(fd, GREETING, sizeof GREETING);
}

/* Accepts, greets and takes a request whose argument is this one. */
static inline int
service_begin(int listener, const char *argument)
{
	struct given given;
	int fd = site_accept(listener);

	service_greet(fd);
	service_take(&given, fd);
	cr_assert_str_eq(given_argument(&given), argument);
	given_close(&given);
	return fd;
}

static inline void
service_end(int fd, uint32_t status)
{
	uint8_t word[4];

	pfi_put_word(word, status);
	site_put(fd, word, sizeof word);
	close(fd);
}

/* --- the worker, from inside ------------------------------------------------------------------ */

static inline struct service *
site_found(void)
{
	return site.worker.services[3];
}

static inline uint32_t
site_count(enum call_state state)
{
	return site_found()->counts[state];
}

static inline uint64_t
site_ends(enum call_end end)
{
	return site_found()->ends[end];
}

/* Every call is over, and nothing of any is left. */
static inline void
site_all_over(void)
{
	TURN_UNTIL(site.worker.calls_count == 0);
	turn_for_nothing();
	cr_assert_eq(site.worker.memory.used, 0u);
	cr_assert_eq(site.worker.call_fds, 0u);
}

#endif
