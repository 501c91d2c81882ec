/*
 * enc.c - `enc:<n>:<hex>` frames made from plaintext, and plaintext made from frames.
 *
 * Works straight between the input and the room claimed in the output, a small batch of blocks at a
 * time; the batch on the stack only ever holds ciphertext, except for one padded or cut block at
 * the end of a message.  Never looks into the plaintext, and owns nothing.
 */
#include "wire/enc.h"

#define BLOCK_DIGITS ((size_t)2 * IDEA_BLOCK_SIZE)
#define BATCH        32
#define PREFIX       "enc:"
#define PREFIX_LEN   (sizeof PREFIX - 1)

/* A frame taken apart: the length it claims (as much of it as size_t holds) and its digits. */
struct frame {
	size_t claimed;
	struct wire_span hex;
};

/* The value of a hex digit plus one; 0 for every other byte. */
static const uint8_t hex_values[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static uint8_t
hex_nibble(uint8_t digit)
{
	return (uint8_t)(hex_values[digit] - 1);
}

static uint8_t *
hex_put(uint8_t *to, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*to++ = (uint8_t)digits[bytes[i] >> 4];
		*to++ = (uint8_t)digits[bytes[i] & 0xf];
	}
	return to;
}

/* `n` digits, already checked; an odd last one is a high nibble whose low one is zero. */
static void
hex_get(uint8_t *bytes, const uint8_t *digits, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		*bytes++ = (uint8_t)(hex_nibble(digits[i]) << 4 | hex_nibble(digits[i + 1]));
	if (n % 2 != 0)
		*bytes = (uint8_t)(hex_nibble(digits[n - 1]) << 4);
}

static size_t
decimal_len(size_t n)
{
	size_t len = 1;

	for (; n >= 10; n /= 10)
		len++;
	return len;
}

static uint8_t *
decimal_put(uint8_t *to, size_t n)
{
	uint8_t *end = to + decimal_len(n);

	for (uint8_t *at = end; at > to; n /= 10)
		*--at = (uint8_t)('0' + n % 10);
	return end;
}

size_t
enc_frame_size(size_t n)
{
	size_t blocks = n / IDEA_BLOCK_SIZE + 1;
	size_t fixed = PREFIX_LEN + decimal_len(n) + 1;

	/* What no memory could hold must not wrap around to something small. */
	if (blocks > (SIZE_MAX - fixed) / BLOCK_DIGITS)
		return SIZE_MAX;
	return fixed + blocks * BLOCK_DIGITS;
}

void
enc_encode(struct wire_out *out, const struct idea_key *key, struct wire_span plain)
{
	uint8_t batch[BATCH * IDEA_BLOCK_SIZE];
	uint8_t *to = wire_out_room(out, enc_frame_size(plain.len));
	if (to == NULL)
		return;

	memcpy(to, PREFIX, PREFIX_LEN);
	to = decimal_put(to + PREFIX_LEN, plain.len);
	*to++ = ':';

	const uint8_t *from = plain.data;
	size_t whole = plain.len / IDEA_BLOCK_SIZE;
	while (whole > 0) {
		size_t now = whole < BATCH ? whole : BATCH;
		idea_encrypt(key, batch, from, now);
		to = hex_put(to, batch, now * IDEA_BLOCK_SIZE);
		from += now * IDEA_BLOCK_SIZE;
		whole -= now;
	}

	size_t rest = plain.len % IDEA_BLOCK_SIZE;
	memset(batch, ' ', IDEA_BLOCK_SIZE);
	if (rest > 0)
		memcpy(batch, from, rest);
	idea_encrypt(key, batch, batch, 1);
	hex_put(to, batch, IDEA_BLOCK_SIZE);
}

static bool
frame_parse(struct frame *frame, struct wire_span line)
{
	if (!wire_span_starts(line, wire_span(PREFIX, PREFIX_LEN)))
		return false;

	const uint8_t *at = line.data + PREFIX_LEN;
	const uint8_t *end = line.data + line.len;
	const uint8_t *digits = at;
	size_t claimed = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		size_t digit = (size_t)(*at - '0');
		claimed = claimed > (SIZE_MAX - digit) / 10 ? SIZE_MAX : claimed * 10 + digit;
	}
	if (at == digits || at == end || *at++ != ':')
		return false;

	const uint8_t *hex = at;
	while (at < end && hex_values[*at] != 0)
		at++;
	*frame = (struct frame){ claimed, wire_span(hex, (size_t)(at - hex)) };
	return at == end || *at == ':';
}

/* Bytes that the digits amount to; a last group that is short counts as a whole block. */
static size_t
frame_bytes(const struct frame *frame)
{
	size_t groups = frame->hex.len / BLOCK_DIGITS + (frame->hex.len % BLOCK_DIGITS != 0);

	return groups * IDEA_BLOCK_SIZE;
}

bool
enc_is_frame(struct wire_span line)
{
	struct frame frame;

	return frame_parse(&frame, line);
}

size_t
enc_decoded_bound(struct wire_span line)
{
	return (line.len / BLOCK_DIGITS + 1) * IDEA_BLOCK_SIZE;
}

/* The last block of a message: its digits may be short, and only `n` of its bytes are wanted. */
static void
decode_last(uint8_t *to, const struct idea_key *key, struct wire_span hex, size_t n)
{
	uint8_t block[IDEA_BLOCK_SIZE] = { 0 };

	hex_get(block, hex.data, hex.len < BLOCK_DIGITS ? hex.len : BLOCK_DIGITS);
	idea_decrypt(key, block, block, 1);
	memcpy(to, block, n);
}

enum wire_status
enc_decode(struct wire_out *out, const struct idea_key *key, struct wire_span line)
{
	uint8_t batch[BATCH * IDEA_BLOCK_SIZE];
	struct frame frame;
	if (!frame_parse(&frame, line))
		return WIRE_BAD_FORM;

	size_t there = frame_bytes(&frame);
	size_t wanted = frame.claimed < there ? frame.claimed : there;
	uint8_t *to = wire_out_room(out, wanted);
	if (to == NULL)
		return WIRE_BAD_LONG;

	/* A block is whole if all its digits came and all its bytes are wanted. */
	struct wire_span hex = frame.hex;
	size_t whole = hex.len / BLOCK_DIGITS;
	if (whole > wanted / IDEA_BLOCK_SIZE)
		whole = wanted / IDEA_BLOCK_SIZE;
	size_t rest = wanted - whole * IDEA_BLOCK_SIZE;
	while (whole > 0) {
		size_t now = whole < BATCH ? whole : BATCH;
		hex_get(batch, hex.data, now * BLOCK_DIGITS);
		idea_decrypt(key, to, batch, now);
		hex = wire_span(hex.data + now * BLOCK_DIGITS, hex.len - now * BLOCK_DIGITS);
		to += now * IDEA_BLOCK_SIZE;
		whole -= now;
	}
	if (rest > 0)
		decode_last(to, key, hex, rest);
	return WIRE_OK;
}
