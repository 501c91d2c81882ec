/*
 * test_keeper_datagram.c - the sockets of the message plane as the keeper makes them: each client
 * comes to its own worker from whatever port, also after a worker was given its socket again; what
 * is not ours is refused; the webpager's socket tells who sends.
 */
#include "relay/keeper_datagram.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/log.h"
#include "tests/temp_dir.h"
#include "wire/datagram.h"
#include "wire/datagram_home.h"

enum {
	WORKERS = 3,
	CLIENTS = 40,
	WAIT_MS = 20000,
};

static struct relay_settings settings;
static struct keeper_datagram datagram;
static char listen_v4[32], listen_v6[32], pager[128];
static char *addresses[] = { listen_v4, listen_v6, NULL };
static int got[2][WORKERS]; /* the sockets as a worker has them */
static char said[512];      /* the last error */

static void
note(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	snprintf(said, sizeof said, "%s", text);
}

/* A port that is free for both families, as long as nobody takes it at this very moment. */
static uint16_t
free_port(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	socklen_t len = sizeof any;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&any, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	close(fd);
	return ntohs(any.sin6_port);
}

static void
set_up(void)
{
	log_set_sink(note, NULL);
	temp_dir_make();
	snprintf(pager, sizeof pager, "%s/pager", temp_dir);
	settings.datagram_listen = addresses;
	settings.webpager_socket = pager;
	settings.webpager_mode = 0640;
	for (int tries = 0; tries < 20; tries++) {
		uint16_t port = free_port();

		snprintf(listen_v4, sizeof listen_v4, "127.0.0.1:%u", port);
		snprintf(listen_v6, sizeof listen_v6, "[::1]:%u", port);
		if (keeper_datagram_init(&datagram, &settings, WORKERS, 0))
			return;
		keeper_datagram_fini(&datagram);
	}
	cr_assert(false, "%s", said);
}

static void
tear_down(void)
{
	keeper_datagram_fini(&datagram);
	temp_dir_remove();
}

TestSuite(keeper_datagram, .init = set_up, .fini = tear_down);

/* What a worker that is started gets. */
static void
start_worker(uint32_t number)
{
	struct channel_message message;
	int ends[2], fd;

	cr_assert_eq(channel_pair(ends), 0);
	struct channel *keeper = channel_new(ends[0]), *worker = channel_new(ends[1]);
	keeper_datagram_give(&datagram, number, keeper);
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert_eq(channel_receive(worker, &message, &fd), 1);
		cr_assert_eq(message.type, CHANNEL_DATAGRAM_SOCKET);
		cr_assert_eq(message.datagram_socket.number, i);
		cr_assert_eq(message.datagram_socket.count, 2);
		cr_assert_eq(message.datagram_socket.family, i == 0 ? AF_INET : AF_INET6);
		cr_assert_eq(message.datagram_socket.worker, number);
		cr_assert_eq(message.datagram_socket.workers, WORKERS);
		cr_assert_geq(fd, 0);
		got[i][number] = fd;
	}
	cr_assert_eq(channel_receive(worker, &message, &fd), 0);
	channel_free(keeper);
	channel_free(worker);
}

static void
stop_worker(uint32_t number)
{
	close(got[0][number]);
	close(got[1][number]);
}

/* One datagram of this client, from a port of its own. */
static void
send_as(uint64_t client, int address)
{
	uint8_t bytes[64] = { 0 };
	uint16_t port = (uint16_t)atoi(strrchr(listen_v4, ':') + 1);
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(address == 0 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t sent;

	datagram_put_u64(bytes, client);
	if (address == 0)
		sent = sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&v4, sizeof v4);
	else
		sent = sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&v6, sizeof v6);
	cr_assert_eq(sent, (ssize_t)sizeof bytes, "%s", strerror(errno));
	close(fd);
}

/* It is at its home, and nowhere else. */
static void
expect_at_home(uint64_t client, int address)
{
	struct pollfd slots[WORKERS];
	uint8_t bytes[64];

	for (int i = 0; i < WORKERS; i++)
		slots[i] = (struct pollfd){ .fd = got[address][i], .events = POLLIN };
	cr_assert_eq(poll(slots, WORKERS, WAIT_MS), 1);
	for (uint32_t i = 0; i < WORKERS; i++) {
		if (slots[i].revents == 0)
			continue;
		cr_assert_eq(i, datagram_worker(client, WORKERS));
		cr_assert_eq(recv(got[address][i], bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
		cr_assert_eq(datagram_get_u64(bytes), client);
	}
}

static void
check_steering(int address)
{
	bool seen[WORKERS] = { false };

	for (uint64_t i = 0; i < CLIENTS; i++) {
		uint64_t client = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

		send_as(client, address);
		expect_at_home(client, address);
		seen[datagram_worker(client, WORKERS)] = true;
	}
	for (int i = 0; i < WORKERS; i++)
		cr_assert(seen[i], "nobody's home is worker %d", i);
}

Test(keeper_datagram, each_client_has_one_worker)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		start_worker(i);
	check_steering(0);
	check_steering(1);
}

/* The order of the sockets outlives workers, and what came meanwhile is still there. */
Test(keeper_datagram, a_worker_that_is_restarted)
{
	uint64_t client = 1;

	for (uint32_t i = 0; i < WORKERS; i++)
		start_worker(i);
	while (datagram_worker(client, WORKERS) != 0)
		client++;
	stop_worker(0);
	send_as(client, 0);
	start_worker(0);
	expect_at_home(client, 0);
	check_steering(0);
	check_steering(1);
}

Test(keeper_datagram, an_address_that_is_taken)
{
	struct keeper_datagram other;

	cr_assert_not(keeper_datagram_init(&other, &settings, 1, 100),
		      "clients are not shared with another relay");
	cr_assert_not_null(strstr(said, listen_v4), "%s", said);
	cr_assert_not_null(strstr(said, strerror(EADDRINUSE)), "%s", said);
	keeper_datagram_fini(&other);
}

Test(keeper_datagram, off)
{
	struct keeper_datagram other;
	const struct relay_settings none = { .workers = 1 };

	cr_assert(keeper_datagram_init(&other, &none, WORKERS, 0));
	cr_assert_eq(other.addresses, 0);
	cr_assert_eq(other.pager.fd, -1);
	keeper_datagram_fini(&other);
}

Test(keeper_datagram, the_pager_tells_who_sends)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} credentials = { .room = { 0 } };

	char bytes[16];
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof bytes };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &credentials,
			      .msg_controllen = sizeof credentials.room };
	struct channel_message message;
	struct ucred who;
	struct stat st;
	int ends[2], fd;

	cr_assert_eq(stat(pager, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0640);
	cr_assert_eq(channel_pair(ends), 0);
	struct channel *keeper = channel_new(ends[0]), *control = channel_new(ends[1]);
	keeper_datagram_give_pager(&datagram, keeper);
	cr_assert_eq(channel_receive(control, &message, &fd), 1);
	cr_assert_eq(message.type, CHANNEL_WEBPAGER_SOCKET);
	cr_assert_lt(recv(fd, bytes, sizeof bytes, 0), 0);
	cr_assert_eq(errno, EAGAIN, "it does not block");

	memcpy(to.sun_path, pager, strlen(pager));
	int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(sendto(sender, "hi", 2, 0, (struct sockaddr *)&to, sizeof to), 2);
	cr_assert_eq(recvmsg(fd, &msg, 0), 2);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cr_assert_not_null(cmsg);
	cr_assert_eq(cmsg->cmsg_type, SCM_CREDENTIALS);
	memcpy(&who, CMSG_DATA(cmsg), sizeof who);
	cr_assert_eq(who.pid, getpid());
	cr_assert_eq(who.uid, getuid());
	close(sender);
	close(fd);
	channel_free(keeper);
	channel_free(control);
	keeper_datagram_fini(&datagram);
	cr_assert_neq(access(pager, F_OK), 0, "its path goes with it");
}

/* What is no socket stays. */
Test(keeper_datagram, a_file_in_the_pagers_place)
{
	struct keeper_datagram other;
	struct relay_settings with_file = { .webpager_mode = 0600 };
	char path[160];
	struct stat st;

	snprintf(path, sizeof path, "%s/file", temp_dir);
	with_file.webpager_socket = path;
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	fclose(file);
	cr_assert_not(keeper_datagram_init(&other, &with_file, 1, 0));
	cr_assert_not_null(strstr(said, "webpager.socket"));
	keeper_datagram_fini(&other);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert(S_ISREG(st.st_mode));
}

/* Only who has all addresses has to be told which of them was meant. */
Test(keeper_datagram, a_socket_with_all_addresses_tells_which_was_asked)
{
	static char any[64];
	static char *both[] = { any, NULL };
	int tells = -1;
	socklen_t len = sizeof tells;

	cr_assert_eq(getsockopt(datagram.sockets[0], IPPROTO_IP, IP_PKTINFO, &tells, &len), 0);
	cr_assert_eq(tells, 0);
	cr_assert_not(datagram.is_any[0]);
	cr_assert_not(datagram.is_any[1]);
	keeper_datagram_fini(&datagram);
	settings.datagram_listen = both;
	bool bound = false;
	for (int tries = 0; !bound && tries < 20; tries++) {
		snprintf(any, sizeof any, "0.0.0.0:%u", free_port());
		bound = keeper_datagram_init(&datagram, &settings, WORKERS, 0);
		if (!bound)
			keeper_datagram_fini(&datagram);
	}
	cr_assert(bound, "%s", said);
	cr_assert(datagram.is_any[0]);
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(getsockopt(datagram.sockets[i], IPPROTO_IP, IP_PKTINFO, &tells, &len),
			     0);
		cr_assert_eq(tells, 1);
	}
}
