/* test_listen_address.c - every form of an address to listen on, and what is none. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "relay/listen_address.h"

Test(listen_address, ipv4)
{
	struct listen_address address;
	const struct sockaddr_in *v4 = (const void *)&address.storage;

	cr_assert(listen_address_parse("127.0.0.1:9464", &address));
	cr_assert_eq(address.any.sa_family, AF_INET);
	cr_assert_eq(address.len, sizeof *v4);
	cr_assert_eq(ntohs(v4->sin_port), 9464);
	cr_assert_eq(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	cr_assert(listen_address_parse("0.0.0.0:0", &address));
	cr_assert(listen_address_parse("1.2.3.4:65535", &address));
	cr_assert_eq(ntohs(v4->sin_port), 65535);
}

Test(listen_address, ipv6)
{
	struct listen_address address;
	const struct sockaddr_in6 *v6 = (const void *)&address.storage;

	cr_assert(listen_address_parse("[::1]:80", &address));
	cr_assert_eq(address.any.sa_family, AF_INET6);
	cr_assert_eq(address.len, sizeof *v6);
	cr_assert_eq(ntohs(v6->sin6_port), 80);
	cr_assert(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	cr_assert(listen_address_parse("[::ffff:255.255.255.255]:1", &address));
}

Test(listen_address, path)
{
	struct listen_address address;
	char text[5 + 109];

	cr_assert(listen_address_parse("unix:/run/relay/metrics:1", &address));
	cr_assert_eq(address.any.sa_family, AF_UNIX);
	cr_assert_str_eq(address.local.sun_path, "/run/relay/metrics:1");
	memset(text, 'x', sizeof text);
	memcpy(text, "unix:", 5);
	text[5 + 107] = '\0';
	cr_assert(listen_address_parse(text, &address));
	text[5 + 107] = 'x';
	text[5 + 108] = '\0';
	cr_assert_not(listen_address_parse(text, &address));
}

Test(listen_address, what_is_none)
{
	static const char *const none[] = {
		"",
		":",
		"9464",
		":9464",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:999999999999999999999",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1: 1",
		"127.0.0.1:1x",
		"127.0.0:1",
		"localhost:1",
		"*:1",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[]:80",
		"[:80",
		"]:80",
		"[::1:80",
		"[127.0.0.1]:80",
		"[aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa]:1",
		"unix:",
		"unix:/run/",
	};
	struct listen_address address;

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		cr_assert_not(listen_address_parse(none[i], &address), "%s", none[i]);
}
