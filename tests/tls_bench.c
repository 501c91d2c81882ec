/*
 * tls_bench.c - tls-bench: what TLS costs one core, with the code of links and gateways and nothing
 * else: handshakes per second of either side, in full and resumed, and nanoseconds to seal and to
 * open a request of 32 bytes, a reply of 64 and a whole record.
 *
 *   tls-bench [HANDSHAKES]
 *
 * Both sides are in one process, by turns; the clock is that of the processor time of the thread.
 * Certificates are of P-256 and signed by a ca without one between.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/number.h"
#include "tests/tls_stage.h"

#define HANDSHAKES_DEFAULT 1000
#define HANDSHAKES_MAX     1000000
#define RECORDS            20000

struct bench {
	struct tls_context *in;
	struct tls_context *out;
	struct memory memory;
	struct tls_session *client;
	struct tls_session *server;
	uint64_t client_ns; /* of its side so far */
	uint64_t server_ns;
};

static uint64_t
cpu_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void
set_up(struct bench *bench)
{
	struct tls_identity *ca = tls_identity_new(&(struct tls_wish){ 0 });
	struct tls_identity *own =
	    tls_identity_new(&(struct tls_wish){ .issuer = ca, .dns = "peer.example" });

	memory_init(&bench->memory, 64u << 20);
	bench->in = tls_stage_in(ca, own, "peer.example");
	bench->out = tls_stage_out(ca, own, "peer.example");
	tls_identity_free(own);
	tls_identity_free(ca);
}

/* The reader's part is the one that costs. */
static void
carry(struct bench *bench, bool to_server)
{
	uint64_t begin = cpu_ns();
	uint8_t room[1];
	size_t used = 0;

	if (to_server)
		tls_stage_carry(bench->client, bench->server, SIZE_MAX, room, sizeof room, &used);
	else
		tls_stage_carry(bench->server, bench->client, SIZE_MAX, room, sizeof room, &used);
	*(to_server ? &bench->server_ns : &bench->client_ns) += cpu_ns() - begin;
}

static void
shake(struct bench *bench, bool resumed)
{
	uint64_t begin = cpu_ns();

	bench->client = tls_session_new(bench->out, &bench->memory, TLS_STAGE_NOW);
	bench->client_ns += cpu_ns() - begin;
	begin = cpu_ns();
	bench->server = tls_session_new(bench->in, &bench->memory, TLS_STAGE_NOW);
	bench->server_ns += cpu_ns() - begin;
	if (bench->client == NULL || bench->server == NULL)
		errx(1, "no memory");
	carry(bench, true);
	carry(bench, false);
	carry(bench, true);
	/* With the first word of the server come the tickets. */
	if (!tls_write(bench->server, "x", 1))
		errx(1, "handshake: %s", tls_detail(bench->server));
	carry(bench, false);
	if (tls_state(bench->client) != TLS_READY || tls_resumed(bench->client) != resumed)
		errx(1, "the handshake is not the one that was to be measured");
}

static void
hang_up(struct bench *bench)
{
	tls_session_free(bench->client);
	tls_session_free(bench->server);
}

static void
measure_handshakes(struct bench *bench, unsigned count, bool resumed)
{
	const struct tls_ticket_key key = { .name = { 1 }, .mac = { 2 }, .aes = { 3 } };

	/* Tickets come in twos: with keys there is always one. */
	tls_context_set_ticket_keys(bench->in, &key, resumed ? 1 : 0);
	if (resumed) {
		shake(bench, false);
		hang_up(bench);
	}
	bench->client_ns = bench->server_ns = 0;
	for (unsigned i = 0; i < count; i++) {
		shake(bench, resumed);
		hang_up(bench);
	}
	printf("%-10s client %8.0f/s  server %8.0f/s\n", resumed ? "resumed" : "in full",
	       count * 1e9 / (double)bench->client_ns, count * 1e9 / (double)bench->server_ns);
}

static void
measure_records(struct bench *bench, size_t len)
{
	static uint8_t bytes[TLS_RECORD_MAX];
	static uint8_t room[TLS_RECORD_MAX + 1];
	uint64_t seal_ns = 0;
	uint64_t open_ns = 0;

	for (int i = 0; i < RECORDS; i++) {
		size_t used = 0;
		uint64_t begin = cpu_ns();
		if (!tls_write(bench->client, bytes, len))
			errx(1, "write: %s", tls_detail(bench->client));
		uint64_t sealed = cpu_ns();
		tls_stage_carry(bench->client, bench->server, SIZE_MAX, room, sizeof room, &used);
		open_ns += cpu_ns() - sealed;
		seal_ns += sealed - begin;
		if (used != len || memcmp(room, bytes, len) != 0)
			errx(1, "what was read is not what was written");
	}
	printf("%5zu bytes seal %8.0f ns  open   %8.0f ns\n", len, (double)seal_ns / RECORDS,
	       (double)open_ns / RECORDS);
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	uint64_t count = HANDSHAKES_DEFAULT;

	if (argc > 2 ||
	    (argc == 2 && !number_parse(wire_span_str(argv[1]), HANDSHAKES_MAX, &count)) ||
	    count == 0)
		errx(64, "usage: tls-bench [HANDSHAKES]");
	if (!tls_prepare())
		errx(1, "no source of random numbers");
	set_up(&bench);
	measure_handshakes(&bench, (unsigned)count, false);
	measure_handshakes(&bench, (unsigned)count, true);
	shake(&bench, true);
	printf("%s\n", tls_cipher(bench.client));
	measure_records(&bench, 32);
	measure_records(&bench, 64);
	measure_records(&bench, TLS_RECORD_MAX);
	hang_up(&bench);
	tls_context_release(bench.in);
	tls_context_release(bench.out);
	return 0;
}
