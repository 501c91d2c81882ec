/*
 * test_link_tls.c - a worker whose links are inside TLS, on a ring in memory that reads and sends
 * short, is late and full: every request gets one line, its own reply or con_lost, and reaches at
 * most one link, whole or in part.
 *
 * The peers are small londs behind sessions of the gateway's kind, which break off now and then.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "relay/stats.h"
#include "relay/worker.h"
#include "tests/fake_channel.h"
#include "tests/tls_stage.h"
#include "wire/line.h"

#define CLIENTS  6
#define REQUESTS 12u /* of each client */
#define SEEDS    25u
#define TEXT_MAX 40000u
#define MS       1000000u

/* A string of bytes that grows; the tests' own. */
struct text {
	uint8_t *at;
	size_t len;
};

struct stage;

struct asker {
	struct stage *stage;
	struct fake_end *end;
	struct uring_timer timer;
	struct text in;
	struct text out;
	uint32_t number;
	uint32_t asked;
	uint32_t answered;
	uint32_t lost;
};

struct peer {
	LIST_ENTRY(peer) entry;
	struct stage *stage;
	struct fake_end *end;
	struct uring_timer timer;
	struct tls_session *tls;
	struct text in;
	struct text out; /* not yet sealed */
	uint32_t serial;
	uint32_t step;   /* of the handshake; 3 = serves */
	uint64_t breaks; /* after so many requests; UINT64_MAX = never */
};

struct stage {
	struct fake_random random;
	struct uring *ring;
	struct worker worker;
	struct worker_stats *stats;
	struct tls_context *in;
	struct memory memory; /* of the peers */
	bool steady;          /* no peer breaks off */
	int listener;
	LIST_HEAD(, peer) peers;
	uint32_t peers_count;
	struct asker askers[CLIENTS];
	uint32_t link_of[CLIENTS][REQUESTS]; /* that a request reached; 0 = none */
};

static void
append(struct text *text, const void *bytes, size_t len)
{
	text->at = realloc(text->at, text->len + len + 1);
	cr_assert_not_null(text->at);
	memcpy(text->at + text->len, bytes, len);
	text->len += len;
}

static void
drop(struct text *text, size_t len)
{
	memmove(text->at, text->at + len, text->len - len);
	text->len -= len;
}

static void
soon(struct stage *stage, struct uring_timer *timer)
{
	uint64_t at = uring_now(stage->ring) + fake_below(&stage->random, MS / 2);

	if (!uring_timer_armed(timer))
		fake_timer_set(stage->ring, timer, at);
}

/* "q3.7:" and letters: the same each time that it is asked for. */
static size_t
write_text(char kind, uint32_t client, uint32_t number, char *text)
{
	uint64_t mixed = fake_mix(client * 1000u + number + (kind == 'q' ? 0 : 500000u));
	size_t len = mixed % 8 == 0 ? mixed / 8 % TEXT_MAX : mixed / 8 % 600;
	int head = sprintf(text, "%c%u.%u:", kind, client, number);

	memset(text + head, 'a' + (int)(mixed % 26), len);
	return (size_t)head + len;
}

/* --- peers ------------------------------------------------------------------------------------ */

static void
end_peer(struct peer *peer, bool orderly)
{
	struct stage *stage = peer->stage;

	if (orderly) {
		tls_close(peer->tls);
		struct wire_span out = tls_output(peer->tls);
		if (out.len > 0)
			fake_write(peer->end, out.data, out.len);
		fake_close(peer->end);
	} else {
		fake_reset(peer->end);
	}
	fake_timer_clear(stage->ring, &peer->timer);
	LIST_REMOVE(peer, entry);
	tls_session_free(peer->tls);
	free(peer->in.at);
	free(peer->out.at);
	free(peer);
}

static void
note(struct peer *peer, const uint8_t *line, size_t len, bool whole)
{
	char expected[TEXT_MAX + 32];
	char head[32] = { 0 };
	unsigned client, number;

	memcpy(head, line, len < sizeof head - 1 ? len : sizeof head - 1);
	if (sscanf(head, "q%u.%u:", &client, &number) != 2) {
		cr_assert_not(whole);
		return;
	}
	cr_assert(client < CLIENTS && number < REQUESTS);
	uint32_t *link = &peer->stage->link_of[client][number];
	cr_assert(*link == 0, "request %u.%u reached link %u and link %u", client, number, *link,
		  peer->serial);
	if (!whole)
		return;
	*link = peer->serial;
	size_t wanted = write_text('q', client, number, expected);
	cr_assert(len == wanted && memcmp(line, expected, len) == 0, "request %u.%u was changed",
		  client, number);
	size_t reply = write_text('a', client, number, expected);
	expected[reply] = '\n';
	append(&peer->out, expected, reply + 1);
}

/* true = it has had enough. */
static bool
on_line(struct peer *peer, struct wire_span line)
{
	static const char *const says[] = { "1047923456:4711\n", "ok\n", "48213ADBE0FC7B96\n" };

	if (peer->step < 3) {
		append(&peer->out, says[peer->step], strlen(says[peer->step]));
		peer->step++;
		return false;
	}
	if (wire_span_equal(line, wire_span_str("exit"))) {
		append(&peer->out, "bye\n", 4);
		return false;
	}
	note(peer, line.data, line.len, true);
	return peer->breaks-- == 0;
}

static bool
take_lines(struct peer *peer)
{
	const uint8_t *src = peer->in.at;
	const uint8_t *end = src + peer->in.len;
	struct wire_span line;
	bool enough = false;

	while (!enough && src < end && line_next(&line, &src, end, 0, SIZE_MAX / 2) == WIRE_OK)
		enough = on_line(peer, line);
	drop(&peer->in, (size_t)(src - peer->in.at));
	return enough;
}

/* false = the relay is gone, or it has had enough. */
static bool
peer_reads(struct peer *peer)
{
	uint8_t bytes[5000];
	uint8_t plain[TLS_RECORD_MAX];
	ssize_t got;
	size_t read;

	while ((got = fake_read(peer->end, bytes, sizeof bytes)) > 0) {
		tls_receive(peer->tls, bytes, (size_t)got);
		while ((read = tls_read(peer->tls, plain, sizeof plain)) > 0)
			append(&peer->in, plain, read);
		if (peer->in.len > 0 && take_lines(peer))
			return false;
	}
	cr_assert_neq(tls_state(peer->tls), TLS_FAILED, "%s", tls_detail(peer->tls));
	return got == -EAGAIN && tls_state(peer->tls) != TLS_CLOSED;
}

static void
peer_writes(struct peer *peer)
{
	if (peer->out.len > 0 && tls_output(peer->tls).len == 0 &&
	    tls_state(peer->tls) == TLS_READY) {
		size_t len = (size_t)fake_between(&peer->stage->random, 1, peer->out.len);
		cr_assert(tls_write(peer->tls, peer->out.at, len));
		drop(&peer->out, len);
		soon(peer->stage, &peer->timer);
	}
	struct wire_span out = tls_output(peer->tls);
	ssize_t put = out.len > 0 ? fake_write(peer->end, out.data, out.len) : 0;
	if (put > 0)
		tls_sent(peer->tls, (size_t)put);
}

static void
on_peer_due(struct uring_timer *timer)
{
	struct peer *peer = uring_container_of(timer, struct peer, timer);
	bool stays = peer_reads(peer);

	/* A part of a request is this link's for ever, too. */
	if (!stays && peer->step == 3 && peer->in.len > 0)
		note(peer, peer->in.at, peer->in.len, false);
	if (stays)
		peer_writes(peer);
	else
		end_peer(peer, fake_chance(&peer->stage->random, 500));
}

static void
on_peer_changed(struct fake_end *end)
{
	struct peer *peer = fake_end_owner(end);

	soon(peer->stage, &peer->timer);
}

static void
on_connected(void *context, struct fake_end *end)
{
	struct stage *stage = context;
	struct peer *peer = calloc(1, sizeof *peer);

	cr_assert_not_null(peer);
	peer->stage = stage;
	peer->end = end;
	peer->serial = ++stage->peers_count;
	peer->breaks = UINT64_MAX;
	if (!stage->steady && fake_chance(&stage->random, 600) && stage->peers_count < 30)
		peer->breaks = fake_below(&stage->random, 12);
	peer->timer.due = on_peer_due;
	peer->tls = tls_session_new(stage->in, &stage->memory, TLS_STAGE_NOW);
	cr_assert_not_null(peer->tls);
	LIST_INSERT_HEAD(&stage->peers, peer, entry);
	fake_end_own(end, on_peer_changed, peer);
}

static void
on_connect(void *context, const struct sockaddr *address, struct fake_answer *answer)
{
	struct stage *stage = context;

	(void)address;
	*answer = (struct fake_answer){
		.delay_ns = fake_below(&stage->random, MS),
		.room = fake_chance(&stage->random, 300) ? 100 : 0,
		.connected = on_connected,
		.context = stage,
	};
}

/* --- clients ---------------------------------------------------------------------------------- */

static void
ask(struct asker *asker)
{
	char text[TEXT_MAX + 32];
	size_t len = write_text('q', asker->number, asker->asked++, text);

	text[len] = '\n';
	append(&asker->out, text, len + 1);
}

static void
check_reply(struct asker *asker, struct wire_span line)
{
	char expected[TEXT_MAX + 32];
	uint32_t number = asker->answered++;

	cr_assert_lt(number, asker->asked, "client %u: a line too many", asker->number);
	if (wire_span_equal(line, wire_span_str("con_lost"))) {
		asker->lost++;
		return;
	}
	size_t len = write_text('a', asker->number, number, expected);
	cr_assert(wire_span_equal(line, wire_span(expected, len)), "client %u: not its reply",
		  asker->number);
	cr_assert_neq(asker->stage->link_of[asker->number][number], 0);
}

static void
on_asker_due(struct uring_timer *timer)
{
	struct asker *asker = uring_container_of(timer, struct asker, timer);
	uint8_t bytes[4096];
	struct wire_span line;
	ssize_t got;

	while ((got = fake_read(asker->end, bytes, sizeof bytes)) > 0)
		append(&asker->in, bytes, (size_t)got);
	cr_assert_eq(got, -EAGAIN);
	const uint8_t *src = asker->in.at;
	const uint8_t *end = src + asker->in.len;
	while (src < end && line_next(&line, &src, end, 0, SIZE_MAX / 2) == WIRE_OK) {
		check_reply(asker, line);
		if (asker->asked < REQUESTS)
			ask(asker);
	}
	if (asker->in.len > 0)
		drop(&asker->in, (size_t)(src - asker->in.at));
	if (asker->out.len == 0)
		return;
	ssize_t put = fake_write(asker->end, asker->out.at, asker->out.len);
	cr_assert_geq(put, 0);
	drop(&asker->out, (size_t)put);
}

static void
on_asker_changed(struct fake_end *end)
{
	struct asker *asker = fake_end_owner(end);

	soon(asker->stage, &asker->timer);
}

/* --- the stage -------------------------------------------------------------------------------- */

static void
on_said(void *context, const struct channel_message *message)
{
	(void)context;
	(void)message;
}

/* As control would have given them. */
static void
give_credentials(struct stage *stage, const struct tls_identity *ca, const struct tls_identity *own)
{
	struct credentials *credentials = calloc(1, sizeof *credentials);
	const struct wire_span files[TLS_FILE_COUNT] = {
		[TLS_FILE_CA] = tls_identity_cert(ca),
		[TLS_FILE_CERT] = tls_identity_cert(own),
		[TLS_FILE_KEY] = tls_identity_key(own),
	};

	cr_assert_not_null(credentials);
	credentials->number = 1;
	credentials->memfd = memfd_create("credentials", MFD_CLOEXEC);
	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		credentials->lengths[i] = (uint32_t)files[i].len;
		cr_assert_eq(write(credentials->memfd, files[i].data, files[i].len),
			     (ssize_t)files[i].len);
	}
	LIST_INSERT_HEAD(&stage->worker.credentials, credentials, entry);
}

static struct channel_message
host_message(struct fake_random *random)
{
	struct channel_message message = { .type = CHANNEL_HOST_ADD };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(5663) };
	struct host_settings settings = {
		.links_max = 1 + (uint32_t)fake_below(random, 3),
		.pipeline = 1 + (uint32_t)fake_below(random, 8),
		.spread = 1,
		.clients_max = 100,
		.queue_max = 1000,
		.queue_bytes_max = 1u << 24,
		.line_max = 1u << 20,
		.connect_timeout_ms = 60000,
		.queue_timeout_ms = 60000,
		.reply_timeout_ms = 60000,
		.idle_timeout_ms = 60000,
		.down_grace_ms = 1000,
		.tls = HOST_TLS_REQUIRE,
		.tls_name = "peer.example",
	};

	memcpy(message.host.id, "remhub3", sizeof "remhub3");
	memcpy(message.host.local_id, "local", sizeof "local");
	message.host.addresses.count = 1;
	message.host.addresses.address[0].v4 = address;
	message.host.settings = settings;
	message.host.hold = HOST_HOLD_NONE;
	message.host.credentials = 1;
	return message;
}

static void
open_stage(struct stage *stage, uint64_t seed, bool steady, const struct tls_identity *ca,
	   const struct tls_identity *own)
{
	struct uring_options ring = { .entries = 64, .buffers = 16, .buffer_size = 512 };
	const struct worker_options worker = { .memory_max = 64u << 20,
					       .clients_max = 100,
					       .seed = seed };

	*stage = (struct stage){ .random = { .state = seed }, .steady = steady };
	const struct fake_options options = {
		.seed = seed,
		.room_min = 300,
		.room_max = 100000,
		.short_read = (unsigned)fake_below(&stage->random, 300),
		.short_send = (unsigned)fake_below(&stage->random, 300),
		.send_again = (unsigned)fake_below(&stage->random, 100),
		.no_buffers = (unsigned)fake_below(&stage->random, 30),
		.delay = 100,
		.delay_ns = MS,
		.late_cancel = 300,
		.connect = on_connect,
		.context = stage,
	};
	int fd = stats_create();
	stage->stats = stats_map(fd, true);
	close(fd);
	memory_init(&stage->memory, 64u << 20);
	LIST_INIT(&stage->peers);
	stage->ring = fake_new(&ring, &options);
	struct channel *control = fake_channel_new(stage->ring, on_said, stage);
	struct channel *keeper = fake_channel_new(stage->ring, on_said, stage);
	cr_assert_eq(
	    worker_init(&stage->worker, stage->ring, keeper, control, stage->stats, &worker), 0);
	stage->in = tls_stage_in(ca, own, "peer.example");
	give_credentials(stage, ca, own);
	struct channel_message message = host_message(&stage->random);
	stage->listener = fake_listener(stage->ring);
	fake_channel_say(control, &message, stage->listener);
}

static void
connect_askers(struct stage *stage)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct asker *asker = &stage->askers[i];
		asker->stage = stage;
		asker->number = i;
		asker->timer.due = on_asker_due;
		asker->end = fake_connect(stage->ring, stage->listener);
		cr_assert_not_null(asker->end);
		fake_end_own(asker->end, on_asker_changed, asker);
		ask(asker);
		soon(stage, &asker->timer);
	}
}

static bool
all_answered(const struct stage *stage)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (stage->askers[i].answered < REQUESTS)
			return false;
	}
	return true;
}

static void
close_stage(struct stage *stage)
{
	struct peer *peer;

	for (uint32_t i = 0; i < CLIENTS; i++) {
		fake_timer_clear(stage->ring, &stage->askers[i].timer);
		fake_close(stage->askers[i].end);
		free(stage->askers[i].in.at);
		free(stage->askers[i].out.at);
	}
	worker_stop(&stage->worker, 5000);
	for (int i = 0; i < 100000 && stage->worker.state != WORKER_STOPPED; i++)
		cr_assert_eq(worker_turn(&stage->worker), 0);
	cr_assert_eq(stage->worker.state, WORKER_STOPPED);
	cr_assert_eq(stage->worker.memory.used, 0);
	while ((peer = LIST_FIRST(&stage->peers)) != NULL)
		end_peer(peer, false);
	worker_fini(&stage->worker);
	fake_free(stage->ring);
	stats_unmap(stage->stats);
	tls_context_release(stage->in);
	cr_assert_eq(stage->memory.used, 0);
	memory_fini(&stage->memory);
}

struct outcome {
	uint32_t lost;
	uint64_t moved;
	uint64_t shorts;
};

static struct outcome
play(bool steady)
{
	static struct stage stage;
	const struct tls_wish forever = { .from = 1000000000, .until = 4000000000 };
	struct tls_identity *ca = tls_identity_new(&forever);
	struct tls_identity *own = tls_identity_new(&(struct tls_wish){
	    .issuer = ca, .dns = "peer.example", .from = forever.from, .until = forever.until });
	struct outcome outcome = { 0 };

	cr_assert(tls_prepare());
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		open_stage(&stage, seed, steady, ca, own);
		connect_askers(&stage);
		for (int i = 0; i < 1000000 && !all_answered(&stage); i++)
			cr_assert_eq(worker_turn(&stage.worker), 0, "seed %u", (unsigned)seed);
		cr_assert(all_answered(&stage), "seed %u: not all are answered", (unsigned)seed);
		for (uint32_t i = 0; i < CLIENTS; i++)
			outcome.lost += stage.askers[i].lost;
		outcome.moved += stats_get(&stage.stats->moved);
		outcome.shorts += fake_events(stage.ring, FAKE_SHORT_SEND);
		close_stage(&stage);
	}
	tls_identity_free(own);
	tls_identity_free(ca);
	return outcome;
}

Test(link_tls, every_request_gets_one_line_and_reaches_one_link)
{
	struct outcome outcome = play(false);

	/* It was no fair-weather run, and not all was lost. */
	cr_assert_gt(outcome.shorts, 100);
	cr_assert_gt(outcome.lost, SEEDS);
	cr_assert_lt(outcome.lost, SEEDS * CLIENTS * REQUESTS / 4);
	cr_assert_gt(outcome.moved, 0);
}

/* A peer may answer the first request of a piece while the socket has no room for its rest. */
Test(link_tls, a_peer_that_keeps_to_the_protocol_costs_nobody_a_reply)
{
	struct outcome outcome = play(true);

	cr_assert_gt(outcome.shorts, 100);
	cr_assert_eq(outcome.lost, 0, "%u requests were lost", outcome.lost);
}
