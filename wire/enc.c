/*
 * enc.c - `enc:<n>:<hex>` frames made from plaintext, and plaintext made from frames.
 *
 * Works straight between the input and the room claimed in the output, a small batch of blocks at a
 * time; the batch on the stack only ever holds ciphertext, except for the last one of a message,
 * whose plaintext is padded or cut there.  Never looks into the plaintext, and owns nothing.
 */
#include "wire/enc.h"

#include "wire/hex.h"

#define BLOCK_DIGITS ((size_t)2 * IDEA_BLOCK_SIZE)
#define BATCH        32
#define BATCH_SIZE   ((size_t)BATCH * IDEA_BLOCK_SIZE)
#define PREFIX       "enc:"
#define PREFIX_LEN   (sizeof PREFIX - 1)

/* A frame taken apart: the length it claims (as much of it as size_t holds) and its digits. */
struct frame {
	size_t claimed;
	struct wire_span hex;
};

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

/* The last blocks of a message, 1 to BATCH: what is missing in the last one is spaces. */
static void
encode_last(uint8_t *to, const struct idea_key *key, const uint8_t *from, size_t n)
{
	uint8_t batch[BATCH_SIZE];
	size_t blocks = n / IDEA_BLOCK_SIZE + 1;

	memset(batch, ' ', sizeof batch);
	if (n > 0)
		memcpy(batch, from, n);
	idea_encrypt(key, batch, batch, idea_blocks_round(blocks));
	hex_put(to, batch, blocks * IDEA_BLOCK_SIZE);
}

void
enc_encode(struct wire_out *out, const struct idea_key *key, struct wire_span plain)
{
	uint8_t batch[BATCH_SIZE];
	uint8_t *to = wire_out_room(out, enc_frame_size(plain.len));
	if (to == NULL)
		return;

	memcpy(to, PREFIX, PREFIX_LEN);
	to = decimal_put(to + PREFIX_LEN, plain.len);
	*to++ = ':';

	const uint8_t *from = plain.data;
	size_t left = plain.len;
	for (; left >= BATCH_SIZE; left -= BATCH_SIZE, from += BATCH_SIZE, to += 2 * BATCH_SIZE) {
		idea_encrypt(key, batch, from, BATCH);
		hex_put(to, batch, BATCH_SIZE);
	}
	encode_last(to, key, from, left);
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

	frame->claimed = claimed;
	frame->hex = wire_span(at, hex_span(at, (size_t)(end - at)));
	at += frame->hex.len;
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

/*
 * The last blocks of a message, at most BATCH: the digits of the last one may be short, and only
 * `n` bytes of them all are wanted.
 */
static void
decode_last(uint8_t *to, const struct idea_key *key, struct wire_span hex, size_t n)
{
	uint8_t batch[BATCH_SIZE] = { 0 };
	size_t blocks = (n + IDEA_BLOCK_SIZE - 1) / IDEA_BLOCK_SIZE;
	size_t digits = blocks * BLOCK_DIGITS;

	hex_get(batch, hex.data, hex.len < digits ? hex.len : digits);
	idea_decrypt(key, batch, batch, idea_blocks_round(blocks));
	memcpy(to, batch, n);
}

enum wire_status
enc_decode(struct wire_out *out, const struct idea_key *key, struct wire_span line)
{
	uint8_t batch[BATCH_SIZE];
	struct frame frame;
	if (!frame_parse(&frame, line))
		return WIRE_BAD_FORM;

	size_t there = frame_bytes(&frame);
	size_t wanted = frame.claimed < there ? frame.claimed : there;
	uint8_t *to = wire_out_room(out, wanted);
	if (to == NULL)
		return WIRE_BAD_LONG;

	/* More is wanted after each of these batches, so all of its own digits are there. */
	struct wire_span hex = frame.hex;
	for (; wanted > BATCH_SIZE; wanted -= BATCH_SIZE, to += BATCH_SIZE) {
		hex_get(batch, hex.data, 2 * BATCH_SIZE);
		idea_decrypt(key, to, batch, BATCH);
		hex = wire_span(hex.data + 2 * BATCH_SIZE, hex.len - 2 * BATCH_SIZE);
	}
	if (wanted > 0)
		decode_last(to, key, hex, wanted);
	return WIRE_OK;
}
