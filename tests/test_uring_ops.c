/*
 * test_uring_ops.c - accept, connect, poll, cancel and timers on a real ring, and what happens when
 * there are more of them than the ring has room for.
 */
#include "tests/uring_site.h"

#include <liburing.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/wait.h>

TestSuite(uring_ops, .init = set_up, .fini = tear_down);

/* --- accept, connect, poll --- */

Test(uring_ops, accept_takes_one)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		int listener = listening(tcp ? AF_INET : AF_UNIX);
		struct probe first = { 0 }, second = { 0 };

		start_accept(&first, listener);
		turn_for_nothing();
		cr_assert(first.op.in_flight);
		int a = client_of(listener), b = client_of(listener);
		TURN_UNTIL(first.calls > 0);
		turn_for_nothing();
		cr_assert_eq(first.calls, 1, "one-shot: the other client stays in the queue");
		cr_assert_geq(first.res, 0);
		cr_assert(close_on_exec(first.res));
		start_accept(&second, listener);
		TURN_UNTIL(second.calls > 0);
		cr_assert_geq(second.res, 0);
		put(a, "a", 1);
		put(b, "b", 1);
		expect(first.res, "a");
		expect(second.res, "b");
	}
}

Test(uring_ops, accepts_share_the_clients)
{
	int listener = listening(AF_UNIX);
	struct probe accepts[8] = { 0 };
	int accepted = 0;

	for (int i = 0; i < 8; i++)
		start_accept(&accepts[i], listener);
	for (int i = 0; i < 5; i++)
		client_of(listener);
	while (accepted < 5) {
		turn(MS);
		accepted = 0;
		for (int i = 0; i < 8; i++)
			accepted += accepts[i].calls;
	}
	turn_for_nothing();
	for (int i = 0; i < 8; i++)
		cr_assert_eq(accepts[i].op.in_flight, accepts[i].calls == 0);
}

Test(uring_ops, connect)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		int listener = listening(tcp ? AF_INET : AF_UNIX);
		int deaf = bound(tcp ? AF_INET : AF_UNIX);
		struct sockaddr_storage address;
		struct probe good = { 0 }, refused = { 0 };
		int family = tcp ? AF_INET : AF_UNIX;
		int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int other = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		socklen_t len = address_of(listener, &address);
		start_connect(&good, fd, &address, len);
		TURN_UNTIL(good.calls > 0);
		cr_assert_eq(good.res, 0);
		int there = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		put(there, "hi", 2);
		expect(fd, "hi");

		len = address_of(deaf, &address);
		start_connect(&refused, other, &address, len);
		TURN_UNTIL(refused.calls > 0);
		cr_assert_eq(refused.res, -ECONNREFUSED);
	}
}

Test(uring_ops, tcp_socket)
{
	int fd = uring_tcp_socket(ring, AF_INET), on = 0;
	socklen_t len = sizeof on;

	cr_assert_geq(fd, 0);
	cr_assert(close_on_exec(fd));
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	cr_assert_neq(on, 0);
	cr_assert_lt(uring_tcp_socket(ring, 9999), 0);
}

Test(uring_ops, poll_waits_for_its_event)
{
	struct pair pair = unix_pair();
	struct probe probe = { 0 };

	start_poll(&probe, pair.here, POLLIN);
	turn_for_nothing();
	cr_assert_eq(probe.calls, 0);
	put(pair.there, "x", 1);
	TURN_UNTIL(probe.calls > 0);
	cr_assert(probe.res & POLLIN);
	turn_for_nothing();
	cr_assert_eq(probe.calls, 1);
	start_poll(&probe, pair.here, 0);
	turn_for_nothing();
	cr_assert_eq(probe.calls, 1);
	close(pair.there);
	TURN_UNTIL(probe.calls > 1);
	cr_assert(probe.res & POLLHUP);
}

Test(uring_ops, hung_up)
{
	struct pair half = unix_pair(), whole = unix_pair(), tcp = tcp_pair(), gone = tcp_pair();

	cr_assert_not(uring_hung_up(ring, half.here));
	cr_assert_not(uring_hung_up(ring, tcp.here));
	shutdown(half.there, SHUT_WR);
	shutdown(tcp.there, SHUT_WR);
	cr_assert_not(uring_hung_up(ring, half.here));
	cr_assert_not(uring_hung_up(ring, tcp.here));
	put(whole.there, "unread", 6);
	close(whole.there);
	cr_assert(uring_hung_up(ring, whole.here));
	reset(gone.there);
	TURN_UNTIL(uring_hung_up(ring, gone.here));
}

/* --- cancelling --- */

/* Exit status 0 if a process of a new PID namespace is told who made the socket, but no pid. */
static int
look_from_another_namespace(int fd)
{
	uint32_t uid, pid;
	int status;
	pid_t child = fork();

	if (child != 0)
		return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
			       WEXITSTATUS(status) == 0
			   ? 0
			   : 1;
	uring_peer(ring, fd, &uid, &pid);
	_exit(uid == getuid() && pid == 0 ? 0 : 1);
}

Test(uring_ops, peer)
{
	uint32_t uid, pid;
	int pair[2], pipes[2], status;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	uring_peer(ring, pair[0], &uid, &pid);
	cr_assert_eq(uid, getuid());
	cr_assert_eq(pid, (uint32_t)getpid());
	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	uring_peer(ring, pipes[0], &uid, &pid);
	cr_assert_eq(uid, UINT32_MAX);
	cr_assert_eq(pid, 0);

	/* Somebody of another container. */
	pid_t child = fork();
	if (child == 0)
		_exit(unshare(CLONE_NEWPID) != 0 ? 77 : look_from_another_namespace(pair[0]));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		cr_log_warn("no PID namespace of its own: not tested");
	else
		cr_assert_eq(WEXITSTATUS(status), 0);
	close(pair[0]);
	close(pair[1]);
	close(pipes[0]);
	close(pipes[1]);
}

Test(uring_ops, cancel)
{
	struct pair pair = unix_pair();
	struct sink sink = { 0 };
	struct probe accepting = { 0 }, polling = { 0 }, connecting = { 0 };
	struct sockaddr_storage address;
	int listener = listening(AF_UNIX), mute = listening(AF_INET);
	/* Drops every packet: the connect to it never ends. */
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { 1, &drop };

	cr_assert_eq(setsockopt(mute, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0);
	socklen_t len = address_of(mute, &address);
	start_recv(&sink, pair.here);
	start_accept(&accepting, listener);
	start_poll(&polling, pair.here, POLLIN);
	start_connect(&connecting, uring_tcp_socket(ring, AF_INET), &address, len);
	turn_for_nothing();
	cr_assert_eq(sink.ends + accepting.calls + polling.calls + connecting.calls, 0);

	uring_cancel(ring, &sink.op);
	uring_cancel(ring, &accepting.op);
	uring_cancel(ring, &polling.op);
	uring_cancel(ring, &connecting.op);
	uint64_t submitted = uring_stats(ring)->sqes;
	uring_cancel(ring, &sink.op); /* once is enough, twice does no harm */
	cr_assert_eq(uring_stats(ring)->sqes, submitted);
	TURN_UNTIL(sink.ends + accepting.calls + polling.calls + connecting.calls == 4);
	cr_assert_eq(sink.end, -ECANCELED);
	cr_assert_eq(accepting.res, -ECANCELED);
	cr_assert_eq(polling.res, -ECANCELED);
	cr_assert_eq(connecting.res, -ECANCELED);
	turn_for_nothing();
	cr_assert_eq(sink.ends + accepting.calls + polling.calls + connecting.calls, 4);

	/* What the cancelled ones left is there for the next ones, in the same operations. */
	client_of(listener);
	put(pair.there, "x", 1);
	sink.ends = 0;
	start_recv(&sink, pair.here);
	start_accept(&accepting, listener);
	TURN_UNTIL(sink.len == 1 && accepting.calls == 2);
	cr_assert_geq(accepting.res, 0);
	cr_assert(sink.op.in_flight);
}

Test(uring_ops, cancel_before_it_was_submitted)
{
	struct pair pair = unix_pair();
	struct sink sink = { 0 };

	start_recv(&sink, pair.here);
	uring_cancel(ring, &sink.op);
	TURN_UNTIL(sink.ends > 0);
	cr_assert_eq(sink.end, -ECANCELED);
}

Test(uring_ops, cancel_meets_the_end)
{
	struct pair pair = unix_pair();
	struct sink sink = { 0 };

	start_recv(&sink, pair.here);
	turn_for_nothing();
	put(pair.there, "x", 1);
	close(pair.there);
	uring_cancel(ring, &sink.op);
	TURN_UNTIL(sink.ends > 0);
	cr_assert(sink.end == -ECANCELED || sink.end == 0, "%d", sink.end);
	turn_for_nothing();
	cr_assert_eq(sink.ends, 1);
}

/* With too few buffers, so that the cancel comes while the engine itself is about to start the
 * receive again. */
Test(uring_ops, cancel_from_a_callback)
{
	enum {
		SOCKETS = 60
	};
	static struct sink sinks[SOCKETS];
	int ended = 0;

	make(64, 2, 64);
	for (int i = 0; i < SOCKETS; i++) {
		struct pair pair = unix_pair();
		char bytes[200] = "";

		sinks[i].cancel_at_data = i % 3 != 0;
		sinks[i].cancel_too = &sinks[(i + 1) % SOCKETS].op;
		start_recv(&sinks[i], pair.here);
		put(pair.there, bytes, sizeof bytes);
	}
	while (ended < SOCKETS) {
		turn(MS);
		ended = 0;
		for (int i = 0; i < SOCKETS; i++)
			ended += sinks[i].ends;
		for (int i = 0; i < SOCKETS; i++) {
			cr_assert_leq(sinks[i].ends, 1);
			cr_assert_eq(sinks[i].op.in_flight, sinks[i].ends == 0);
		}
		/* One whose canceller was itself cancelled before it had data, and that has taken
		 * all of its own. */
		for (int i = 0; i < SOCKETS; i++)
			if (sinks[i].op.in_flight && sinks[i].len == 200)
				uring_cancel(ring, &sinks[i].op);
	}
	turn_for_nothing();
	for (int i = 0; i < SOCKETS; i++) {
		cr_assert_eq(sinks[i].ends, 1);
		cr_assert_eq(sinks[i].end, -ECANCELED);
	}
}

/* --- many --- */

Test(uring_ops, more_operations_than_entries)
{
	enum {
		PAIRS = 100
	};
	static struct send_probe sends[MANY];
	static struct sink sinks[PAIRS];
	static struct pair pairs[PAIRS];
	static uint32_t numbers[MANY];

	make(64, 512, 4096);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = unix_pair();
		start_recv(&sinks[i], pairs[i].there);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		numbers[i] = i;
		start_send(&sends[i], pairs[i % PAIRS].here, &numbers[i], sizeof numbers[i]);
	}
	turn(0);
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(sends[i].calls, 1);
		cr_assert_eq(sends[i].res, 4);
	}
	for (uint32_t i = 0; i < PAIRS; i++) {
		TURN_UNTIL(sinks[i].len == MANY / PAIRS * 4);
		for (uint32_t k = 0; k < MANY / PAIRS; k++) {
			uint32_t number;
			memcpy(&number, sinks[i].bytes + (size_t)k * 4, 4);
			cr_assert_eq(number, i + k * PAIRS, "in the order of the sends");
		}
	}
	cr_assert_eq(uring_stats(ring)->entries, 64);
}

Test(uring_ops, overflow_loses_nothing)
{
	static struct probe polls[MANY];
	static struct send_probe sends[MANY];
	struct pair ready = unix_pair(), broken = unix_pair();
	int called = 0;

	make(64, 8, 64);
	close(broken.there);
	put(ready.there, "x", 1);
	for (int i = 0; i < MANY; i++) {
		start_poll(&polls[i], ready.here, POLLIN);
		start_send(&sends[i], broken.here, "y", 1);
	}
	turn(0);
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(sends[i].calls, 1);
		cr_assert_eq(sends[i].res, -EPIPE, "also one whose completion did not fit");
	}
	while (called < MANY) {
		turn(MS);
		called = 0;
		for (int i = 0; i < MANY; i++)
			called += polls[i].calls;
	}
	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(polls[i].calls, 1);
		cr_assert(polls[i].res & POLLIN);
	}
	cr_assert_gt(uring_stats(ring)->overflows, 0);
	cr_assert_eq(uring_stats(ring)->short_sends, MANY);
}

/* Each callback asks for the next one: from inside the turn, with few entries. */
static void
send_again(struct uring_op *op, int res, const uint8_t *data)
{
	struct send_probe *probe = uring_container_of(op, struct send_probe, send.op);

	(void)data;
	cr_assert_eq(res, 1);
	if (++probe->calls < 20)
		uring_send(ring, &probe->send, op->fd, "x", 1);
}

Test(uring_ops, callbacks_ask_for_more)
{
	enum {
		PAIRS = 100
	};
	static struct send_probe sends[PAIRS];
	struct pair pairs[PAIRS];
	char got[64];

	make(64, 8, 64);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = unix_pair();
		sends[i].send.op.done = send_again;
		uring_send(ring, &sends[i].send, pairs[i].here, "x", 1);
	}
	for (int round = 1; round <= 20; round++) {
		turn(0);
		for (int i = 0; i < PAIRS; i++)
			cr_assert_eq(sends[i].calls, round, "one settling a turn");
	}
	for (int i = 0; i < PAIRS; i++)
		cr_assert_eq(read(pairs[i].there, got, sizeof got), 20);
}

/* --- timers, statistics, the ring itself --- */

struct alarm {
	struct uring_timer timer;
	char letter;
	uint64_t again;
};

static void
on_alarm(struct uring_timer *timer)
{
	struct alarm *alarm = uring_container_of(timer, struct alarm, timer);

	cr_assert_not(uring_timer_armed(timer));
	cr_assert_geq(uring_now(ring), timer->at, "never early");
	leave(alarm->letter);
	if (alarm->again > 0)
		uring_timer_set(ring, timer, uring_now(ring) + alarm->again);
	alarm->again = 0;
}

Test(uring_ops, timers_wake_the_ring_in_order)
{
	struct alarm a = { { .due = on_alarm }, 'a', 0 }, b = { { .due = on_alarm }, 'b', 0 };
	struct alarm c = { { .due = on_alarm }, 'c', 0 }, never = { { .due = on_alarm }, 'n', 0 };

	turn(0);
	uint64_t now = uring_now(ring);
	uring_timer_set(ring, &c.timer, now + 30 * (uint64_t)MS);
	uring_timer_set(ring, &a.timer, now + 90 * (uint64_t)MS);
	uring_timer_set(ring, &never.timer, now + 15 * (uint64_t)MS);
	uring_timer_set(ring, &b.timer, now + 15 * (uint64_t)MS);
	uring_timer_set(ring, &a.timer, now + MS);
	uring_timer_clear(ring, &never.timer);
	cr_assert_not(uring_timer_armed(&never.timer));
	a.again = 1;
	b.again = 1000 * (uint64_t)MS;
	while (strchr(journal, 'c') == NULL)
		cr_assert_eq(uring_turn(ring), 0);
	cr_assert_null(strchr(journal, 'n'));
	cr_assert_eq(journal[0], 'a');
	cr_assert_lt(strchr(journal, 'b'), strchr(journal, 'c'));
	cr_assert(uring_timer_armed(&b.timer) || strchr(strchr(journal, 'b') + 1, 'b') != NULL);
	cr_assert_geq(uring_now(ring), now + 30 * (uint64_t)MS);
}

/* Also when the ring turns for other reasons all the time; on_alarm looks at the clock. */
Test(uring_ops, timers_are_never_early)
{
	struct alarm alarm = { { .due = on_alarm }, 'a', 20 * (uint64_t)MS };

	turn(0);
	uring_timer_set(ring, &alarm.timer, uring_now(ring) + 20 * (uint64_t)MS);
	TURN_UNTIL(strcmp(journal, "aa") == 0);
}

Test(uring_ops, timers_come_after_all_else)
{
	struct pair pair = unix_pair();
	struct send_probe probe = { .letter = 's' };
	struct sink sink = { 0 };
	struct alarm alarm = { { .due = on_alarm }, 't', 0 };

	start_recv(&sink, pair.there);
	turn_for_nothing();
	uring_timer_set(ring, &alarm.timer, uring_now(ring));
	put(pair.here, "x", 1);
	start_send(&probe, pair.here, "y", 1);
	cr_assert_eq(uring_turn(ring), 0);
	cr_assert_eq(journal[0], 's');
	cr_assert_eq(journal[strlen(journal) - 1], 't');
	TURN_UNTIL(sink.len == 2);
}

Test(uring_ops, stats_count)
{
	struct pair pair = unix_pair();
	struct send_probe probe = { 0 };
	struct sink sink = { 0 };
	struct uring_stats before = *uring_stats(ring);

	cr_assert_eq(before.entries, 1024);
	start_recv(&sink, pair.here);
	start_send(&probe, pair.here, "x", 1);
	turn(0);
	turn(0);
	const struct uring_stats *after = uring_stats(ring);
	cr_assert_eq(after->turns, before.turns + 2);
	cr_assert_geq(after->enters, before.enters + 2);
	cr_assert_eq(after->sqes, before.sqes + 2);
	cr_assert_eq(after->sends, before.sends + 1);
	cr_assert_eq(after->short_sends + after->no_buffers + after->overflows, 0);
}

Test(uring_ops, the_end_leaves_no_descriptor)
{
	struct pair pair = unix_pair();
	struct sink sink = { 0 };
	int before = count_fds();

	start_recv(&sink, pair.here);
	turn_for_nothing();
	uring_free(ring);
	ring = NULL;
	cr_assert_eq(count_fds(), before - 1);
	cr_assert_eq(sink.ends, 0);

	struct uring_options options = { .entries = 0, .buffers = 8, .buffer_size = 64 };
	cr_assert_eq(uring_new(&ring, &options), -EINVAL);
	cr_assert_null(ring);
	cr_assert_eq(count_fds(), before - 1);
}

/* --- restrictions --- */

/* What the kernel answers to an entry that the engine never makes. */
static int
answer_to(struct io_uring *raw)
{
	struct io_uring_cqe *cqe = NULL;

	cr_assert_eq(io_uring_submit(raw), 1);
	cr_assert_eq(io_uring_wait_cqe(raw, &cqe), 0);
	int res = cqe->res;
	io_uring_cqe_seen(raw, cqe);
	return res;
}

Test(uring_ops, nothing_else_goes_through_the_ring)
{
	struct io_uring *raw = (void *)ring;
	struct open_how how = { .flags = O_RDONLY };

	io_uring_prep_openat(io_uring_get_sqe(raw), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	cr_assert_eq(answer_to(raw), -EACCES);
	io_uring_prep_openat2(io_uring_get_sqe(raw), AT_FDCWD, "/etc/passwd", &how);
	cr_assert_eq(answer_to(raw), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(raw), AF_INET, SOCK_STREAM, 0, 0);
	cr_assert_eq(answer_to(raw), -EACCES);
	io_uring_prep_unlink(io_uring_get_sqe(raw), "/nowhere", 0);
	cr_assert_eq(answer_to(raw), -EACCES);
	io_uring_prep_nop(io_uring_get_sqe(raw));
	cr_assert_eq(answer_to(raw), -EACCES);
	struct io_uring_sqe *sqe = io_uring_get_sqe(raw);
	io_uring_prep_poll_add(sqe, 0, POLLIN);
	sqe->flags |= IOSQE_ASYNC;
	cr_assert_eq(answer_to(raw), -EACCES, "nor with flags that are not used");
	cr_assert_lt(io_uring_register_eventfd(raw, 0), 0);
	cr_assert_lt(io_uring_register_files(raw, (int[]){ 0 }, 1), 0);
}
