/*
 * test_resolve.c - literals, the one name that every machine has, and names that none can have.
 * Asks no server.
 */
#include "relay/resolve.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static struct resolve_list list;

static void
expect_v4(const char *text, uint16_t port, const char *want)
{
	struct sockaddr_in in;
	char got[INET_ADDRSTRLEN];

	memset(&list, 0xff, sizeof list);
	cr_assert_eq(resolve_list(text, port, &list), 0, "%s", text);
	cr_assert_geq(list.count, 1u);
	cr_assert_eq(resolve_length(&list.address[0]), sizeof in);
	memcpy(&in, &list.address[0], sizeof in);
	cr_assert_eq(in.sin_family, AF_INET);
	cr_assert_eq(ntohs(in.sin_port), port);
	cr_assert_str_eq(inet_ntop(AF_INET, &in.sin_addr, got, sizeof got), want);
}

static void
expect_v6(const char *text, uint16_t port, const char *want)
{
	struct sockaddr_in6 in;
	char got[INET6_ADDRSTRLEN];

	memset(&list, 0xff, sizeof list);
	cr_assert_eq(resolve_list(text, port, &list), 0, "%s", text);
	cr_assert_geq(list.count, 1u);
	cr_assert_eq(resolve_length(&list.address[0]), sizeof in);
	memcpy(&in, &list.address[0], sizeof in);
	cr_assert_eq(in.sin6_family, AF_INET6);
	cr_assert_eq(ntohs(in.sin6_port), port);
	cr_assert_eq(in.sin6_scope_id, 0);
	cr_assert_str_eq(inet_ntop(AF_INET6, &in.sin6_addr, got, sizeof got), want);
}

Test(resolve, v4_literals)
{
	expect_v4("127.0.0.1", 5663, "127.0.0.1");
	expect_v4("192.0.2.254", 1, "192.0.2.254");
	expect_v4("255.255.255.255", 65535, "255.255.255.255");
	expect_v4("0.0.0.0", 0, "0.0.0.0");
}

Test(resolve, v6_literals)
{
	expect_v6("::1", 5663, "::1");
	expect_v6("2001:db8::25", 65535, "2001:db8::25");
	expect_v6("2001:0DB8:0:0:0:0:0:0025", 80, "2001:db8::25");
	expect_v6("::ffff:192.0.2.1", 80, "::ffff:192.0.2.1");
}

Test(resolve, localhost)
{
	cr_assert_eq(resolve_list("localhost", 5663, &list), 0);
	if (list.address[0].any.sa_family == AF_INET)
		expect_v4("localhost", 5663, "127.0.0.1");
	else
		expect_v6("localhost", 5663, "::1");
}

/* A label has 63 bytes at most, and none is empty: such a name is refused without a question to a
 * server. */
Test(resolve, impossible_names)
{
	const char *names[] = {
		"", "impossible..name",
		"0123456789012345678901234567890123456789012345678901234567890123456789.invalid"
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		list.count = 99;
		int error = resolve_list(names[i], 5663, &list);
		cr_assert_neq(error, 0, "'%s'", names[i]);
		cr_assert_eq(list.count, 0u);
		const char *text = resolve_error_text(error);
		cr_assert_not_null(text);
		cr_assert_gt(strlen(text), 5);
		cr_assert_null(strstr(text, "Unknown error"), "%d", error);
	}
}

/* All addresses of a name, and whether they are the same as before. */
Test(resolve, lists)
{
	struct resolve_list again;

	memset(&list, 0xff, sizeof list);
	cr_assert_eq(resolve_literal_list("192.0.2.1", 5663, &list), 0);
	cr_assert_eq(list.count, 1u);
	cr_assert_eq(list.address[0].any.sa_family, AF_INET);
	cr_assert_eq(ntohs(list.address[0].v4.sin_port), 5663);
	cr_assert_eq(resolve_length(&list.address[0]), sizeof(struct sockaddr_in));
	memset(&again, 0x55, sizeof again);
	cr_assert_eq(resolve_list("192.0.2.1", 5663, &again), 0);
	cr_assert(resolve_list_equal(&list, &again));
	cr_assert_eq(resolve_list("192.0.2.2", 5663, &again), 0);
	cr_assert_not(resolve_list_equal(&list, &again));
	cr_assert_eq(resolve_list("192.0.2.1", 5664, &again), 0);
	cr_assert_not(resolve_list_equal(&list, &again), "the port counts");
	again.count = 0;
	cr_assert_not(resolve_list_equal(&list, &again));
	cr_assert_eq(resolve_literal_list("::1", 1, &list), 0);
	cr_assert_eq(resolve_length(&list.address[0]), sizeof(struct sockaddr_in6));
	cr_assert_neq(resolve_literal_list("localhost", 1, &list), 0, "a name is no literal");
	cr_assert_eq(list.count, 0u);
	cr_assert_eq(resolve_list("localhost", 1, &list), 0);
	cr_assert_geq(list.count, 1u);
	cr_assert_leq(list.count, RESOLVE_ADDRESSES_MAX);
}

static struct resolve_list
list_of(const char *const *texts, uint32_t count)
{
	struct resolve_list all = { .count = count };

	for (uint32_t i = 0; i < count; i++) {
		struct resolve_list one;
		cr_assert_eq(resolve_literal_list(texts[i], 5663, &one), 0);
		all.address[i] = one.address[0];
	}
	return all;
}

/* The order is part of a list, but not of what is in it. */
Test(resolve, order)
{
	const char *const forth[] = { "192.0.2.1", "2001:db8::1", "192.0.2.2" };
	const char *const back[] = { "192.0.2.2", "192.0.2.1", "2001:db8::1" };
	const char *const other[] = { "192.0.2.2", "192.0.2.1", "2001:db8::2" };
	struct resolve_list a = list_of(forth, 3);
	struct resolve_list b = list_of(back, 3);
	struct resolve_list c = list_of(other, 3);
	struct resolve_list less = list_of(forth, 2);

	cr_assert_not(resolve_list_equal(&a, &b));
	cr_assert(resolve_list_same(&a, &b));
	cr_assert_not(resolve_list_same(&a, &c));
	cr_assert_not(resolve_list_same(&a, &less));
	cr_assert_not(resolve_list_same(&less, &a));
	cr_assert_eq(resolve_list_find(&b, &a.address[1]), 2u);
	cr_assert_eq(resolve_list_find(&c, &a.address[1]), 3u, "there is none");
	cr_assert_eq(resolve_list_find(&(struct resolve_list){ .count = 0 }, &a.address[0]), 0u);
}

/* Each has its part of what is left, and the last one all of it. */
Test(resolve, try_until)
{
	cr_assert_eq(resolve_try_until(100, 400, 3), 200u);
	cr_assert_eq(resolve_try_until(200, 400, 2), 300u);
	cr_assert_eq(resolve_try_until(110, 400, 1), 400u);
	cr_assert_eq(resolve_try_until(500, 400, 2), 500u, "it was over before");
}
