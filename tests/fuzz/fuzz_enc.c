/*
 * fuzz_enc.c - any bytes survive encoding and decoding, any line is a frame or is left alone, and
 * every path that this processor has says the same.
 *
 * Input: 16 bytes of key, then bytes that are first the plaintext, then a line as a peer might send
 * it, then the digits of a frame that is well-formed but for its claimed length.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/enc.h"
#include "wire/hex_path.h"
#include "wire/idea_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Memory of exactly this size, so that the sanitizer sees a byte too many. */
static uint8_t *
exactly(size_t size)
{
	uint8_t *memory = malloc(size > 0 ? size : 1);

	if (memory == NULL)
		exit(0);
	return memory;
}

static bool
is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The grammar as a machine of its own: e n c : digit+ : hex* ( end | : anything ). */
static bool
reference_is_frame(struct wire_span line)
{
	size_t at = 4, digits = 0;

	if (line.len < 4 || memcmp(line.data, "enc:", 4) != 0)
		return false;
	for (; at < line.len && line.data[at] >= '0' && line.data[at] <= '9'; at++)
		digits++;
	if (digits == 0 || at == line.len || line.data[at] != ':')
		return false;
	for (at++; at < line.len; at++)
		if (!is_hex(line.data[at]))
			return line.data[at] == ':';
	return true;
}

/* Makes path `i` of both lists the one in use, or says that it does not work here. */
static bool
enter_path(size_t i)
{
	must(hex_paths[i] != NULL);
	if (!idea_paths[i]->usable() || !hex_paths[i]->usable())
		return false;
	idea_path_use(idea_paths[i]);
	hex_path_use(hex_paths[i]);
	return true;
}

static void
leave_paths(void)
{
	idea_path_use(NULL);
	hex_path_use(NULL);
}

/* What the fastest path made of the plaintext, all others make of it. */
static void
check_encode_paths(const struct idea_key *key, struct wire_span plain, struct wire_span frame)
{
	uint8_t *room = exactly(frame.len);

	for (size_t i = 0; idea_paths[i] != NULL; i++) {
		struct wire_out out = wire_out(room, frame.len);
		if (!enter_path(i))
			continue;
		enc_encode(&out, key, plain);
		must(!out.overflow && wire_span_equal(wire_span(room, out.len), frame));
	}
	leave_paths();
	free(room);
}

static void
check_decode_paths(const struct idea_key *key, struct wire_span line, bool frame,
		   struct wire_span plain)
{
	uint8_t *room = exactly(plain.len);

	for (size_t i = 0; idea_paths[i] != NULL; i++) {
		struct wire_out out = wire_out(room, plain.len);
		if (!enter_path(i))
			continue;
		must(enc_is_frame(line) == frame);
		must(enc_decode(&out, key, line) == (frame ? WIRE_OK : WIRE_BAD_FORM));
		must(!out.overflow && wire_span_equal(wire_span(room, out.len), plain));
	}
	leave_paths();
	free(room);
}

/* Encodes into exactly enough room, then decodes into exactly enough room. */
static void
check_round_trip(const struct idea_key *key, struct wire_span plain)
{
	size_t size = enc_frame_size(plain.len);
	uint8_t *frame = exactly(size);
	uint8_t *back = exactly(plain.len);
	struct wire_out out = wire_out(frame, size);
	struct wire_out got = wire_out(back, plain.len);

	enc_encode(&out, key, plain);
	must(!out.overflow && out.len == size);
	must(enc_is_frame(wire_span(frame, size)));
	must(enc_decoded_bound(wire_span(frame, size)) >= plain.len);
	must(enc_decode(&got, key, wire_span(frame, size)) == WIRE_OK);
	must(wire_span_equal(wire_span(back, got.len), plain));
	check_encode_paths(key, plain, wire_span(frame, size));
	check_decode_paths(key, wire_span(frame, size), true, plain);

	struct wire_out small = wire_out(frame, size - 1);
	enc_encode(&small, key, plain);
	must(small.overflow && small.len == 0);
	free(back);
	free(frame);
}

static void
check_line(const struct idea_key *key, struct wire_span line)
{
	size_t bound = enc_decoded_bound(line);
	uint8_t *room = exactly(bound);
	struct wire_out out = wire_out(room, bound);
	bool frame = reference_is_frame(line);

	must(enc_is_frame(line) == frame);
	must(enc_decode(&out, key, line) == (frame ? WIRE_OK : WIRE_BAD_FORM));
	must(!out.overflow);
	must(frame || out.len == 0);
	check_decode_paths(key, line, frame, wire_span(room, out.len));
	if (out.len > 0) {
		uint8_t *smaller = exactly(out.len - 1);
		struct wire_out small = wire_out(smaller, out.len - 1);
		must(enc_decode(&small, key, line) == WIRE_BAD_LONG);
		must(small.overflow && small.len == 0);
		free(smaller);
	}
	free(room);
}

/* Digits from the input behind a claim of any size. */
static void
check_claim(const struct idea_key *key, struct wire_span bytes)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	static const char *const claims[] = { "0", "1",  "7",   "8",
					      "9", "63", "300", "99999999999999999999" };
	const char *claim = claims[bytes.len > 0 ? bytes.data[0] % 8 : 0];
	size_t head = 4 + strlen(claim) + 1;
	uint8_t *line = exactly(head + bytes.len);

	memcpy(line, "enc:", 4);
	memcpy(line + 4, claim, strlen(claim));
	line[head - 1] = ':';
	for (size_t i = 0; i < bytes.len; i++)
		line[head + i] = (uint8_t)digits[bytes.data[i] % 22];
	must(enc_is_frame(wire_span(line, head + bytes.len)));
	check_line(key, wire_span(line, head + bytes.len));
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < IDEA_KEY_SIZE)
		return 0;

	struct idea_key key;
	idea_key_init(&key, data);
	struct wire_span rest = wire_span(data + IDEA_KEY_SIZE, size - IDEA_KEY_SIZE);
	check_round_trip(&key, rest);
	check_line(&key, rest);
	check_claim(&key, rest);
	idea_key_wipe(&key);
	return 0;
}
