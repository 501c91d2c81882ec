/*
 * test_lond.c - the opening of a link step by step and in pieces, and the cipher key it ends with.
 *
 * The yardsticks are tables of what Perl made of every byte value, and a key built as a string.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "wire/line.h"
#include "wire/lond.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void
assert_key(struct wire_span remote, struct wire_span local, struct wire_span build_key,
	   const char *want)
{
	uint8_t raw[IDEA_KEY_SIZE];
	char got[2 * IDEA_KEY_SIZE + 1];

	memset(raw, 0xa5, sizeof raw);
	lond_key(raw, remote, local, build_key);
	for (size_t i = 0; i < sizeof raw; i++)
		sprintf(got + 2 * i, "%02x", raw[i]);
	cr_assert_str_eq(got, want);
}

Test(lond, keys_as_seen)
{
	static const struct {
		const char *remote, *local, *build_key, *want;
	} rows[] = {
		{ "remhub3", "locgw7", "48213ADBE0FC7B96A2871733209",
		  "1e614b358c06748213adbe0fc7b96a28" },
		{ "msul1", "nsdl2", "90271A0CDE789BF0E1D3F42", "6245172d5290271a0cde789bf0e1d3f4" },
		{ "z-9.q_", "AZ_gp-x", "9f-_./+Zz9f-_./+Zz", "9d9e0fa9f09d79fdfefb339fdfefb339" },
		{ "h1", "h2", "1A2", "11121a211121a211121a200000000000" },
		{ "h1", "h2", "1A2\n", "11121a2a11121a2a11121a2a00000000" },
		{ "averyveryverylonghostidentifier1", "anotherlongidentifier2", "12345",
		  "a5e185e185e18587018232de732f2e11" },
		{ "A", "B", "", "ababab00000000000000000000000000" },
		{ "A", "B", "\n", "abaabaaba00000000000000000000000" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_key(wire_span_str(rows[i].remote), wire_span_str(rows[i].local),
			   wire_span_str(rows[i].build_key), rows[i].want);
}

/* What Perl's pack "H" gives for the byte values 0 to 255, sixteen to a row. */
static const char packed[] = "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0abcdef012345678"
			     "9abcdef0123bcdef"
			     "0abcdef012345678"
			     "9abcdef0123bcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef"
			     "0123456789abcdef";

/* The same for a byte of a host id: upper case, G-P and Q-Z to digits, then packed. */
static const char packed_id[] = "0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0abcdef012345678"
				"90123456789bcdef"
				"0abcdef012345678"
				"90123456789bcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef"
				"0123456789abcdef";

Test(lond, every_byte_value_in_a_build_key_and_in_an_id)
{
	for (int c = 0; c < 256; c++) {
		uint8_t bytes[32];
		char want[33];
		struct wire_span all = wire_span(bytes, sizeof bytes);
		struct wire_span none = wire_span_str("");

		memset(bytes, c, sizeof bytes);
		want[32] = '\0';
		memset(want, packed[c], 32);
		assert_key(none, none, all, want);
		memset(want, packed_id[c], 32);
		assert_key(all, none, none, want);
		assert_key(none, all, none, want);
		/* As one low nibble among others. */
		memset(want, '1', 32);
		memset(bytes, '1', sizeof bytes);
		bytes[17] = (uint8_t)c;
		want[17] = packed[c];
		assert_key(none, none, all, want);
	}
}

/* Lengths of all three parts, short and beyond the 32 characters that count. */
Test(lond, every_length)
{
	static const char ids[] = "Az9-gP.qZ_hY0bK/RstUVwxmnopCDEFa3";
	static const char keys[] = "4Zz-fF0g.9_aP/Qb7:X+1c2d3E5y6H8i";

	for (size_t a = 0; a <= 33; a += 1 + a / 12) {
		for (size_t b = 0; b <= 33; b += 1 + b / 12) {
			for (size_t c = 0; c <= 32; c++) {
				char all[3 * 98 + 1], want[33];
				int len = snprintf(all, sizeof all, "%.*s%.*s", (int)a, ids, (int)b,
						   ids + 33 - b);
				for (int i = 0; i < len; i++)
					all[i] = packed_id[(uint8_t)all[i]];
				for (size_t i = 0; i < c; i++)
					all[len + (int)i] = packed[(uint8_t)keys[i]];
				size_t round = (size_t)len + c;
				memset(want, '0', 32);
				want[32] = '\0';
				for (size_t i = 0; i < 32 && i < 3 * round; i++)
					want[i] = all[i % round];
				assert_key(wire_span(ids, a), wire_span(ids + 33 - b, b),
					   wire_span(keys, c), want);
			}
		}
	}
}

/* A peer's side of an opening and what must be answered. */
struct script {
	bool pong;
	const char *peer;
	size_t peer_len;
	const char *sent;
	size_t sent_len;
	const char *build_key;
};

#define BYTES(text) (text), (sizeof(text) - 1)

static const struct script scripts[] = {
	{ true, BYTES("init:1047923456:4711\nok\nremhub3:ready\n48213ADB\n"),
	  BYTES("init\ninit:1047923456:4711\npong\nekey\n"), "48213ADB" },
	{ false, BYTES("init:1047923456:4711\nok\n48213ADB\n"),
	  BYTES("init\ninit:1047923456:4711\nekey\n"), "48213ADB" },
	{ true, BYTES(" c\r\0\xe9 \nok\n\n \n"), BYTES("init\n c\r\0\xe9 \npong\nekey\n"), " " },
	{ false, BYTES("\nok\nk\n"), BYTES("init\n\nekey\n"), "k" },
};

/* Runs a script on input that arrives in pieces: `first` bytes, then `step` at a time. */
static void
run(const struct script *script, size_t first, size_t step)
{
	const uint8_t *base = (const uint8_t *)script->peer;
	const uint8_t *src = base;
	uint8_t room[256];
	struct wire_out out = wire_out(room, sizeof room);
	struct wire_span line, build_key = { NULL, 0 };
	struct lond lond;
	size_t scanned = 0;

	lond_start(&lond, script->pong, &out);
	for (size_t have = first;; have += step) {
		const uint8_t *end = base + (have < script->peer_len ? have : script->peer_len);
		while (line_next(&line, &src, end, scanned, LOND_LINE_MAX) == WIRE_OK) {
			cr_assert_neq(lond.state, LOND_READY);
			cr_assert_eq(lond_on_line(&lond, line, &out, &build_key), WIRE_OK);
			cr_assert_eq(build_key.data != NULL, lond.state == LOND_READY);
			scanned = 0;
		}
		scanned = (size_t)(end - src);
		if (have >= script->peer_len)
			break;
	}
	cr_assert_eq(lond.state, LOND_READY);
	cr_assert(wire_span_equal(build_key, wire_span_str(script->build_key)));
	cr_assert_eq(build_key.data + build_key.len + 1, base + script->peer_len, "a view");
	cr_assert_not(out.overflow);
	cr_assert_eq(out.len, script->sent_len);
	cr_assert_arr_eq(room, script->sent, script->sent_len);
}

Test(lond, opens_at_every_split_and_byte_by_byte)
{
	for (size_t i = 0; i < COUNT(scripts); i++) {
		for (size_t at = 0; at <= scripts[i].peer_len; at++)
			run(&scripts[i], at, scripts[i].peer_len);
		for (size_t step = 1; step < 6; step++)
			run(&scripts[i], 0, step);
	}
}

/* A lond at `state`, reached the ordinary way. */
static struct lond
lond_at(enum lond_state state)
{
	uint8_t room[64];
	struct lond lond = { .state = LOND_NEW };
	struct wire_span build_key;
	const char *lines[] = { "c", "ok", "h:", "k" };

	if (state == LOND_NEW)
		return lond;
	struct wire_out out = wire_out(room, sizeof room);
	lond_start(&lond, true, &out);
	for (size_t i = 0; lond.state != state; i++) {
		cr_assert_lt(i, COUNT(lines));
		cr_assert_eq(lond_on_line(&lond, wire_span_str(lines[i]), &out, &build_key),
			     WIRE_OK);
	}
	return lond;
}

static void
assert_fails(enum lond_state state, struct wire_span line, enum wire_status why)
{
	uint8_t room[LOND_OUT_MAX];
	struct wire_out out = wire_out(room, sizeof room);
	struct wire_span build_key = wire_span("untouched", 9);
	struct lond lond = lond_at(state);

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(lond_on_line(&lond, line, &out, &build_key), why);
		cr_assert_eq(lond.state, LOND_FAILED);
		why = line.len > LOND_LINE_MAX ? WIRE_BAD_LONG : WIRE_BAD_ORDER;
		line = line.len > LOND_LINE_MAX ? line : wire_span_str("ok");
	}
	cr_assert_eq(out.len, 0, "nothing is sent on a failure");
	cr_assert(wire_span_equal(build_key, wire_span_str("untouched")));
}

Test(lond, refusals_and_disorder)
{
	static const char *const not_ok[] = { "",     "o",    "ok ",     " ok",      "OK", "Ok",
					      "okay", "ok\r", "refused", "con_lost", "no" };

	for (size_t i = 0; i < COUNT(not_ok); i++)
		assert_fails(LOND_WAIT_OK, wire_span_str(not_ok[i]), WIRE_BAD_REFUSED);
	assert_fails(LOND_WAIT_OK, wire_span("ok\0", 3), WIRE_BAD_REFUSED);
	assert_fails(LOND_WAIT_KEY, wire_span_str(""), WIRE_BAD_FORM);
	assert_fails(LOND_NEW, wire_span_str("ok"), WIRE_BAD_ORDER);
	assert_fails(LOND_READY, wire_span_str("late"), WIRE_BAD_ORDER);
	assert_fails(LOND_READY, wire_span_str(""), WIRE_BAD_ORDER);
}

Test(lond, bound_exact_and_one_over)
{
	static const enum lond_state states[] = { LOND_WAIT_CHALLENGE, LOND_WAIT_PONG,
						  LOND_WAIT_KEY };

	static uint8_t bytes[LOND_LINE_MAX + 1], room[LOND_OUT_MAX];

	memset(bytes, 'x', sizeof bytes);
	for (size_t i = 0; i < COUNT(states); i++) {
		struct wire_out out = wire_out(room, sizeof room);
		struct wire_span build_key;
		struct lond lond = lond_at(states[i]);

		cr_assert_eq(lond_on_line(&lond, wire_span(bytes, LOND_LINE_MAX), &out, &build_key),
			     WIRE_OK);
		cr_assert_not(out.overflow, "LOND_OUT_MAX is enough for any step");
		assert_fails(states[i], wire_span(bytes, LOND_LINE_MAX + 1), WIRE_BAD_LONG);
	}
	assert_fails(LOND_WAIT_OK, wire_span(bytes, LOND_LINE_MAX + 1), WIRE_BAD_LONG);
	cr_assert_eq(room[LOND_LINE_MAX], '\n');
}

Test(lond, too_little_room_writes_no_half_line)
{
	uint8_t room[5] = "-----";
	struct lond lond = lond_at(LOND_WAIT_CHALLENGE);
	struct wire_span build_key;
	struct wire_out out = wire_out(room, 4);

	cr_assert_eq(lond_on_line(&lond, wire_span_str("four"), &out, &build_key), WIRE_OK);
	cr_assert(out.overflow);
	cr_assert_eq(out.len, 0);
	cr_assert_arr_eq(room, "-----", 5);

	out = wire_out(room, 4);
	lond_start(&lond, false, &out);
	cr_assert(out.overflow);
	out = wire_out(room, 5);
	lond_start(&lond, false, &out);
	cr_assert_not(out.overflow);
	cr_assert_arr_eq(room, "init\n", 5);
}

Test(lond, start_begins_anew)
{
	uint8_t room[16];
	struct wire_out out = wire_out(room, sizeof room);
	struct lond lond = lond_at(LOND_READY);

	lond_start(&lond, false, &out);
	cr_assert_eq(lond.state, LOND_WAIT_CHALLENGE);
	cr_assert_not(lond.pong);
	cr_assert_eq(out.len, 5);
}

Test(lond, state_texts)
{
	cr_assert_str_eq(lond_state_text(LOND_NEW), "new");
	cr_assert_str_eq(lond_state_text(LOND_WAIT_PONG), "wait_pong");
	cr_assert_str_eq(lond_state_text(LOND_FAILED), "failed");
	cr_assert_str_eq(lond_state_text((enum lond_state)(LOND_FAILED + 1)), "unknown state");
}
