/*
 * test_keeper_gateways.c - the keeper opens what relay.conf says of gateways and nothing else, and
 * keeps it across those who ask.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "relay/keeper_gateways.h"
#include "relay/listen_address.h"
#include "tests/keeper_site.h"

static struct keeper_gateways gateways;
static struct channel *keeper;
static struct channel *control;
static uint64_t now;

static void
begin(void)
{
	int ends[2];

	keeper_site_make();
	keeper_site_write("");
	keeper_gateways_init(&gateways, &keeper_site_source);
	cr_assert_eq(channel_pair(ends), 0);
	keeper = channel_new(ends[0]);
	control = channel_new(ends[1]);
	now = 1000;
}

static void
end(void)
{
	keeper_gateways_fini(&gateways);
	channel_free(keeper);
	channel_free(control);
	temp_dir_remove();
}

TestSuite(keeper_gateways, .init = begin, .fini = end);

/* A port that nobody has, at the moment. */
static uint16_t
free_port(int family)
{
	struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (void *)&address;
	struct sockaddr_in6 *v6 = (void *)&address;
	socklen_t len = family == AF_INET ? sizeof *v4 : sizeof *v6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		v6->sin6_addr = in6addr_loopback;
	if (bind(fd, (struct sockaddr *)&address, len) != 0)
		cr_skip_test("no address of family %d here", family);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(family == AF_INET ? v4->sin_port : v6->sin6_port);
}

static struct channel_message
wish(const char *name, const char *text)
{
	struct channel_message message = { .type = CHANNEL_GATEWAY_LISTEN };
	struct listen_address address;

	cr_assert(listen_address_parse(text, &address));
	message.gateway_listen.address = address.storage;
	message.gateway_listen.address_len = address.len;
	strncpy(message.gateway_listen.name, name, sizeof message.gateway_listen.name - 1);
	return message;
}

/* The answer: an error, or a descriptor that is the caller's. */
static int
listens(const char *name, const char *text)
{
	struct channel_message message = wish(name, text);
	struct channel_message answer;
	int fd = -1;

	cr_assert(keeper_gateways_on_message(&gateways, &message, keeper, now));
	cr_assert_eq(channel_receive(control, &answer, &fd), 1);
	cr_assert_eq(answer.type, CHANNEL_GATEWAY_LISTENER);
	cr_assert_str_eq(answer.gateway_listen.name, name);
	cr_assert_eq(fd >= 0, answer.gateway_listen.error == 0);
	return fd >= 0 ? fd : answer.gateway_listen.error;
}

static bool
accepts(uint16_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = connect(fd, (const struct sockaddr *)&address, sizeof address);

	close(fd);
	return result == 0;
}

static void
configure(const char *name, const char *listen)
{
	char text[512];

	snprintf(text, sizeof text, "gateway \"%s\" {\n\tlisten = {%s}\n}\n", name, listen);
	keeper_site_write(text);
}

Test(keeper_gateways, opens_what_is_configured)
{
	uint16_t port = free_port(AF_INET);
	char address[64], quoted[80], elsewhere[64];
	int on = 0;
	socklen_t len = sizeof on;

	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	snprintf(quoted, sizeof quoted, "\"%s\"", address);
	snprintf(elsewhere, sizeof elsewhere, "127.0.0.2:%u", port);
	configure("east", quoted);
	int fd = listens("east", address);
	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	cr_assert_eq(on != 0, true);
	cr_assert(accepts(port));
	cr_assert_eq(listens("west", address), -ESTALE, "of another gateway");
	cr_assert_eq(listens("east", elsewhere), -ESTALE, "another address");
	/* It asks again: the same. */
	int again = listens("east", address);
	cr_assert_geq(again, 0);
	close(fd);
	close(again);
	cr_assert(accepts(port), "it is the keeper's");
	struct channel_message message = wish("east", address);
	message.type = CHANNEL_GATEWAY_UNLISTEN;
	cr_assert(keeper_gateways_on_message(&gateways, &message, keeper, now));
	cr_assert_not(accepts(port));
	message.type = CHANNEL_LISTEN;
	cr_assert_not(keeper_gateways_on_message(&gateways, &message, keeper, now));
}

Test(keeper_gateways, opens_both_families)
{
	char v4[64], v6[64], both[160];

	snprintf(v4, sizeof v4, "127.0.0.1:%u", free_port(AF_INET));
	snprintf(v6, sizeof v6, "[::1]:%u", free_port(AF_INET6));
	snprintf(both, sizeof both, "\"%s\", \"%s\"", v6, v4);
	configure("east", both);
	int six = listens("east", v6);
	int four = listens("east", v4);
	cr_assert_geq(six, 0, "%s", strerror(-six));
	cr_assert_geq(four, 0, "%s", strerror(-four));
	close(six);
	close(four);
}

/* A file that changed is read at once; one that cannot be read opens nothing new. */
Test(keeper_gateways, follows_the_file)
{
	uint16_t port = free_port(AF_INET);
	char address[64], quoted[80];

	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	snprintf(quoted, sizeof quoted, "\"%s\"", address);
	cr_assert_eq(listens("east", address), -ESTALE);
	configure("east", quoted);
	int fd = listens("east", address);
	cr_assert_geq(fd, 0);
	close(fd);
	keeper_site_write("gateway \"east\" {\n");
	fd = listens("east", address);
	cr_assert_geq(fd, 0, "what is open stays");
	close(fd);
	cr_assert_eq(listens("east", "127.0.0.1:1"), -ESTALE);
}

Test(keeper_gateways, closes_what_a_sync_does_not_name)
{
	uint16_t ports[2];
	char address[2][64], both[160];

	for (int i = 0; i < 2; i++) {
		ports[i] = free_port(AF_INET);
		snprintf(address[i], sizeof address[i], "127.0.0.%d:%u", i + 1, ports[i]);
	}
	snprintf(both, sizeof both, "\"%s\", \"%s\"", address[0], address[1]);
	configure("east", both);
	for (int i = 0; i < 2; i++)
		close(listens("east", address[i]));
	cr_assert(accepts(ports[0]));
	keeper_gateways_mark(&gateways);
	close(listens("east", address[1]));
	keeper_gateways_sweep(&gateways);
	cr_assert_not(accepts(ports[0]));
	close(listens("east", address[1]));
}

/* Somebody else has the port: said so, and open to another try. */
Test(keeper_gateways, address_in_use)
{
	struct sockaddr_in taken = { .sin_family = AF_INET,
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof taken;
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char address[64], quoted[80];

	cr_assert_eq(bind(other, (struct sockaddr *)&taken, len), 0);
	cr_assert_eq(listen(other, 1), 0);
	cr_assert_eq(getsockname(other, (struct sockaddr *)&taken, &len), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(taken.sin_port));
	snprintf(quoted, sizeof quoted, "\"%s\"", address);
	configure("east", quoted);
	cr_assert_eq(listens("east", address), -EADDRINUSE);
	close(other);
	int fd = listens("east", address);
	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	close(fd);
}
