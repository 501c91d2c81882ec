/*
 * test_uring.c - receiving and sending on a real ring and real sockets: every byte, in order, also
 * when the socket or the buffers are full.
 */
#include "tests/uring_site.h"

TestSuite(uring, .init = set_up, .fini = tear_down);

/* --- receiving --- */

Test(uring, recv_delivers_and_ends_with_zero)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct pair pair = tcp ? tcp_pair() : unix_pair();
		struct sink sink = { 0 };

		start_recv(&sink, pair.here);
		cr_assert(sink.op.in_flight);
		put(pair.there, "one", 3);
		TURN_UNTIL(sink.len == 3);
		put(pair.there, "two", 3);
		TURN_UNTIL(sink.len == 6);
		cr_assert_arr_eq(sink.bytes, "onetwo", 6);
		cr_assert(sink.op.in_flight);
		close(pair.there);
		TURN_UNTIL(sink.ends > 0);
		turn_for_nothing();
		cr_assert_eq(sink.ends, 1);
		cr_assert_eq(sink.end, 0);
	}
}

Test(uring, recv_takes_more_than_a_buffer)
{
	make(64, 8, 64);
	struct pair pair = unix_pair();
	struct sink sink = { 0 };
	uint8_t *bytes = patterned(10000);

	start_recv(&sink, pair.here);
	put(pair.there, bytes, 10000);
	close(pair.there);
	TURN_UNTIL(sink.ends > 0);
	cr_assert_eq(sink.len, 10000);
	cr_assert_leq(sink.largest, 64);
	same_as_pattern(sink.bytes, sink.len, 0);
}

Test(uring, recv_loses_nothing_without_buffers)
{
	enum {
		SOCKETS = 100,
		BYTES = 300
	};
	static struct sink sinks[SOCKETS];
	static struct pair pairs[SOCKETS];
	uint8_t *bytes = patterned(BYTES + SOCKETS);

	make(1024, 4, 64);
	for (int i = 0; i < SOCKETS; i++) {
		pairs[i] = unix_pair();
		start_recv(&sinks[i], pairs[i].here);
		put(pairs[i].there, bytes + i, BYTES);
		if (i % 2 == 0)
			close(pairs[i].there);
	}
	for (int i = 0; i < SOCKETS; i++) {
		TURN_UNTIL(sinks[i].len == BYTES);
		same_as_pattern(sinks[i].bytes, BYTES, (size_t)i);
	}
	cr_assert_gt(uring_stats(ring)->no_buffers, 0);
	for (int i = 1; i < SOCKETS; i += 2) {
		cr_assert(sinks[i].op.in_flight);
		close(pairs[i].there);
	}
	for (int i = 0; i < SOCKETS; i++) {
		TURN_UNTIL(sinks[i].ends > 0);
		cr_assert_eq(sinks[i].end, 0);
		cr_assert_eq(sinks[i].ends, 1);
		cr_assert_eq(sinks[i].len, BYTES);
	}
}

Test(uring, recv_reports_a_reset)
{
	struct pair pair = tcp_pair();
	struct sink sink = { 0 };

	start_recv(&sink, pair.here);
	turn_for_nothing();
	reset(pair.there);
	TURN_UNTIL(sink.ends > 0);
	cr_assert_eq(sink.end, -ECONNRESET);
}

/* --- sending --- */

Test(uring, send_whole)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct pair pair = tcp ? tcp_pair() : unix_pair();
		struct send_probe probe = { 0 };
		char bytes[] = "reply";

		start_send(&probe, pair.here, bytes, 5);
		cr_assert(probe.send.op.in_flight);
		turn(0);
		cr_assert_eq(probe.calls, 1, "settled by the turn that submits it");
		cr_assert_eq(probe.res, 5);
		memcpy(bytes, "XXXXX", 5); /* the buffer is ours again */
		expect(pair.there, "reply");
		turn_for_nothing();
		cr_assert_eq(probe.calls, 1);
		cr_assert_eq(uring_stats(ring)->short_sends, 0);
	}
}

/* Sends it all to a peer that reads only when the socket is full; the buffer is wiped behind what
 * was taken. */
static void
send_to_a_slow_reader(struct pair pair)
{
	const size_t len = 1 << 20;
	uint8_t *bytes = patterned(len);
	struct send_probe probe = { 0 };
	struct probe writable = { 0 };
	size_t sent = 0, got = 0;
	int stalls = 0;

	small_buffers(pair);
	while (sent < len) {
		start_send(&probe, pair.here, bytes + sent, len - sent);
		turn(0);
		cr_assert_not(probe.send.op.in_flight);
		cr_assert(probe.res > 0 || probe.res == -EAGAIN, "%s", strerror(-probe.res));
		size_t taken = probe.res > 0 ? (size_t)probe.res : 0;
		cr_assert_leq(taken, len - sent);
		memset(bytes + sent, 0xee, taken);
		sent += taken;
		if (sent == len)
			break;
		stalls++;
		start_poll(&writable, pair.here, POLLOUT);
		while (writable.op.in_flight) {
			read_patterned(pair.there, &got);
			turn(MS);
		}
		cr_assert(writable.res & POLLOUT);
	}
	close(pair.here);
	while (read_patterned(pair.there, &got))
		turn(MS);
	cr_assert_eq(got, len);
	cr_assert_gt(stalls, 0);
	cr_assert_eq(uring_stats(ring)->short_sends, (uint64_t)stalls);
	close(pair.there);
}

Test(uring, send_short_unix)
{
	send_to_a_slow_reader(unix_pair());
}

Test(uring, send_short_tcp)
{
	send_to_a_slow_reader(tcp_pair());
}

Test(uring, send_nothing_taken)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct pair pair = tcp ? tcp_pair() : unix_pair();
		struct send_probe probe = { 0 };
		uint8_t *bytes = patterned(1 << 20);
		size_t sent = 0, got = 0;

		small_buffers(pair);
		for (;;) {
			start_send(&probe, pair.here, bytes + sent % 65536, 100000);
			turn(0);
			if (probe.res < 0)
				break;
			sent += (size_t)probe.res;
		}
		cr_assert_eq(probe.res, -EAGAIN);
		close(pair.here);
		uint8_t drop[4096];
		ssize_t n;
		while ((n = read(pair.there, drop, sizeof drop)) != 0) {
			if (n > 0)
				got += (size_t)n;
			else
				turn(MS);
		}
		cr_assert_eq(got, sent);
		close(pair.there);
	}
}

Test(uring, send_to_a_closed_peer)
{
	struct pair good = unix_pair(), bad = unix_pair();
	struct send_probe before = { 0 }, broken = { 0 }, after = { 0 };

	close(bad.there);
	start_send(&before, good.here, "be", 2);
	start_send(&broken, bad.here, "lost", 4);
	start_send(&after, good.here, "hind", 4);
	turn(0);
	cr_assert_eq(broken.res, -EPIPE); /* and no SIGPIPE: the test lives */
	cr_assert_eq(before.res, 2);
	cr_assert_eq(after.res, 4);
	expect(good.there, "behind");
}

Test(uring, sends_settle_before_all_else)
{
	struct pair in = unix_pair(), out = unix_pair(), full = unix_pair(), gone = unix_pair();
	struct sink sink = { 0 };
	struct probe writable = { .letter = 'p' };
	struct send_probe whole = { .letter = 'w' }, part = { .letter = 's' },
			  broken = { .letter = 'b' };
	uint8_t *bytes = patterned(1 << 20);

	small_buffers(full);
	close(gone.there);
	start_recv(&sink, in.here);
	start_poll(&writable, out.here, POLLOUT);
	turn_for_nothing();
	journal[0] = '\0';
	start_poll(&writable, out.here, POLLOUT);
	put(in.there, "x", 1);
	start_send(&whole, out.here, "y", 1);
	start_send(&part, full.here, bytes, 1 << 20);
	start_send(&broken, gone.here, "z", 1);
	TURN_UNTIL(strlen(journal) == 5);
	cr_assert_eq(strncmp(journal, "wsb", 3), 0, "%s", journal);
	cr_assert_eq(sink.len, 1);
	cr_assert(part.res > 0 && part.res < 1 << 20);
}

Test(uring, close_comes_after_the_send)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct pair pair = tcp ? tcp_pair() : unix_pair();
		struct send_probe probe = { 0 };
		uint8_t *bytes = patterned(20000);
		size_t got = 0;

		start_send(&probe, pair.here, bytes, 20000);
		uring_close(ring, pair.here);
		turn(0);
		cr_assert_eq(probe.res, 20000);
		cr_assert_eq(fcntl(pair.here, F_GETFD), -1);
		while (read_patterned(pair.there, &got))
			turn(MS);
		cr_assert_eq(got, 20000);
	}
}
