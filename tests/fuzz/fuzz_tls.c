/*
 * fuzz_tls.c - a session given anything at all, and two sessions with somebody between them who
 * cuts, drops, repeats and changes bytes.
 *
 * What is read is always the beginning of what was written at the other side, whatever happens in
 * between; output stays bounded; a session that failed says why and stays so.  Keys are random, and
 * so one input need not always take the same way.
 *
 * Input: a byte: bit 0 the role, bit 1 somebody between; then the stream, in pieces of the size of
 * the byte before it; or, between two, acts of three bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/tls_stage.h"

/* A flight of certificates, or what one act writes. */
#define OUTPUT_MAX (64u * 1024)
#define WRITE_MAX  20000u
#define HELD_MAX   (256u * 1024)
#define ACTS_MAX   64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_context *in;
static struct tls_context *out;
static struct memory memory;

/* One direction: who writes, who reads, and how much of the pattern either has done. */
struct way {
	struct tls_session *from;
	struct tls_session *to;
	uint64_t written;
	uint64_t read;
};

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t
pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 8));
}

static void
set_up(void)
{
	static struct tls_identity *ca;
	const struct tls_ticket_key key = { .name = { 1 }, .mac = { 2 }, .aes = { 3 } };

	if (ca != NULL)
		return;
	must(tls_prepare());
	memory_init(&memory, 16u << 20);
	ca = tls_identity_new(&(struct tls_wish){ 0 });
	struct tls_identity *own =
	    tls_identity_new(&(struct tls_wish){ .issuer = ca, .dns = "peer.example" });
	in = tls_stage_in(ca, own, "peer.example");
	out = tls_stage_out(ca, own, "peer.example");
	tls_context_set_ticket_keys(in, &key, 1);
	tls_identity_free(own);
}

static void
check(const struct tls_session *session)
{
	bool failed = tls_state(session) == TLS_FAILED;

	must(failed == (tls_failure(session) != TLS_OK));
	must(!failed || tls_detail(session)[0] != '\0');
	must(tls_output(session).len <= OUTPUT_MAX);
	must(memory.used <= HELD_MAX);
	if (tls_state(session) == TLS_READY)
		must(tls_peer_expiry(session) > 0 && tls_peer_name(session)[0] != '\0');
}

static void
receive(struct way *way, const uint8_t *bytes, size_t len)
{
	uint8_t room[TLS_RECORD_MAX];
	size_t got;

	tls_receive(way->to, bytes, len);
	while ((got = tls_read(way->to, room, sizeof room)) > 0) {
		must(way->read + got <= way->written);
		for (size_t i = 0; i < got; i++)
			must(room[i] == pattern(way->read + i));
		way->read += got;
	}
	check(way->to);
}

/* --- anything at all */

static void
give_stream(enum tls_role role, const uint8_t *data, size_t size)
{
	struct way way = { .to =
			       tls_session_new(role == TLS_IN ? in : out, &memory, TLS_STAGE_NOW) };
	size_t step = size == 0 ? 1 : (size_t)data[0] + 1;

	must(way.to != NULL);
	for (size_t at = size > 0; at < size; at += step)
		receive(&way, data + at, step < size - at ? step : size - at);
	tls_receive_end(way.to);
	must(tls_state(way.to) == TLS_FAILED);
	check(way.to);
	tls_session_free(way.to);
}

/* --- somebody between */

static void
write_some(struct way *way, size_t len)
{
	uint8_t bytes[WRITE_MAX];

	if (len == 0 || tls_output(way->from).len + len > OUTPUT_MAX / 2)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(way->written + i);
	if (tls_state(way->from) == TLS_READY && tls_write(way->from, bytes, len))
		way->written += len;
}

/* Some of what is on its way, changed at one place or not. */
static void
carry(struct way *way, size_t len, const uint8_t *change)
{
	struct wire_span sent = tls_output(way->from);
	uint8_t *copy;

	len = len < sent.len ? len : sent.len;
	if (len == 0 || (copy = malloc(len)) == NULL)
		return;
	memcpy(copy, sent.data, len);
	if (change != NULL)
		copy[change[1] * len / 256] ^= change[2];
	receive(way, copy, len);
	free(copy);
}

static void
act(struct way *way, const uint8_t bytes[3])
{
	size_t len = (size_t)(bytes[1] << 8 | bytes[2]);
	size_t there = tls_output(way->from).len;

	switch (bytes[0] >> 1 & 7) {
	case 0:
	case 1: /* all of it */
		carry(way, there, NULL);
		tls_sent(way->from, there);
		break;
	case 2: /* a part */
		len = len < there ? len : there;
		carry(way, len, NULL);
		tls_sent(way->from, len);
		break;
	case 3:
		carry(way, there, bytes);
		tls_sent(way->from, there);
		break;
	case 4: /* it will come again */
		carry(way, len, NULL);
		break;
	case 5: /* it will not come */
		tls_sent(way->from, len < there ? len : there);
		break;
	case 6:
		write_some(way, len % WRITE_MAX);
		break;
	case 7:
		receive(way, bytes, 3);
		break;
	}
	check(way->from);
}

static void
stand_between(const uint8_t *data, size_t size)
{
	struct tls_session *a = tls_session_new(out, &memory, TLS_STAGE_NOW);
	struct tls_session *b = tls_session_new(in, &memory, TLS_STAGE_NOW);
	struct way there = { .from = a, .to = b };
	struct way back = { .from = b, .to = a };

	must(a != NULL && b != NULL);
	for (size_t i = 0; i + 3 <= size && i < 3 * ACTS_MAX; i += 3)
		act(data[i] & 1 ? &back : &there, data + i);
	tls_session_free(a);
	tls_session_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	set_up();
	if (data[0] & 2)
		stand_between(data + 1, size - 1);
	else
		give_stream(data[0] & 1 ? TLS_IN : TLS_OUT, data + 1, size - 1);
	must(memory.used == 0);
	return 0;
}
