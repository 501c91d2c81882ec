/*
 * test_port.c - a worker's end of a channel on a real ring: messages come in order whatever their
 * number, what does not fit waits and is sent, and a port that ends or is closed leaves nothing
 * behind.
 */
#include "relay/limits.h"
#include "relay/port.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	MANY = 1000
};

static struct uring *ring;
static struct channel *there; /* the other end */
static struct port *port;
static uint64_t expected; /* number of the next message */
static int fds_seen;
static int ends;
static unsigned ports; /* that the ring holds */
static bool close_at_message;

static void
on_message(void *context, const struct channel_message *message, int fd)
{
	cr_assert_eq(context, &expected);
	cr_assert_eq(message->type, CHANNEL_STOP);
	cr_assert_eq(message->stop.timeout_ms, expected);
	expected++;
	if (fd >= 0) {
		fds_seen++;
		close(fd);
	}
	if (close_at_message)
		port_close(port);
}

static void
on_end(void *context)
{
	cr_assert_eq(context, &expected);
	ends++;
}

static void
set_up(void)
{
	const struct uring_options options = URING_DEFAULTS;
	int fds[2];

	cr_assert_eq(uring_new(&ring, &options), 0);
	cr_assert_eq(channel_pair(fds), 0);
	there = channel_new(fds[0]);
	struct channel *here = channel_new(fds[1]);
	cr_assert_not_null(there);
	cr_assert_not_null(here);
	port = port_new(ring, here, on_message, on_end, &expected, &ports);
	cr_assert_not_null(port);
}

static void
tear_down(void)
{
	channel_free(there);
	uring_free(ring);
}

static void
say(uint64_t number, int fd)
{
	struct channel_message message = { .type = CHANNEL_STOP, .stop = { number } };

	cr_assert_eq(channel_send(there, &message, fd), 0);
}

static void
turn(void)
{
	cr_assert_eq(uring_turn(ring), 0);
}

/* Closes the port while it waits, and turns until the ring has let go of it. */
static void
close_idle(void)
{
	port_close(port);
	while (ports > 0)
		turn();
}

TestSuite(port, .init = set_up, .fini = tear_down);

Test(port, messages_come_in_order)
{
	uint64_t said = 0;

	/* More than one turn takes, more than the socket takes. */
	while (expected < MANY) {
		while (said < MANY && channel_queued(there) < 16)
			say(said++, -1);
		turn();
		cr_assert_eq(channel_flush(there), 0);
	}
	cr_assert_eq(ends, 0);
	close_idle();
	cr_assert_eq(ends, 0);
}

Test(port, one_turn_takes_a_bounded_number)
{
	for (uint64_t i = 0; i < CHANNEL_MESSAGES_PER_TURN + 10; i++)
		say(i, -1);
	cr_assert_eq(channel_queued(there), 0);
	while (expected == 0)
		turn();
	cr_assert_leq(expected, CHANNEL_MESSAGES_PER_TURN);
	while (expected < CHANNEL_MESSAGES_PER_TURN + 10)
		turn();
	close_idle();
}

Test(port, descriptors_come_with_their_messages)
{
	int fd = memfd_create("relay-test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	for (uint64_t i = 0; i < 10; i++)
		say(i, i % 2 == 0 ? fd : -1);
	while (expected < 10)
		turn();
	cr_assert_eq(fds_seen, 5);
	close(fd);
	close_idle();
}

/* The other end does not read for a while: all that was sent arrives, in order. */
Test(port, what_does_not_fit_waits)
{
	struct channel_message message = { .type = CHANNEL_STOP };
	struct pollfd readable = { .fd = channel_fd(there), .events = POLLIN };
	uint64_t received = 0;
	int fd;

	for (uint64_t i = 0; i < MANY; i++) {
		message.stop.timeout_ms = i;
		cr_assert_eq(port_send(port, &message, -1), 0);
	}
	while (received < MANY) {
		if (poll(&readable, 1, 0) == 0)
			turn();
		while (channel_receive(there, &message, &fd) == 1) {
			cr_assert_eq(message.stop.timeout_ms, received);
			received++;
		}
	}
	cr_assert_eq(ends, 0);
	close_idle();
}

Test(port, the_other_end_goes)
{
	for (uint64_t i = 0; i < 3; i++)
		say(i, -1);
	channel_free(there);
	there = NULL;
	while (ports > 0)
		turn();
	cr_assert_eq(expected, 3, "what was said before is heard");
	cr_assert_eq(ends, 1);
}

Test(port, what_is_not_understood_ends_it)
{
	cr_assert_eq(write(channel_fd(there), "nonsense", 8), 8);
	while (ports > 0)
		turn();
	cr_assert_eq(ends, 1);
}

Test(port, closed_from_inside)
{
	close_at_message = true;
	say(0, -1);
	say(1, -1);
	while (ports > 0)
		turn();
	cr_assert_eq(expected, 1, "no callback comes after the close");
	cr_assert_eq(ends, 0);
	cr_assert_eq(
	    channel_receive(there, &(struct channel_message){ .type = CHANNEL_STOP }, &(int){ 0 }),
	    -EPIPE);
}

Test(port, closed_while_it_waits)
{
	int fd = channel_fd(there);

	cr_assert_eq(ports, 1);
	close_idle();
	cr_assert_eq(ends, 0);
	cr_assert_eq(ports, 0);
	struct pollfd hung_up = { .fd = fd, .events = POLLIN };
	cr_assert_eq(poll(&hung_up, 1, 0), 1);
	cr_assert(hung_up.revents & POLLHUP);
}
