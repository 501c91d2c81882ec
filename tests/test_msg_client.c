/*
 * test_msg_client.c - librelay-msg on a socket: what the network says of datagrams before is no
 * failure.  The test is the relay, and with a raw socket a router.
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
#include <unistd.h>

#include "relay/msg.h"

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
