/*
 * lond.c - the steps by which a link to a lond is opened, and the cipher key that comes of them.
 *
 * Is given whole lines and appends whole lines; never sees a socket or a clock, keeps no byte of
 * the peer.  Owns nothing but the state in the caller's struct lond; a failed one stays failed.
 */
#include "wire/lond.h"

/* The key is made of this many characters, one nibble each. */
#define KEY_CHARS ((size_t)2 * IDEA_KEY_SIZE)

const char *
lond_state_text(enum lond_state state)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		LOND_STATES(X)
#undef X
	};
	size_t index = (size_t)state;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown state";
}

/* One room for line and LF: on overflow nothing is written, not half of it. */
static void
put_line(struct wire_out *out, struct wire_span line)
{
	uint8_t *at = wire_out_room(out, line.len + 1);
	if (at == NULL)
		return;
	if (line.len > 0)
		memcpy(at, line.data, line.len);
	at[line.len] = '\n';
}

static enum wire_status
fail(struct lond *lond, enum wire_status why)
{
	lond->state = LOND_FAILED;
	return why;
}

static enum wire_status
advance(struct lond *lond, enum lond_state next, struct wire_out *out, struct wire_span line)
{
	put_line(out, line);
	lond->state = next;
	return WIRE_OK;
}

void
lond_start(struct lond *lond, bool pong, struct wire_out *out)
{
	*lond = (struct lond){ .state = LOND_WAIT_CHALLENGE, .pong = pong };
	put_line(out, wire_span_str("init"));
}

static enum wire_status
on_ok(struct lond *lond, struct wire_span line, struct wire_out *out)
{
	if (!wire_span_equal(line, wire_span_str("ok")))
		return fail(lond, WIRE_BAD_REFUSED);
	if (lond->pong)
		return advance(lond, LOND_WAIT_PONG, out, wire_span_str("pong"));
	return advance(lond, LOND_WAIT_KEY, out, wire_span_str("ekey"));
}

/* Without a build key anybody could compute the cipher key, so an empty one opens no link. */
static enum wire_status
on_key(struct lond *lond, struct wire_span line, struct wire_span *build_key)
{
	if (line.len == 0)
		return fail(lond, WIRE_BAD_FORM);
	*build_key = line;
	lond->state = LOND_READY;
	return WIRE_OK;
}

enum wire_status
lond_on_line(struct lond *lond, struct wire_span line, struct wire_out *out,
	     struct wire_span *build_key)
{
	if (line.len > LOND_LINE_MAX)
		return fail(lond, WIRE_BAD_LONG);

	switch (lond->state) {
	case LOND_WAIT_CHALLENGE:
		return advance(lond, LOND_WAIT_OK, out, line);
	case LOND_WAIT_OK:
		return on_ok(lond, line, out);
	case LOND_WAIT_PONG: /* says who the peer is, which nobody ever insisted on */
		return advance(lond, LOND_WAIT_KEY, out, wire_span_str("ekey"));
	case LOND_WAIT_KEY:
		return on_key(lond, line, build_key);
	case LOND_NEW:
	case LOND_READY:
	case LOND_FAILED:
		break;
	}
	return fail(lond, WIRE_BAD_ORDER);
}

/* What Perl's tr/a-z/A-Z/, tr/G-P/0-9/, tr/Q-Z/0-9/ make of a byte of a host id. */
static uint8_t
id_char(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	if (c >= 'G' && c <= 'P')
		return (uint8_t)(c - 'G' + '0');
	if (c >= 'Q' && c <= 'Z')
		return (uint8_t)(c - 'Q' + '0');
	return c;
}

/* Perl's pack "H" takes any byte: letters count on from a = 10, others give their low four bits. */
static uint8_t
pack_nibble(uint8_t c)
{
	bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

	return (letter ? c + 9 : c) & 0xf;
}

/* The key while it grows: `n` of its nibbles are set. */
struct packing {
	uint8_t *raw;
	size_t n;
};

static void
pack(struct packing *packing, struct wire_span chars, bool is_id)
{
	for (size_t i = 0; i < chars.len && packing->n < KEY_CHARS; i++, packing->n++) {
		uint8_t nibble = pack_nibble(is_id ? id_char(chars.data[i]) : chars.data[i]);
		bool high = packing->n % 2 == 0;
		packing->raw[packing->n / 2] |= (uint8_t)(high ? nibble << 4 : nibble);
	}
}

void
lond_key(uint8_t raw[static IDEA_KEY_SIZE], struct wire_span remote_id, struct wire_span local_id,
	 struct wire_span build_key)
{
	struct packing packing = { .raw = raw };

	memset(raw, 0, IDEA_KEY_SIZE);
	for (int i = 0; i < 3; i++) {
		pack(&packing, remote_id, true);
		pack(&packing, local_id, true);
		pack(&packing, build_key, false);
	}
}
