/*
 * test_dgram.c - batches of datagrams that leave, and addresses compared, on loopback.
 */
#include "uring/dgram.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static const struct dgram_local nowhere_special = { .family = AF_UNSPEC };

static int
open_socket(union dgram_address *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof address->ip4;

	cr_assert_geq(fd, 0);
	memset(address, 0, sizeof *address);
	address->ip4.sin_family = AF_INET;
	address->ip4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, &address->any, len), 0);
	cr_assert_eq(getsockname(fd, &address->any, &len), 0);
	return fd;
}

static void
put(struct dgram_batch *batch, const union dgram_address *to, const char *text)
{
	uint8_t *room = dgram_batch_room(batch);

	cr_assert_not_null(room);
	memcpy(room, text, strlen(text));
	dgram_batch_add(batch, to, &nowhere_special, strlen(text));
}

Test(dgram, one_that_cannot_be_sent_does_not_hold_up_those_behind_it)
{
	struct dgram_batch *batch = dgram_batch_new(600, false);
	union dgram_address to, from, nowhere;
	char got[16];

	cr_assert_not_null(batch);
	int receiver = open_socket(&to);
	int sender = open_socket(&from);
	nowhere = to;
	nowhere.ip4.sin_port = 0;
	put(batch, &to, "first");
	put(batch, &nowhere, "lost");
	put(batch, &to, "second");
	cr_assert(!dgram_batch_empty(batch));
	struct dgram_sent sent = dgram_batch_send(batch, sender);
	cr_assert_eq(sent.sent, 2u);
	cr_assert_eq(sent.dropped, 1u);
	cr_assert(dgram_batch_empty(batch));
	cr_assert_eq(recv(receiver, got, sizeof got, 0), 5);
	cr_assert_arr_eq(got, "first", 5);
	cr_assert_eq(recv(receiver, got, sizeof got, 0), 6);
	cr_assert_arr_eq(got, "second", 6);
	cr_assert_lt(recv(receiver, got, sizeof got, 0), 0);
	close(receiver);
	close(sender);
	dgram_batch_free(batch);
}

Test(dgram, a_batch_has_a_bound_in_number_and_in_bytes)
{
	union dgram_address to;
	int fd = open_socket(&to);
	struct dgram_batch *small = dgram_batch_new(600, false);
	struct dgram_batch *large = dgram_batch_new(65507, false);
	unsigned count = 0;

	for (; dgram_batch_room(small) != NULL; count++)
		put(small, &to, "x");
	cr_assert_eq(count, DGRAM_BATCH);
	for (count = 0; dgram_batch_room(large) != NULL; count++)
		put(large, &to, "x");
	cr_assert_eq(count, 8u);
	cr_assert_leq(dgram_batch_bytes(large), 600u * 1024);
	close(fd);
	dgram_batch_free(small);
	dgram_batch_free(large);
}

Test(dgram, addresses_are_compared_by_what_they_say)
{
	union dgram_address a = { .ip4 = { .sin_family = AF_INET, .sin_port = 7 } };
	union dgram_address b = a;
	union dgram_address c = { .ip6 = { .sin6_family = AF_INET6, .sin6_port = 7 } };
	union dgram_address d = c;

	b.ip4.sin_zero[3] = 9;
	cr_assert(dgram_address_equal(&a, &b));
	b.ip4.sin_port = 8;
	cr_assert(!dgram_address_equal(&a, &b));
	cr_assert(!dgram_address_equal(&a, &c));
	d.ip6.sin6_flowinfo = 5;
	cr_assert(dgram_address_equal(&c, &d));
	d.ip6.sin6_addr.s6_addr[15] = 1;
	cr_assert(!dgram_address_equal(&c, &d));
}
