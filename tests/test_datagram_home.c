/*
 * test_datagram_home.c - the kernel steers datagrams to the worker that the function names: real
 * sockets on loopback, of both families.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fake_random.h"
#include "wire/datagram.h"
#include "wire/datagram_home.h"

#define WORKERS_MAX 4
#define CLIENTS     200
#define PATIENCE_MS 5000

struct group {
	int fds[WORKERS_MAX];
	uint32_t workers;
	struct sockaddr_storage address;
	socklen_t address_len;
};

static void
set_loopback(struct group *group, int family)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&group->address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&group->address;

	memset(&group->address, 0, sizeof group->address);
	group->address.ss_family = (sa_family_t)family;
	group->address_len = family == AF_INET ? sizeof *four : sizeof *six;
	if (family == AF_INET)
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		six->sin6_addr = in6addr_loopback;
}

static int
open_socket(struct group *group)
{
	int fd = socket(group->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;
	socklen_t len = sizeof group->address;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&group->address, group->address_len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&group->address, &len) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Bound in the order of the workers; false: this machine has no such family. */
static bool
open_group(struct group *group, int family, uint32_t workers)
{
	struct sock_filter steps[DATAGRAM_HOME_STEPS];
	struct sock_fprog program = { .len = DATAGRAM_HOME_STEPS, .filter = steps };

	set_loopback(group, family);
	group->workers = workers;
	datagram_home_program(steps, workers);
	for (uint32_t i = 0; i < workers; i++) {
		group->fds[i] = open_socket(group);
		if (group->fds[i] < 0 && family == AF_INET6 && i == 0)
			return false;
		cr_assert_geq(group->fds[i], 0, "socket %u: %s", i, strerror(errno));
	}
	cr_assert_eq(setsockopt(group->fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
				sizeof program),
		     0, "%s", strerror(errno));
	return true;
}

static void
close_group(const struct group *group)
{
	for (uint32_t i = 0; i < group->workers; i++)
		(void)close(group->fds[i]);
}

/* From a new port each time: only the id may count. */
static void
send_from_anywhere(const struct group *group, const void *bytes, size_t len)
{
	int fd = socket(group->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(
	    sendto(fd, bytes, len, 0, (const struct sockaddr *)&group->address, group->address_len),
	    (ssize_t)len);
	(void)close(fd);
}

/* Which socket it came to, waited for on all of them. */
static uint32_t
arrived(const struct group *group, uint8_t *bytes, size_t size, ssize_t *len)
{
	struct pollfd polls[WORKERS_MAX];

	for (uint32_t i = 0; i < group->workers; i++)
		polls[i] = (struct pollfd){ .fd = group->fds[i], .events = POLLIN };
	cr_assert_eq(poll(polls, group->workers, PATIENCE_MS), 1, "not one datagram came");
	for (uint32_t i = 0; i < group->workers; i++) {
		if ((polls[i].revents & POLLIN) == 0)
			continue;
		*len = recv(group->fds[i], bytes, size, 0);
		return i;
	}
	return UINT32_MAX;
}

static void
check_client(const struct group *group, uint64_t client, size_t len)
{
	uint8_t sent[64], bytes[64];
	uint32_t home = datagram_worker(client, group->workers);
	ssize_t got;

	memset(sent, 0xff, sizeof sent);
	datagram_put_u64(sent, client);
	send_from_anywhere(group, sent, len);
	cr_assert_eq(arrived(group, bytes, sizeof bytes, &got), home, "client %016llx of %u",
		     (unsigned long long)client, group->workers);
	cr_assert_eq(got, (ssize_t)len);
	cr_assert_arr_eq(bytes, sent, len);
}

static void
check_group(const struct group *group)
{
	struct fake_random random = { .state = group->workers };
	uint8_t bytes[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	ssize_t got;

	for (unsigned i = 0; i < CLIENTS; i++)
		check_client(group, i % 2 ? fake_random_next(&random) : i + 1, 8 + i % 50);
	check_client(group, UINT64_MAX, 8);
	check_client(group, UINT64_C(1) << 32, 56);
	/* What has no id goes to the first. */
	for (size_t len = 0; len < 8; len++) {
		send_from_anywhere(group, bytes, len);
		cr_assert_eq(arrived(group, bytes, sizeof bytes, &got), 0, "%zu bytes", len);
		cr_assert_eq(got, (ssize_t)len);
	}
}

Test(datagram_home, kernel_and_function_agree)
{
	struct group group;

	for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
		cr_assert(open_group(&group, AF_INET, workers));
		check_group(&group);
		close_group(&group);
	}
}

Test(datagram_home, kernel_and_function_agree_on_ipv6)
{
	struct group group;

	for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
		if (!open_group(&group, AF_INET6, workers))
			cr_skip_test("no IPv6 on this machine");
		check_group(&group);
		close_group(&group);
	}
}

/* What the kernel does with the program, in a few lines: any number of workers. */
static uint32_t
run(const struct sock_filter *program, const uint8_t *bytes)
{
	uint32_t a = 0, x = 0;

	for (const struct sock_filter *step = program;; step++) {
		switch (step->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = datagram_get_u32(bytes + step->k);
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_ALU | BPF_MUL | BPF_K:
			a *= step->k;
			break;
		case BPF_ALU | BPF_XOR | BPF_X:
			a ^= x;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			a >>= step->k;
			break;
		case BPF_ALU | BPF_MOD | BPF_K:
			a %= step->k;
			break;
		case BPF_RET | BPF_A:
			return a;
		default:
			cr_assert_fail("unknown step %x", step->code);
		}
	}
}

Test(datagram_home, program_is_the_function)
{
	struct fake_random random = { .state = 7 };
	struct sock_filter program[DATAGRAM_HOME_STEPS];
	uint8_t bytes[8];

	for (uint32_t workers = 1; workers <= 300; workers++) {
		datagram_home_program(program, workers);
		for (unsigned i = 0; i < 100; i++) {
			uint64_t client = fake_random_next(&random);

			datagram_put_u64(bytes, client);
			cr_assert_eq(run(program, bytes), datagram_worker(client, workers));
		}
	}
}

/* Ids that are counted up, in either half: no worker has less than half or twice its share. */
Test(datagram_home, clients_are_spread)
{
	for (uint32_t workers = 2; workers <= 16; workers++)
		for (unsigned shift = 0; shift <= 48; shift += 8) {
			unsigned counts[16] = { 0 }, share = 1600 / workers;

			for (uint64_t i = 1; i <= 1600; i++)
				counts[datagram_worker(i << shift, workers)]++;
			for (uint32_t i = 0; i < workers; i++)
				cr_assert(counts[i] > share / 2 && counts[i] < 2 * share,
					  "worker %u of %u has %u", i, workers, counts[i]);
		}
}
