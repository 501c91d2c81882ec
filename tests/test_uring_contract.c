/*
 * test_uring_contract.c - what uring/uring.h promises, case by case.
 *
 * Compiled twice: for the real ring, and with FAKE=1 for the one of the simulation.  So the
 * simulation is not of a ring that nobody has.
 */
#include <poll.h>

#include "tests/contract_seen.h"

TestSuite(contract, .init = set_up, .fini = tear_down, .timeout = 60);

/* --- sends ------------------------------------------------------------------------------------ */

Test(contract, sends_settle_before_all_else)
{
	int fd[2];
	far_end far[2] = { far_stream(ring, &fd[0]), far_stream(ring, &fd[1]) };
	struct seen *sender = seen_new();
	struct seen *reader = seen_new();
	uint8_t room[16];

	uring_recv(ring, &reader->op, fd[0]);
	far_write(far[0], "abc", 3);
	uring_send(ring, &sender->send, fd[1], "hello", 5);
	cr_assert(sender->send.op.in_flight);
	turn_until(&reader->count, 1);
	cr_assert_str_eq(order, "SR");
	cr_assert_eq(sender->results[0], 5);
	cr_assert_eq(far_read(far[1], room, sizeof room), 5);
	cr_assert_arr_eq(room, "hello", 5);
	far_close(far[0]);
	far_close(far[1]);
	turn_until(&reader->finals, 1);
	uring_close(ring, fd[0]);
	uring_close(ring, fd[1]);
	turn_for(1);
	seen_free(sender);
	seen_free(reader);
}

Test(contract, a_whole_send_does_not_end_the_wait)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *sender = seen_new();
	struct clock clock = { .timer.due = on_clock, .name = 'T' };
	uint64_t at = uring_now(ring) + 20000000;

	uring_timer_set(ring, &clock.timer, at);
	uring_send(ring, &sender->send, fd, "x", 1);
	cr_assert_eq(uring_turn(ring), 0);
	if (order_len == 1) /* a turn may end a little early */
		cr_assert_eq(uring_turn(ring), 0);
	cr_assert_str_eq(order, "ST");
	cr_assert_geq(uring_now(ring), at);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	seen_free(sender);
}

/* Sends all of it, with polls where the socket is full, while the far end reads now and then. */
static void
send_all(struct seen *sender, struct seen *poller, int fd, far_end far, const uint8_t *bytes)
{
	uint8_t *got = malloc(BIG);
	size_t sent = 0;
	size_t read = 0;

	while (sent < BIG) {
		unsigned before = sender->count;
		uring_send(ring, &sender->send, fd, bytes + sent, BIG - sent);
		struct clock hurry = { .timer.due = on_clock };
		uring_timer_set(ring, &hurry.timer, uring_now(ring));
		order_len = 0;
		turn_until(&sender->count, before + 1);
		int res = sender->results[before % SEEN_MAX];
		cr_assert(res > 0 || res == -EAGAIN);
		sent += res > 0 ? (size_t)res : 0;
		if (sent == BIG)
			break;
		uring_poll(ring, &poller->op, fd, POLLOUT);
		if (read == 0) {
			turn_for(5);
			cr_assert_eq(poller->count, 0, "writable although full");
		}
		read += drain(far, got + read);
		poller->finals = 0;
		turn_until(&poller->count, poller->count + 1);
		cr_assert(poller->results[(poller->count - 1) % SEEN_MAX] & POLLOUT ||
			  poller->count > SEEN_MAX);
	}
	read += drain(far, got + read);
	cr_assert_eq(read, BIG);
	cr_assert_arr_eq(got, bytes, BIG);
	free(got);
}

Test(contract, short_sends_lose_nothing)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *sender = seen_new();
	struct seen *poller = seen_new();
	uint8_t *bytes = pattern(BIG);

	send_all(sender, poller, fd, far, bytes);
	cr_assert_gt(sender->count, 1);
	cr_assert_gt(uring_stats(ring)->short_sends, 0);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	free(bytes);
	seen_free(sender);
	seen_free(poller);
}

Test(contract, a_full_socket_takes_nothing)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *sender = seen_new();
	uint8_t *bytes = pattern(BIG);

	uring_send(ring, &sender->send, fd, bytes, BIG);
	turn_until(&sender->count, 1);
	cr_assert_gt(sender->results[0], 0);
	cr_assert_lt(sender->results[0], BIG);
	uring_send(ring, &sender->send, fd, bytes, BIG);
	turn_until(&sender->count, 2);
	cr_assert_eq(sender->results[1], -EAGAIN);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	free(bytes);
	seen_free(sender);
}

Test(contract, a_send_to_nobody_fails)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *sender = seen_new();

	far_close(far);
	uring_send(ring, &sender->send, fd, "x", 1);
	turn_until(&sender->count, 1);
	cr_assert_eq(sender->results[0], -EPIPE);
	uring_close(ring, fd);
	turn_for(1);
	seen_free(sender);
}

Test(contract, close_comes_after_the_send)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *sender = seen_new();
	uint8_t room[64];

	uring_send(ring, &sender->send, fd, "last words", 10);
	uring_close(ring, fd);
	turn_for(1);
	cr_assert_eq(sender->results[0], 10);
	cr_assert_eq(far_read(far, room, sizeof room), 10);
	cr_assert_eq(far_read(far, room, sizeof room), 0);
	far_close(far);
	seen_free(sender);
}

/* --- receives --------------------------------------------------------------------------------- */

Test(contract, receives_to_the_end)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *reader = seen_new();
	uint8_t *bytes = pattern(3000);

	uring_recv(ring, &reader->op, fd);
	for (size_t at = 0; at < 3000; at += 1000) {
		cr_assert_eq(far_write(far, bytes + at, 1000), 1000);
		while (reader->len < at + 1000)
			turn_until(&reader->count, reader->count + 1);
	}
	cr_assert(reader->op.in_flight);
	for (unsigned i = 0; i < reader->count; i++)
		cr_assert_leq(reader->results[i], BUFFER_SIZE);
	far_shutdown(far);
	turn_until(&reader->finals, 1);
	cr_assert_eq(reader->results[reader->count - 1], 0);
	cr_assert_eq(reader->len, 3000);
	cr_assert_arr_eq(reader->bytes, bytes, 3000);
	cr_assert_not(uring_hung_up(ring, fd), "only a half is closed");
	far_close(far);
	cr_assert(uring_hung_up(ring, fd));
	turn_for(2);
	uring_close(ring, fd);
	turn_for(1);
	free(bytes);
	seen_free(reader);
}

Test(contract, too_few_buffers_lose_nothing)
{
	enum {
		STREAMS = 20,
		EACH = 600
	};
	struct seen *readers[STREAMS];
	far_end far[STREAMS];
	int fd[STREAMS];
	uint8_t *bytes = pattern(EACH);

	far_ring_free(ring);
	ring = far_ring(2, 64);
	for (int i = 0; i < STREAMS; i++) {
		readers[i] = seen_new();
		far[i] = far_stream(ring, &fd[i]);
		uring_recv(ring, &readers[i]->op, fd[i]);
		cr_assert_eq(far_write(far[i], bytes, EACH), EACH);
		far_shutdown(far[i]);
	}
	for (int i = 0; i < STREAMS; i++) {
		turn_until(&readers[i]->finals, 1);
		cr_assert_eq(readers[i]->len, EACH);
		cr_assert_arr_eq(readers[i]->bytes, bytes, EACH);
		uring_close(ring, fd[i]);
		far_close(far[i]);
		seen_free(readers[i]);
	}
	cr_assert_gt(uring_stats(ring)->no_buffers, 0);
	turn_for(1);
	free(bytes);
}

Test(contract, an_operation_is_used_again_after_its_end)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *first = seen_new();
	struct seen *second = seen_new();

	first->again = second; /* from inside the last callback */
	uring_recv(ring, &first->op, fd);
	turn_for(1);
	uring_cancel(ring, &first->op);
	turn_until(&first->finals, 1);
	cr_assert_eq(first->results[0], -ECANCELED);
	far_write(far, "more", 4);
	turn_until(&second->count, 1);
	cr_assert_eq(second->len, 4);
	far_close(far);
	turn_until(&second->finals, 1);
	first->finals = 0;
	first->again = NULL;
	uring_poll(ring, &first->op, fd, POLLIN);
	turn_until(&first->finals, 1);
	cr_assert(first->results[1] & POLLIN);
	uring_close(ring, fd);
	turn_for(1);
	seen_free(first);
	seen_free(second);
}

/* --- receives into the owner's memory --------------------------------------------------------- */

Test(contract, receives_once_where_the_owner_says)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *reader = seen_new();
	uint8_t *bytes = pattern(3000);
	uint8_t room[3000];
	size_t len = 0;

	cr_assert_eq(far_write(far, bytes, 3000), 3000);
	while (len < 3000) {
		size_t most = len + 1000 > 3000 ? 3000 - len : 1000;
		reader->finals = 0;
		uring_recv_into(ring, &reader->op, fd, room + len, most);
		unsigned before = reader->count;
		turn_until(&reader->finals, 1);
		cr_assert_eq(reader->count, before + 1, "one callback each");
		cr_assert(reader->results[before] > 0 && (size_t)reader->results[before] <= most);
		len += (size_t)reader->results[before];
	}
	cr_assert_eq(reader->len, 0, "the callback gets no data");
	cr_assert_arr_eq(room, bytes, 3000);
	reader->finals = 0;
	uring_recv_into(ring, &reader->op, fd, room, sizeof room);
	turn_for(2);
	cr_assert_eq(reader->finals, 0, "nothing is there");
	far_close(far);
	turn_until(&reader->finals, 1);
	cr_assert_eq(reader->results[reader->count - 1], 0);
	uring_close(ring, fd);
	turn_for(1);
	free(bytes);
	seen_free(reader);
}

/* From one way of receiving to the other and back, in the middle of a stream. */
Test(contract, the_ways_of_receiving_change_over)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *first = seen_new();
	struct seen *second = seen_new();
	uint8_t room[16];

	first->again = second;
	uring_recv_into(ring, &first->op, fd, room, sizeof room);
	turn_for(1);
	uring_cancel(ring, &first->op);
	uring_cancel(ring, &first->op);
	turn_until(&first->finals, 1);
	cr_assert_eq(first->count, 1);
	cr_assert_eq(first->results[0], -ECANCELED);
	far_write(far, "more", 4);
	turn_until(&second->count, 1);
	cr_assert_eq(second->len, 4);
	uring_cancel(ring, &second->op);
	turn_until(&second->finals, 1);
	first->finals = 0;
	first->again = NULL;
	far_write(far, "last", 4);
	uring_recv_into(ring, &first->op, fd, room, sizeof room);
	turn_until(&first->finals, 1);
	cr_assert_eq(first->results[1], 4);
	cr_assert_arr_eq(room, "last", 4);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	seen_free(first);
	seen_free(second);
}

/* --- cancels ---------------------------------------------------------------------------------- */

Test(contract, cancel_of_an_idle_receive)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *reader = seen_new();

	uring_recv(ring, &reader->op, fd);
	turn_for(2);
	cr_assert_eq(reader->count, 0);
	uring_cancel(ring, &reader->op);
	uring_cancel(ring, &reader->op); /* once more does no harm */
	cr_assert(reader->op.in_flight);
	cr_assert_eq(reader->count, 0, "a cancel never calls back by itself");
	turn_until(&reader->finals, 1);
	cr_assert_eq(reader->count, 1);
	cr_assert_eq(reader->results[0], -ECANCELED);
	far_write(far, "late", 4);
	turn_for(2);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	seen_free(reader);
}

/* Whether the data still comes is open; that it comes before the end, and the end once, is not. */
Test(contract, cancel_of_a_receive_with_data_pending)
{
	for (int self = 0; self < 2; self++) {
		int fd;
		far_end far = far_stream(ring, &fd);
		struct seen *reader = seen_new();
		reader->cancel_self = self == 1;
		uring_recv(ring, &reader->op, fd);
		far_write(far, "0123456789", 10);
		if (self == 0)
			uring_cancel(ring, &reader->op);
		turn_until(&reader->finals, 1);
		cr_assert_eq(reader->results[reader->count - 1], -ECANCELED);
		cr_assert_arr_eq(reader->bytes, "0123456789", reader->len);
		turn_for(2);
		uring_close(ring, fd);
		far_close(far);
		turn_for(1);
		seen_free(reader);
	}
}

Test(contract, cancel_of_a_receive_at_its_end)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *reader = seen_new();

	uring_recv(ring, &reader->op, fd);
	turn_for(1);
	far_close(far);
	uring_cancel(ring, &reader->op);
	turn_until(&reader->finals, 1);
	cr_assert(reader->results[0] == 0 || reader->results[0] == -ECANCELED);
	turn_for(2);
	uring_close(ring, fd);
	turn_for(1);
	seen_free(reader);
}

Test(contract, cancel_of_a_poll)
{
	int fd;
	far_end far = far_stream(ring, &fd);
	struct seen *poller = seen_new();

	uring_poll(ring, &poller->op, fd, POLLIN);
	turn_for(2);
	uring_cancel(ring, &poller->op);
	turn_until(&poller->finals, 1);
	cr_assert_eq(poller->results[0], -ECANCELED);
	uring_close(ring, fd);
	far_close(far);
	turn_for(1);
	seen_free(poller);
}

/* --- accept and connect ----------------------------------------------------------------------- */

Test(contract, one_accept_takes_one)
{
	int listener = far_listener(ring);
	struct seen *accepts[2] = { seen_new(), seen_new() };
	far_end far[2] = { far_connect(ring, listener), far_connect(ring, listener) };

	uring_accept(ring, &accepts[0]->op, listener);
	turn_until(&accepts[0]->finals, 1);
	cr_assert_geq(accepts[0]->results[0], 0);
	turn_for(2);
	uring_accept(ring, &accepts[1]->op, listener);
	turn_until(&accepts[1]->finals, 1);
	cr_assert_geq(accepts[1]->results[0], 0);
	for (int i = 0; i < 2; i++) {
		/* In the order in which they came. */
		struct seen *reader = seen_new();
		char byte = (char)('0' + i);
		far_write(far[i], &byte, 1);
		uring_recv(ring, &reader->op, accepts[i]->results[0]);
		turn_until(&reader->count, 1);
		cr_assert_eq(reader->bytes[0], byte);
		far_close(far[i]);
		turn_until(&reader->finals, 1);
		uring_close(ring, accepts[i]->results[0]);
		seen_free(reader);
		seen_free(accepts[i]);
	}
	uring_close(ring, listener);
	turn_for(1);
}

/* At a stop: whoever connects is either accepted or still waits for the next to listen. */
Test(contract, cancel_of_an_accept)
{
	int listener = far_listener(ring);
	struct seen *accept = seen_new();

	uring_accept(ring, &accept->op, listener);
	turn_for(2);
	uring_cancel(ring, &accept->op);
	turn_until(&accept->finals, 1);
	cr_assert_eq(accept->results[0], -ECANCELED);

	accept->finals = accept->count = 0;
	uring_accept(ring, &accept->op, listener);
	turn_for(1);
	far_end far = far_connect(ring, listener);
	uring_cancel(ring, &accept->op);
	turn_until(&accept->finals, 1);
	if (accept->results[0] == -ECANCELED) {
		accept->finals = accept->count = 0;
		uring_accept(ring, &accept->op, listener);
		turn_until(&accept->finals, 1);
	}
	cr_assert_geq(accept->results[0], 0);
	uring_close(ring, accept->results[0]);
	uring_close(ring, listener);
	far_close(far);
	turn_for(1);
	seen_free(accept);
}

static int
connect_to(struct seen *seen, const struct sockaddr_in *address)
{
	int fd = uring_tcp_socket(ring, AF_INET);

	cr_assert_geq(fd, 0);
	uring_connect(ring, &seen->op, fd, (const struct sockaddr *)address, sizeof *address);
	return fd;
}

Test(contract, connects)
{
	struct seen *seen = seen_new();
	struct sockaddr_in address = far_server(0);
	int fd = connect_to(seen, &address);

	turn_until(&seen->finals, 1);
	cr_assert_eq(seen->results[0], 0);
	uring_close(ring, fd);
	turn_for(1);
	far_server_end();
	seen_free(seen);
}

/* The other side sees the end behind all that was sent, and may go on writing. */
Test(contract, shutdown_ends_one_direction)
{
	struct seen *reader = seen_new();
	struct seen *sender = seen_new();
	uint8_t room[16];
	int fd;
	far_end far = far_stream(ring, &fd);

	uring_recv(ring, &reader->op, fd);
	uring_send(ring, &sender->send, fd, "bye", 3);
	turn_for(1);
	uring_shutdown(ring, fd);
	uring_shutdown(ring, fd);
	cr_assert_eq(far_read(far, room, sizeof room), 3);
	cr_assert_eq(far_read(far, room, sizeof room), 0);
	cr_assert_eq(far_write(far, "more", 4), 4);
	turn_until(&reader->count, 1);
	cr_assert_eq(reader->results[0], 4);
	far_close(far);
	turn_until(&reader->finals, 1);
	cr_assert_eq(reader->results[1], 0);
	uring_close(ring, fd);
	turn_for(1);
	seen_free(reader);
	seen_free(sender);
}

Test(contract, reset_is_no_end_in_order)
{
	struct seen *seen = seen_new();
	struct sockaddr_in address = far_server(0);
	int fd = connect_to(seen, &address);
	uint8_t room[16];

	turn_until(&seen->finals, 1);
	cr_assert_eq(seen->results[0], 0);
	far_end far = far_server_accepted();
	cr_assert_eq(far_read(far, room, sizeof room), -EAGAIN);
	uring_reset(ring, fd);
	turn_for(1);
	cr_assert_eq(far_read(far, room, sizeof room), -ECONNRESET);
	far_close(far);
	far_server_end();
	seen_free(seen);
}

Test(contract, a_connect_is_refused)
{
	struct seen *seen = seen_new();
	struct sockaddr_in address = far_server(1);
	int fd = connect_to(seen, &address);

	turn_until(&seen->finals, 1);
	cr_assert_eq(seen->results[0], -ECONNREFUSED);
	uring_close(ring, fd);
	turn_for(1);
	far_server_end();
	seen_free(seen);
}

Test(contract, cancel_of_a_connect)
{
	struct seen *seen = seen_new();
	struct sockaddr_in address = far_server(2);
	int fd = connect_to(seen, &address);

	turn_for(5);
	cr_assert_eq(seen->count, 0);
	uring_cancel(ring, &seen->op);
	turn_until(&seen->finals, 1);
	cr_assert_eq(seen->results[0], -ECANCELED);
	uring_close(ring, fd);
	turn_for(1);
	far_server_end();
	seen_free(seen);
}

/* --- timers ----------------------------------------------------------------------------------- */

Test(contract, timers_in_order)
{
	struct clock clocks[3] = {
		{ .timer.due = on_clock, .name = '2' },
		{ .timer.due = on_clock, .name = '1' },
		{ .timer.due = on_clock, .name = '3' },
	};
	uint64_t now = uring_now(ring);

	uring_timer_set(ring, &clocks[0].timer, now + 2000000);
	uring_timer_set(ring, &clocks[1].timer, now + 1000000);
	uring_timer_set(ring, &clocks[2].timer, now + 500000);
	uring_timer_set(ring, &clocks[2].timer, now + 3000000); /* moved */
	turn_for(5);
	cr_assert_str_eq(order, "123");
	uring_timer_set(ring, &clocks[0].timer, uring_now(ring) + 1000000);
	uring_timer_clear(ring, &clocks[0].timer);
	cr_assert_not(uring_timer_armed(&clocks[0].timer));
	turn_for(3);
	cr_assert_str_eq(order, "123");
}

static unsigned rings;

static void
on_again(struct uring_timer *timer)
{
	cr_assert_not(uring_timer_armed(timer), "disarmed before the call");
	rings++;
	uring_timer_set(ring, timer, uring_now(ring));
}

Test(contract, a_timer_armed_by_itself_waits_for_the_next_turn)
{
	struct uring_timer timer = { .due = on_again };

	rings = 0;
	uring_timer_set(ring, &timer, uring_now(ring));
	for (unsigned i = 1; i <= 3; i++) {
		unsigned before = rings;
		for (unsigned tries = 0; rings == before; tries++) {
			cr_assert_lt(tries, 100);
			cr_assert_eq(uring_turn(ring), 0);
		}
		cr_assert_eq(rings, i);
	}
	uring_timer_clear(ring, &timer);
}

Test(contract, time_stands_still_within_a_turn)
{
	uint64_t before = uring_now(ring);

	turn_for(2);
	cr_assert_geq(uring_now(ring), before + 2000000);
	before = uring_now(ring);
	cr_assert_eq(uring_now(ring), before);
}
