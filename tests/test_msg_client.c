/*
 * test_msg_client.c - librelay-msg on a socket: what the network says of datagrams before is no
 * failure, and a forked process says nothing.  The test is the relay, and with a raw socket a
 * router.
 */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/msg.h"
#include "wire/datagram.h"

static int relay = -1;
static struct sockaddr_in here;
static struct relay_msg *client;

static void
set_up(void)
{
	socklen_t len = sizeof here;
	char address[32];
	struct relay_msg_options options = { .address = address, .client = 5 };

	here =
	    (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	relay = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(relay, (const struct sockaddr *)&here, len), 0);
	cr_assert_eq(getsockname(relay, (struct sockaddr *)&here, &len), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(here.sin_port));
	cr_assert_eq(relay_msg_open(&client, &options), 0);
}

static void
tear_down(void)
{
	relay_msg_close(client);
	close(relay);
}

TestSuite(msg_client, .init = set_up, .fini = tear_down);

/* Where the client sends from: its hello tells. */
static struct sockaddr_in
hello_from(void)
{
	struct sockaddr_in from;
	struct relay_msg_event event;
	socklen_t len = sizeof from;
	char bytes[2048];

	cr_assert_eq(relay_msg_wait(client, &event, 0), 0);
	cr_assert_gt(recvfrom(relay, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len), 0);
	return from;
}

static uint16_t
sum_of(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* What a router says of a datagram from `from` to the relay. */
static void
say_unreachable(int raw, const struct sockaddr_in *from, uint8_t code)
{
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct udphdr udp;
	} said = {
		.icmp = { .type = ICMP_DEST_UNREACH, .code = code },
		.ip = { .version = 4,
			.ihl = 5,
			.tot_len = htons(sizeof said.ip + sizeof said.udp),
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = from->sin_addr.s_addr,
			.daddr = here.sin_addr.s_addr },
		.udp = { .source = from->sin_port, .dest = here.sin_port, .len = htons(8) },
	};

	if (code == ICMP_FRAG_NEEDED)
		said.icmp.un.frag.mtu = htons(1000);
	said.icmp.checksum = sum_of(&said, sizeof said);
	cr_assert_eq(
	    sendto(raw, &said, sizeof said, 0, (const struct sockaddr *)from, sizeof *from),
	    (ssize_t)sizeof said, "%s", strerror(errno));
}

Test(msg_client, what_routers_say_is_no_failure)
{
	static const uint8_t codes[] = { ICMP_NET_UNREACH,  ICMP_HOST_UNREACH, ICMP_PROT_UNREACH,
					 ICMP_PORT_UNREACH, ICMP_FRAG_NEEDED,  ICMP_HOST_UNKNOWN,
					 ICMP_HOST_ISOLATED };
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct relay_msg_event event;

	if (raw < 0)
		cr_skip_test("no raw socket: %s", strerror(errno));
	struct sockaddr_in from = hello_from();
	for (size_t i = 0; i < sizeof codes; i++) {
		say_unreachable(raw, &from, codes[i]);
		usleep(2000);
		cr_assert_eq(relay_msg_wait(client, &event, 0), 0, "code %u", codes[i]);
	}
	close(raw);
}

/* Answers the client's hello, and takes what begins the session. */
static void
welcome(void)
{
	const struct datagram_welcome terms = { .size_max = DATAGRAM_SIZE_DEFAULT,
						.reply_max = 1024,
						.keep_alive_ms = 600000,
						.open_max = 4,
						.span_max = 64 };
	const struct datagram_terms of_client = { .size_max = DATAGRAM_SIZE_MAX };
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct relay_msg_event event;
	struct sockaddr_in from;
	struct datagram hello;
	socklen_t len = sizeof from;

	cr_assert_eq(relay_msg_wait(client, &event, 0), 0);
	ssize_t n = recvfrom(relay, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len);
	cr_assert_gt(n, 0);
	cr_assert_eq(datagram_look(&hello, wire_span(bytes, (size_t)n), &of_client), DATAGRAM_OK);
	struct datagram_header header = { .client = 5,
					  .kind = DATAGRAM_WELCOME,
					  .flags = DATAGRAM_RELAY,
					  .session = 77,
					  .about = hello.header.number };
	datagram_begin(&out, &header);
	datagram_welcome_put(&out, &terms);
	datagram_end(&out, &header);
	cr_assert_eq(
	    sendto(relay, out.data, out.len, 0, (const struct sockaddr *)&from, sizeof from),
	    (ssize_t)out.len);
	cr_assert_eq(relay_msg_wait(client, &event, 20000), 1);
	cr_assert_eq(event.what, RELAY_MSG_ONLINE);
	while (recv(relay, bytes, sizeof bytes, MSG_DONTWAIT) < 0 || bytes[9] == DATAGRAM_HELLO)
		cr_assert_leq(relay_msg_next(client, &event), 0);
}

/* What a child that inherited the client can do with it: nothing but close it. */
static int
use_of_child(void)
{
	struct relay_msg_event event;
	uint8_t id[RELAY_MSG_ID_SIZE] = { 1 };
	uint64_t number;

	if (relay_msg_next(client, &event) != -EPERM || relay_msg_wait(client, &event, 0) != -EPERM)
		return 1;
	if (relay_msg_request(client, "host", "x", 1, 0, &number) != -EPERM)
		return 2;
	if (relay_msg_send(client, 6, "x", 1, id, &number) != -EPERM)
		return 3;
	relay_msg_close(client);
	return 0;
}

Test(msg_client, a_forked_process_says_nothing)
{
	struct relay_msg_event event;
	char bytes[2048];
	int status;

	welcome();
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(use_of_child());
	cr_assert_eq(waitpid(child, &status, 0), child);
	ssize_t n = recv(relay, bytes, sizeof bytes, MSG_DONTWAIT);
	cr_assert_lt(n, 0, "a datagram of kind %d", bytes[9]);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
	cr_assert_eq(relay_msg_next(client, &event), 0);
	/* The session is still the parent's to end. */
	relay_msg_close(client);
	client = NULL;
	cr_assert_gt(recv(relay, bytes, sizeof bytes, MSG_DONTWAIT), 0);
	cr_assert_eq(bytes[9], DATAGRAM_BYE);
}
