/*
 * idea_bench.c - idea-bench: nanoseconds per encrypted line, for every path that this processor
 * has, in both directions, beside libgcrypt.
 *
 *   idea-bench [ROUNDS]
 *
 * A line is all that a frame takes: cipher, hex digits, lengths.  libgcrypt's is the cipher alone,
 * in one call per line.  The paths take turns, so that a machine that slows down slows all of them;
 * shown are the median of the rounds and the best one.  What is not equal on all paths and to
 * libgcrypt ends the program before anything is measured.
 */
#include <err.h>
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/clock.h"
#include "bench/number.h"
#include "wire/enc.h"
#include "wire/hex_path.h"
#include "wire/idea_path.h"

#define ROUNDS_DEFAULT 201
#define ROUNDS_MAX     10001
#define PLAIN_MAX      ((size_t)5000)
#define CIPHER_MAX     (PLAIN_MAX + IDEA_BLOCK_SIZE)
#define FRAME_MAX      (2 * CIPHER_MAX + 64)
#define CONTENDERS_MAX 8
#define SAMPLE_BYTES   ((size_t)10000) /* worked on between two looks at the clock, at least */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* 7 bytes are one block. */
static const size_t sizes[] = { 7, 100, 1000, PLAIN_MAX };
static const uint8_t raw_key[IDEA_KEY_SIZE] = { 0x1e, 0x61, 0x4b, 0x35, 0x8c, 0x06, 0x74, 0x82,
						0x13, 0xad, 0xbe, 0x0f, 0xc7, 0xb9, 0x6a, 0x28 };

/* One line in all its shapes, and where results go. */
struct line {
	size_t n;
	size_t cipher_len;
	size_t frame_len;
	struct idea_key key;
	gcry_cipher_hd_t gcrypt;
	uint8_t plain[CIPHER_MAX]; /* padded */
	uint8_t cipher[CIPHER_MAX];
	uint8_t frame[FRAME_MAX];
	uint8_t room[FRAME_MAX];
};

/* What is measured; NULL paths are those of libgcrypt. */
struct contender {
	const char *name;
	const struct idea_path *idea;
	const struct hex_path *hex;
	void (*work[2])(struct line *line); /* encode, decode */
	uint64_t samples_ps[2][ROUNDS_MAX];
};

static struct contender contenders[CONTENDERS_MAX];
static size_t contender_count;

static void
must(gcry_error_t error)
{
	if (error != 0)
		errx(1, "libgcrypt: %s", gcry_strerror(error));
}

static void
ours_encode(struct line *line)
{
	struct wire_out out = wire_out(line->room, sizeof line->room);

	enc_encode(&out, &line->key, wire_span(line->plain, line->n));
}

static void
ours_decode(struct line *line)
{
	struct wire_out out = wire_out(line->room, sizeof line->room);

	if (enc_decode(&out, &line->key, wire_span(line->frame, line->frame_len)) != WIRE_OK)
		errx(1, "a frame is not taken for one");
}

static void
gcrypt_encode(struct line *line)
{
	must(gcry_cipher_encrypt(line->gcrypt, line->room, line->cipher_len, line->plain,
				 line->cipher_len));
}

static void
gcrypt_decode(struct line *line)
{
	must(gcry_cipher_decrypt(line->gcrypt, line->room, line->cipher_len, line->cipher,
				 line->cipher_len));
}

static const struct hex_path *
hex_path_named(const char *name)
{
	for (const struct hex_path *const *at = hex_paths; *at != NULL; at++)
		if (strcmp((*at)->name, name) == 0 && (*at)->usable())
			return *at;
	return hex_path_used();
}

static struct contender *
contender_add(const char *name)
{
	if (contender_count == CONTENDERS_MAX)
		errx(1, "more paths than expected");

	struct contender *c = &contenders[contender_count++];
	c->name = name;
	return c;
}

static void
contenders_find(void)
{
	for (const struct idea_path *const *at = idea_paths; *at != NULL; at++) {
		if (!(*at)->usable()) {
			printf("%s: this processor has it not\n", (*at)->name);
			continue;
		}
		struct contender *c = contender_add((*at)->name);
		c->idea = *at;
		c->hex = hex_path_named(c->name);
		c->work[0] = ours_encode;
		c->work[1] = ours_decode;
	}
	struct contender *yardstick = contender_add("libgcrypt");
	yardstick->work[0] = gcrypt_encode;
	yardstick->work[1] = gcrypt_decode;
}

static void
contender_enter(const struct contender *c)
{
	if (c->idea != NULL) {
		idea_path_use(c->idea);
		hex_path_use(c->hex);
	}
}

static void
line_init(struct line *line, size_t n)
{
	line->n = n;
	line->cipher_len = (n / IDEA_BLOCK_SIZE + 1) * IDEA_BLOCK_SIZE;
	idea_key_init(&line->key, raw_key);
	must(gcry_cipher_open(&line->gcrypt, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0));
	must(gcry_cipher_setkey(line->gcrypt, raw_key, sizeof raw_key));
	memset(line->plain, ' ', sizeof line->plain);
	for (size_t i = 0; i < n; i++)
		line->plain[i] = (uint8_t)(i * 151 + i / 256 + 1);
	gcrypt_encode(line);
	memcpy(line->cipher, line->room, line->cipher_len);
	line->frame_len = (size_t)sprintf((char *)line->frame, "enc:%zu:", n);
	for (size_t i = 0; i < line->cipher_len; i++)
		line->frame_len +=
		    (size_t)sprintf((char *)line->frame + line->frame_len, "%02x", line->cipher[i]);
}

static void
line_fini(struct line *line)
{
	gcry_cipher_close(line->gcrypt);
	idea_key_wipe(&line->key);
}

/* Ours against the frame that libgcrypt and printf made. */
static void
contender_check(const struct contender *c, struct line *line)
{
	contender_enter(c);
	memset(line->room, 0, sizeof line->room);
	c->work[0](line);
	if (c->idea != NULL && memcmp(line->room, line->frame, line->frame_len) != 0)
		errx(1, "%s: another frame than libgcrypt's for %zu bytes", c->name, line->n);
	memset(line->room, 0, sizeof line->room);
	c->work[1](line);
	if (memcmp(line->room, line->plain, line->n) != 0)
		errx(1, "%s: %zu bytes are not decoded to what they were", c->name, line->n);
}

/* Picoseconds of one line. */
static uint64_t
sample_take(struct line *line, void (*work)(struct line *line))
{
	size_t lines = 0;
	uint64_t start = clock_now_ns();

	do {
		work(line);
		lines++;
	} while (lines * line->n < SAMPLE_BYTES);
	return (clock_now_ns() - start) * 1000 / lines;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
print_result(struct contender *c, size_t rounds)
{
	size_t middle = rounds / 2;

	printf("  %-10s", c->name);
	for (int direction = 0; direction < 2; direction++) {
		uint64_t *ps = c->samples_ps[direction];
		qsort(ps, rounds, sizeof *ps, compare);
		printf("  %9.1f %9.1f", (double)ps[middle] / 1000, (double)ps[0] / 1000);
	}
	printf("%s\n", c->idea == NULL ? "  (no hex)" : "");
}

static void
measure(size_t n, size_t rounds)
{
	static struct line line;

	line_init(&line, n);
	for (size_t i = 0; i < contender_count; i++)
		contender_check(&contenders[i], &line);
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < contender_count; i++) {
			struct contender *c = &contenders[i];
			contender_enter(c);
			for (int direction = 0; direction < 2; direction++)
				c->samples_ps[direction][round] =
				    sample_take(&line, c->work[direction]);
		}
	printf("%zu-byte line      encode ns    (best)  decode ns    (best)\n", n);
	for (size_t i = 0; i < contender_count; i++)
		print_result(&contenders[i], rounds);
	line_fini(&line);
}

int
main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS_DEFAULT;

	if (argc > 2 ||
	    (argc == 2 && (!number_parse(wire_span_str(argv[1]), ROUNDS_MAX, &rounds) || !rounds)))
		errx(2, "usage: idea-bench [ROUNDS of 1 to %d]", ROUNDS_MAX);
	if (gcry_check_version(NULL) == NULL)
		errx(1, "libgcrypt does not start");
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	contenders_find();
	for (size_t i = 0; i < COUNT(sizes); i++)
		measure(sizes[i], rounds);
	return 0;
}
