/*
 * test_enc.c - encrypted frames: what the original put on the wire, malformed ones, every length,
 * every bound.
 *
 * The yardstick for ciphertext is libgcrypt, for hex and lengths the C library; neither is used by
 * the codec.  What depends on cipher or digits is done by every path that this processor has.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <gcrypt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/enc.h"
#include "wire/hex_path.h"
#include "wire/idea_path.h"
#include "wire/line.h"

#define PLAIN_MAX 2000
#define FRAME_MAX (2 * PLAIN_MAX + 64)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The keys of the vectors below. */
#define REMHUB3  "1e614b358c06748213adbe0fc7b96a28"
#define MSUL1    "6245172d5290271a0cde789bf0e1d3f4"
#define ODD_IDS  "9d9e0fa9f09d79fdfefb339fdfefb339"
#define H1       "11121a211121a211121a200000000000"
#define H1_LF    "11121a2a11121a2a11121a2a00000000"
#define LONG_IDS "a5e185e185e18587018232de732f2e11"
#define A_B      "ababab00000000000000000000000000"
#define A_B_LF   "abaabaaba00000000000000000000000"

static void
raw_key(uint8_t raw[static IDEA_KEY_SIZE], const char *hex)
{
	for (size_t i = 0; i < IDEA_KEY_SIZE; i++) {
		unsigned byte;
		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		raw[i] = (uint8_t)byte;
	}
}

static struct idea_key
key_of(const char *hex)
{
	uint8_t raw[IDEA_KEY_SIZE];
	struct idea_key key;

	raw_key(raw, hex);
	idea_key_init(&key, raw);
	return key;
}

/* splitmix64; the seed is fixed, so a failure repeats. */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Does the same by every path that works here, one and the same for cipher and digits. */
static void
on_every_path(void (*check)(void))
{
	for (size_t i = 0; idea_paths[i] != NULL; i++) {
		cr_assert_not_null(hex_paths[i]);
		cr_assert_str_eq(idea_paths[i]->name, hex_paths[i]->name);
		if (!idea_paths[i]->usable() || !hex_paths[i]->usable())
			continue;
		idea_path_use(idea_paths[i]);
		hex_path_use(hex_paths[i]);
		check();
	}
}

#define TEST_ON_EVERY_PATH(name)     \
	static void name(void);      \
	Test(enc, name)              \
	{                            \
		on_every_path(name); \
	}                            \
	static void name(void)

static void
assert_bytes(const struct wire_out *out, const void *want, size_t n, const char *what)
{
	cr_assert_not(out->overflow, "%s", what);
	cr_assert_eq(out->len, n, "%s: %zu bytes, not %zu", what, out->len, n);
	cr_assert_arr_eq(out->data, want, n, "%s", what);
}

/* Seen on the wire of the original, in both directions. */
static const struct {
	const char *key;
	const char *plain;
	size_t len;
	const char *frame;
} seen[] = {
	{ REMHUB3, "", 0, "enc:0:f7fb350e46d17c15" },
	{ REMHUB3, "a", 1, "enc:1:5c5c291e92f43a26" },
	{ REMHUB3, "echo:hi", 7, "enc:7:585fbd9a3489345d" },
	{ REMHUB3, "re:hi", 5, "enc:5:cd572ff22c91f1f4" },
	{ REMHUB3, "echo:sd", 7, "enc:7:57ae5e5ab92de024" },
	{ REMHUB3, "re:sd", 5, "enc:5:d74a12439e231f22" },
	{ REMHUB3, "12345678", 8, "enc:8:0cd9cadf1a84f65cf7fb350e46d17c15" },
	{ REMHUB3, "unknown_cmd", 11, "enc:11:e978f31c48581e1e534d77f09539280c" },
	{ REMHUB3, "ping ping ping!", 15, "enc:15:c2c39d0dcadede499ed2163973aa0801" },
	{ MSUL1, "get:msu:user:env\0x", 18,
	  "enc:18:b9be47b03ea2d8a744a5bf62569f8a0b131d54929f26cdb4" },
	{ MSUL1, "exactly 16 bytes", 16,
	  "enc:16:6fc77e55c5c00a1fb77dfaaf131cefff0574694e205a85aa" },
	{ ODD_IDS, "odd \xe9\xff", 6, "enc:6:0f9be99a498b9b2b" },
	{ H1, "short", 5, "enc:5:548d0a7b92fd3cfc" },
	{ H1_LF, "short", 5, "enc:5:f4f497027671aa0a" },
	{ LONG_IDS, "long ids", 8, "enc:8:ec4c26fbf903791958a8c6bff38759b1" },
	{ A_B, "x", 1, "enc:1:546f73bb1e306a24" },
	{ A_B_LF, "x", 1, "enc:1:568187e8e4cb1fe6" },
};

TEST_ON_EVERY_PATH(encodes_as_seen)
{
	for (size_t i = 0; i < COUNT(seen); i++) {
		struct idea_key key = key_of(seen[i].key);
		uint8_t room[FRAME_MAX];
		struct wire_out out = wire_out(room, sizeof room);

		enc_encode(&out, &key, wire_span(seen[i].plain, seen[i].len));
		assert_bytes(&out, seen[i].frame, strlen(seen[i].frame), seen[i].frame);
		cr_assert_eq(enc_frame_size(seen[i].len), strlen(seen[i].frame));
	}
}

TEST_ON_EVERY_PATH(decodes_as_seen)
{
	for (size_t i = 0; i < COUNT(seen); i++) {
		struct idea_key key = key_of(seen[i].key);
		uint8_t room[FRAME_MAX];
		struct wire_out out = wire_out(room, sizeof room);
		struct wire_span frame = wire_span_str(seen[i].frame);

		cr_assert(enc_is_frame(frame));
		cr_assert_eq(enc_decode(&out, &key, frame), WIRE_OK);
		assert_bytes(&out, seen[i].plain, seen[i].len, seen[i].frame);
		cr_assert_geq(enc_decoded_bound(frame), out.len);
	}
}

/* Odd replies and what the first key makes of them; NULL = not a frame, passes as it is. */
static const struct {
	const char *reply;
	const char *plain;
	size_t len;
} odd[] = {
	{ "enc:99999:00", "\x83\x43\x26\x5d\xec\x6f\x2c\x8d", 8 },
	{ "enc:3:0011223344556677:extra", "\xbf\x97\xf8", 3 },
	{ "enc:3:0011223344556677:", "\xbf\x97\xf8", 3 },
	{ "enc:3:0011223344556677:zz:", "\xbf\x97\xf8", 3 },
	{ "enc:7:0011223344556677", "\xbf\x97\xf8\x8f\x07\x8e\xc3", 7 },
	{ "enc:007:0011223344556677", "\xbf\x97\xf8\x8f\x07\x8e\xc3", 7 },
	{ "enc:5:3333", "\x84\x81\x48\x53\x35", 5 },
	{ "enc:5:", "", 0 },
	{ "enc:5::", "", 0 },
	{ "enc:0:", "", 0 },
	{ "enc:0:0011223344556677", "", 0 },
	{ "enc:7:585FBD9A3489345D", "echo:hi", 7 },
	{ "enc:7:585fBd9a3489345D", "echo:hi", 7 },
	{ "enc:99999999999999999999999999999999999999:cd572ff22c91f1f4", "re:hi   ", 8 },
	{ "enc:18446744073709551615:cd572ff22c91f1f4", "re:hi   ", 8 },
	{ "enc:18446744073709551616:cd572ff22c91f1f4", "re:hi   ", 8 },
	{ "enc:18446744073709551621:cd572ff22c91f1f4", "re:hi   ", 8 },
	{ "enc:5:zzzz", NULL, 0 },
	{ "enc:5:00zz", NULL, 0 },
	{ "enc:5:00 ", NULL, 0 },
	{ "enc:5:00\r", NULL, 0 },
	{ "enc::", NULL, 0 },
	{ "enc", NULL, 0 },
	{ "", NULL, 0 },
	{ "enc:", NULL, 0 },
	{ "enc:5", NULL, 0 },
	{ "enc:5x:0011223344556677", NULL, 0 },
	{ "enc:abc:0011223344556677", NULL, 0 },
	{ "enc:-1:0011223344556677", NULL, 0 },
	{ "enc:+1:0011223344556677", NULL, 0 },
	{ "enc: 1:0011223344556677", NULL, 0 },
	{ "enc:1 :0011223344556677", NULL, 0 },
	{ "enc::0011223344556677", NULL, 0 },
	{ "enclosed is fine", NULL, 0 },
	{ "ENC:7:585fbd9a3489345d", NULL, 0 },
	{ " enc:7:585fbd9a3489345d", NULL, 0 },
	{ "xenc:7:585fbd9a3489345d", NULL, 0 },
	{ "con_lost", NULL, 0 },
};

TEST_ON_EVERY_PATH(odd_replies)
{
	struct idea_key key = key_of(REMHUB3);

	for (size_t i = 0; i < COUNT(odd); i++) {
		uint8_t room[64];
		struct wire_out out = wire_out(room, sizeof room);
		struct wire_span reply = wire_span_str(odd[i].reply);
		enum wire_status want = odd[i].plain != NULL ? WIRE_OK : WIRE_BAD_FORM;

		cr_assert_eq(enc_is_frame(reply), want == WIRE_OK, "%s", odd[i].reply);
		cr_assert_eq(enc_decode(&out, &key, reply), want, "%s", odd[i].reply);
		assert_bytes(&out, want == WIRE_OK ? odd[i].plain : "", odd[i].len, odd[i].reply);
	}
}

/* Each byte value in the place of a length digit, of a hex digit, and of the second colon. */
TEST_ON_EVERY_PATH(every_byte_in_every_place)
{
	for (int c = 0; c < 256; c++) {
		uint8_t length[] = "enc:_:00", hex[] = "enc:1:0_", colon[] = "enc:1_00";
		bool digit = c >= '0' && c <= '9';
		bool hex_digit = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		length[4] = hex[7] = colon[5] = (uint8_t)c;
		cr_assert_eq(enc_is_frame(wire_span(length, 8)), digit, "%d", c);
		cr_assert_eq(enc_is_frame(wire_span(hex, 8)), hex_digit || c == ':', "%d", c);
		cr_assert_eq(enc_is_frame(wire_span(colon, 8)), c == ':', "%d", c);
	}
}

/*
 * Each byte value in the place of each digit of a frame: another digit, the end of the digits at a
 * colon, or no frame.
 */
TEST_ON_EVERY_PATH(every_byte_in_the_place_of_every_digit)
{
	struct idea_key key = key_of(MSUL1);
	uint8_t plain[60], room[FRAME_MAX], back[FRAME_MAX];
	struct wire_out out = wire_out(room, sizeof room);
	size_t head = strlen("enc:60:");

	memset(plain, 'p', sizeof plain);
	enc_encode(&out, &key, wire_span(plain, sizeof plain));
	for (size_t at = head; at < out.len; at++) {
		uint8_t digit = room[at];
		size_t before = (at - head + 15) / 16 * 8;
		for (int c = 0; c < 256; c++) {
			struct wire_out got = wire_out(back, sizeof back);
			bool frame = c == ':' || isxdigit(c);
			size_t want = c == ':' && before < 60 ? before : 60;

			room[at] = (uint8_t)c;
			cr_assert_eq(enc_is_frame(wire_span(room, out.len)), frame);
			cr_assert_eq(enc_decode(&got, &key, wire_span(room, out.len)),
				     frame ? WIRE_OK : WIRE_BAD_FORM);
			cr_assert_eq(got.len, frame ? want : 0, "%d at %zu", c, at);
			if (frame)
				cr_assert_arr_eq(back, plain, (at - head) / 16 * 8);
		}
		room[at] = digit;
	}
}

/* A frame cut short at any byte is either no frame or one of fewer digits, never anything else. */
TEST_ON_EVERY_PATH(every_truncation)
{
	static const char frame[] = "enc:16:6fc77e55c5c00a1fb77dfaaf131cefff0574694e205a85aa";
	struct idea_key key = key_of(MSUL1);

	for (size_t len = 0; len <= sizeof frame - 1; len++) {
		uint8_t room[64];
		struct wire_out out = wire_out(room, sizeof room);
		size_t digits = len < 7 ? 0 : len - 7;
		size_t there = (digits + 15) / 16 * 8;

		cr_assert_eq(enc_is_frame(wire_span(frame, len)), len >= 7, "%zu", len);
		if (len < 7) {
			cr_assert_eq(enc_decode(&out, &key, wire_span(frame, len)), WIRE_BAD_FORM);
			continue;
		}
		cr_assert_eq(enc_decode(&out, &key, wire_span(frame, len)), WIRE_OK);
		cr_assert_eq(out.len, there < 16 ? there : 16, "%zu", len);
		cr_assert_arr_eq(room, "exactly 16 bytes", digits / 16 < 2 ? digits / 16 * 8 : 16);
	}
}

/* A short last group means zeros: the same as the digits filled up by hand. */
TEST_ON_EVERY_PATH(short_last_group_is_zero_filled)
{
	struct idea_key key = key_of(MSUL1);

	for (size_t digits = 0; digits <= 48; digits++) {
		char brief[80], full[80];
		uint8_t got[64], want[64];
		struct wire_out got_out = wire_out(got, sizeof got);
		struct wire_out want_out = wire_out(want, sizeof want);
		size_t filled = (digits + 15) / 16 * 16;

		memcpy(brief, "enc:64:", 7);
		memset(brief + 7, 'a', digits);
		memcpy(full, brief, 7 + digits);
		memset(full + 7 + digits, '0', filled - digits);
		cr_assert_eq(enc_decode(&got_out, &key, wire_span(brief, 7 + digits)), WIRE_OK);
		cr_assert_eq(enc_decode(&want_out, &key, wire_span(full, 7 + filled)), WIRE_OK);
		cr_assert_eq(want_out.len, filled / 2);
		assert_bytes(&got_out, want, want_out.len, "short group");
	}
}

/* The frame made by libgcrypt and printf. */
static size_t
yardstick(char *frame, const uint8_t *raw, const uint8_t *plain, size_t n)
{
	uint8_t padded[PLAIN_MAX + IDEA_BLOCK_SIZE];
	size_t len = (n / 8 + 1) * 8;
	gcry_cipher_hd_t cipher;

	memset(padded, ' ', sizeof padded);
	memcpy(padded, plain, n);
	cr_assert_eq(gcry_cipher_open(&cipher, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0), 0);
	cr_assert_eq(gcry_cipher_setkey(cipher, raw, IDEA_KEY_SIZE), 0);
	cr_assert_eq(gcry_cipher_encrypt(cipher, padded, len, NULL, 0), 0);
	gcry_cipher_close(cipher);

	size_t at = (size_t)sprintf(frame, "enc:%zu:", n);
	for (size_t i = 0; i < len; i++)
		at += (size_t)sprintf(frame + at, "%02x", padded[i]);
	return at;
}

/* All lengths across the batch borders, into exactly their room; one byte less writes nothing. */
TEST_ON_EVERY_PATH(every_length_and_its_exact_room)
{
	uint8_t raw[IDEA_KEY_SIZE], plain[PLAIN_MAX];
	struct idea_key key = key_of(LONG_IDS);
	uint64_t seed = 4711;

	cr_assert_not_null(gcry_check_version(NULL));
	raw_key(raw, LONG_IDS);
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)random_next(&seed);
	for (size_t n = 0; n <= PLAIN_MAX; n++) {
		char want[FRAME_MAX];
		uint8_t room[FRAME_MAX], back[PLAIN_MAX + 1];
		size_t len = yardstick(want, raw, plain, n);

		cr_assert_eq(enc_frame_size(n), len);
		memset(room, 0xa5, sizeof room);
		struct wire_out out = wire_out(room, len - 1);
		enc_encode(&out, &key, wire_span(plain, n));
		cr_assert(out.overflow);
		cr_assert_eq(out.len, 0);
		cr_assert_eq(room[0], 0xa5);

		out = wire_out(room, len);
		enc_encode(&out, &key, wire_span(plain, n));
		assert_bytes(&out, want, len, "encoded");
		cr_assert_eq(room[len], 0xa5);

		struct wire_span frame = wire_span(room, len);
		memset(back, 0xa5, sizeof back);
		out = wire_out(back, n);
		cr_assert_geq(enc_decoded_bound(frame), n);
		cr_assert_eq(enc_decode(&out, &key, frame), WIRE_OK);
		assert_bytes(&out, plain, n, "decoded");
		cr_assert_eq(back[n], 0xa5);
		if (n == 0)
			continue;
		memset(back, 0xa5, sizeof back);
		out = wire_out(back, n - 1);
		cr_assert_eq(enc_decode(&out, &key, frame), WIRE_BAD_LONG);
		cr_assert_eq(out.len, 0);
		cr_assert_eq(back[0], 0xa5);
	}
}

/* n may claim anything up to what the digits amount to, in the middle of a batch and of a block. */
TEST_ON_EVERY_PATH(every_claimed_length)
{
	struct idea_key key = key_of(ODD_IDS);
	uint8_t plain[600], room[FRAME_MAX], line[FRAME_MAX];
	struct wire_out out = wire_out(room, sizeof room);

	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i * 7 + i / 256);
	enc_encode(&out, &key, wire_span(plain, sizeof plain));
	cr_assert_not(out.overflow);
	for (size_t n = 0; n <= 620; n++) {
		uint8_t back[620];
		int head = snprintf((char *)line, sizeof line, "enc:%zu:", n);
		size_t digits = out.len - strlen("enc:600:");
		memcpy(line + head, room + strlen("enc:600:"), digits);

		struct wire_out got = wire_out(back, sizeof back);
		cr_assert_eq(enc_decode(&got, &key, wire_span(line, (size_t)head + digits)),
			     WIRE_OK);
		cr_assert_eq(got.len, n < 608 ? n : 608);
		cr_assert_arr_eq(back, plain, n < 600 ? n : 600);
	}
}

Test(enc, sizes)
{
	cr_assert_eq(enc_frame_size(0), strlen("enc:0:") + 16);
	cr_assert_eq(enc_frame_size(7), strlen("enc:7:") + 16);
	cr_assert_eq(enc_frame_size(8), strlen("enc:8:") + 32);
	cr_assert_eq(enc_frame_size(16777216), strlen("enc:16777216:") + 2 * 16777216 + 16);
	/* The design's bound for an encrypted line. */
	cr_assert_leq(enc_frame_size(16777216), 2 * 16777216 + 64);
	cr_assert_eq(enc_frame_size(SIZE_MAX), SIZE_MAX, "no wrapping around");
	cr_assert_eq(enc_frame_size(SIZE_MAX / 2), SIZE_MAX);
}

TEST_ON_EVERY_PATH(appends_and_overflow_sticks)
{
	struct idea_key key = key_of(REMHUB3);
	uint8_t room[64];
	struct wire_out out = wire_out(room, sizeof room);

	wire_out_bytes(&out, "<", 1);
	enc_encode(&out, &key, wire_span_str("a"));
	wire_out_bytes(&out, ">", 1);
	cr_assert_eq(enc_decode(&out, &key, wire_span_str("enc:1:5c5c291e92f43a26")), WIRE_OK);
	assert_bytes(&out, "<enc:1:5c5c291e92f43a26>a", 25, "appended");

	enc_encode(&out, &key, wire_span_str("eight by and some more of it"));
	cr_assert(out.overflow);
	cr_assert_eq(out.len, 25);
	cr_assert_eq(enc_decode(&out, &key, wire_span_str("enc:0:")), WIRE_BAD_LONG);
	enc_encode(&out, &key, wire_span_str(""));
	cr_assert(out.overflow);
	cr_assert_eq(out.len, 25);
}

/* The frames of the table as one stream of lines, cut in two at `at`; returns how many came out. */
static size_t
stream_frames(const uint8_t *stream, size_t len, size_t at)
{
	const uint8_t *src = stream;
	size_t ends[] = { at, len };
	size_t count = 0, scanned = 0;

	for (size_t piece = 0; piece < 2; piece++) {
		const uint8_t *end = stream + ends[piece];
		struct wire_span line;
		while (line_next(&line, &src, end, scanned, FRAME_MAX) == WIRE_OK) {
			uint8_t room[64];
			struct wire_out out = wire_out(room, sizeof room);
			struct idea_key key = key_of(seen[count].key);
			cr_assert_eq(enc_decode(&out, &key, line), WIRE_OK);
			assert_bytes(&out, seen[count].plain, seen[count].len, seen[count].frame);
			count++;
			scanned = 0;
		}
		scanned = (size_t)(end - src);
	}
	cr_assert_eq(src, stream + len);
	return count;
}

TEST_ON_EVERY_PATH(frames_in_two_pieces_at_every_position)
{
	uint8_t stream[FRAME_MAX];
	struct wire_out out = wire_out(stream, sizeof stream);

	for (size_t i = 0; i < COUNT(seen); i++) {
		wire_out_bytes(&out, seen[i].frame, strlen(seen[i].frame));
		wire_out_bytes(&out, "\n", 1);
	}
	cr_assert_not(out.overflow);
	for (size_t at = 0; at <= out.len; at++)
		cr_assert_eq(stream_frames(stream, out.len, at), COUNT(seen), "%zu", at);
}
