/*
 * load_request.c - every request is different, and the only right reply to it can be told from its
 * serial number.
 *
 *     fill:<reply bytes>:<16 digits of serial and seed><filler>   ->   <digits><filler><pattern of
 * both>
 *
 * So a reply that went to the wrong client, came twice, was cut or lost a buffer cannot pass. Keeps
 * no request: it is made again when its reply has come.
 */
#include "bench/load.h"

#include "bench/pattern.h"
#include "bench/resp.h"
#include "wire/enc.h"

#include <assert.h>
#include <endian.h>
#include <err.h>

void
load_request_init(struct load *load)
{
	const struct load_options *o = load->options;
	int n = snprintf(load->command, sizeof load->command, "fill:%lu:", o->reply_bytes);

	assert(n > 0 && (size_t)n < sizeof load->command);
	load->seed = pattern_mix(o->seed);
	load->command_len = (size_t)n;
	if (o->request_bytes < load->command_len + LOAD_TOKEN_LEN)
		errx(2, "--request-bytes: at least %zu are needed to make each request unique",
		     load->command_len + LOAD_TOKEN_LEN);
	if (o->reply_bytes < LOAD_TOKEN_LEN)
		errx(2, "--reply-bytes: at least %d are needed to tell replies apart",
		     LOAD_TOKEN_LEN);
}

/* A one-to-one function of the serial number: no two requests of a run share a token. */
static uint64_t
token(const struct load *load, uint64_t serial)
{
	return pattern_mix(serial + load->seed);
}

static bool
is_encrypted(const struct load *load, uint64_t serial)
{
	uint64_t percent = load->options->encrypt;

	return percent != 0 && pattern_mix(~token(load, serial)) % 100 < percent;
}

/* Eight hexadecimal digits, all at once: a nibble goes to each byte, the highest one first. */
static void
write_digits(uint8_t *to, uint32_t value)
{
	uint64_t x = value;

	x = (x << 16 | x) & 0x0000ffff0000ffffu;
	x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
	x = (x << 4 | x) & 0x0f0f0f0f0f0f0f0fu;
	/* 1 in the bytes of ten and more: their digits are letters. */
	uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
	x = htobe64(x + 0x3030303030303030u + letters * ('a' - '0' - 10));
	memcpy(to, &x, sizeof x);
}

/* Writes the part behind the command; `len` bytes. */
static void
write_head(const struct load *load, uint64_t serial, uint8_t *to, size_t len)
{
	uint64_t x = token(load, serial);

	write_digits(to, (uint32_t)(x >> 32));
	write_digits(to + 8, (uint32_t)x);
	pattern_fill(to + LOAD_TOKEN_LEN, len - LOAD_TOKEN_LEN, (size_t)(x % PATTERN_PERIOD));
}

static size_t
head_len(const struct load *load)
{
	return load->options->request_bytes - load->command_len;
}

static void
add_plain(const struct load *load, uint64_t serial, struct bytes *out)
{
	size_t len = head_len(load);

	uint8_t *at = bytes_room(out, load->command_len + len);

	memcpy(at, load->command, load->command_len);
	write_head(load, serial, at + load->command_len, len);
	bytes_grow(out, load->command_len + len);
}

static void
add_frame(const struct client *c, struct wire_span plain, struct bytes *out)
{
	size_t size = enc_frame_size(plain.len);
	struct wire_out frame = wire_out(bytes_room(out, size), size);

	enc_encode(&frame, &c->key, plain);
	assert(!frame.overflow);
	bytes_grow(out, frame.len);
}

void
load_request_add(struct load *load, const struct client *c, uint64_t serial, struct bytes *out)
{
	bool encrypted = is_encrypted(load, serial);

	if (load->options->protocol == PROTOCOL_REDIS) {
		bytes_clear(&load->framed, LOAD_LINE_MAX);
		add_plain(load, serial, &load->framed);
		resp_add_command(out, bytes_span(&load->framed));
		return;
	}
	if (encrypted && load->options->tcp) {
		bytes_clear(&load->plain, LOAD_LINE_MAX);
		add_plain(load, serial, &load->plain);
		add_frame(c, bytes_span(&load->plain), out);
	} else {
		if (encrypted)
			bytes_add_text(out, ENC_REQUEST_PREFIX);
		add_plain(load, serial, out);
	}
	*bytes_room(out, 1) = '\n';
	bytes_grow(out, 1);
}

struct wire_span
load_reply_expected(struct load *load, const struct client *c, uint64_t serial)
{
	size_t head = head_len(load), n = load->options->reply_bytes;
	bool framed = load->options->tcp && is_encrypted(load, serial);
	struct bytes *reply = framed ? &load->plain : &load->expected;

	/* The head stands in front of the reply, which begins with it. */
	bytes_clear(reply, 2 * LOAD_LINE_MAX);
	uint8_t *at = bytes_room(reply, head + n);
	write_head(load, serial, at, head);
	pattern_reply(at + head, n, wire_span(at, head));
	if (!framed)
		return wire_span(at + head, n);
	bytes_clear(&load->expected, 2 * LOAD_LINE_MAX);
	add_frame(c, wire_span(at + head, n), &load->expected);
	return bytes_span(&load->expected);
}
