/*
 * test_peer_name.c - what may be the name of a peer's certificate, and what never is one.
 */
#include "relay/peer_name.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Test(peer_name, host_names_and_addresses)
{
	static const char *const good[] = {
		"a",
		"localhost",
		"msul1.example.org",
		"MSUL1.Example.ORG",
		"1.example.org",
		"a-b.c--d.x1",
		"xn--bcher-kva.example",
		"127.0.0.1",
		"255.255.255.255",
		"::1",
		"2001:db8::25",
		"::ffff:192.0.2.1",
	};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		cr_assert(peer_name_is_valid(good[i]), "%s", good[i]);
}

Test(peer_name, neither)
{
	static const char *const bad[] = {
		"",
		".",
		"example.",
		".example",
		"a..b",
		"-a.example",
		"a-.example",
		"a b",
		"a_b.example",
		"*.example.org",
		"host:5663",
		"[::1]",
		"fe80::1%eth0",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"12345",
		"2001:db8::g",
		"a/b",
		"user@example.org",
		"https://a.b",
		"b\xc3\xbc"
		"cher.example",
		"a\n",
		"a,b",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		cr_assert_not(peer_name_is_valid(bad[i]), "%s", bad[i]);
}

Test(peer_name, lengths)
{
	char text[256];

	memset(text, 'a', sizeof text);
	text[63] = '\0';
	cr_assert(peer_name_is_valid(text));
	text[63] = 'a';
	text[64] = '\0';
	cr_assert_not(peer_name_is_valid(text), "a label of 64");
	memset(text, 'a', sizeof text);
	for (size_t i = 63; i < 253; i += 64)
		text[i] = '.';
	text[253] = '\0';
	cr_assert(peer_name_is_valid(text));
	text[253] = 'a';
	text[254] = '\0';
	cr_assert_not(peer_name_is_valid(text), "254 bytes");
}
