/*
 * peer_reply.c - the commands of relay-peer.  Owns nothing; never refuses a byte.
 */
#include "bench/peer_reply.h"

#include "bench/number.h"
#include "bench/pattern.h"
#include "wire/enc.h"

#include <assert.h>

#define KEEP_BYTES (256 * 1024)

static inline bool
cut(struct wire_span *s, const char *prefix)
{
	struct wire_span p = wire_span_str(prefix);

	if (!wire_span_starts(*s, p))
		return false;
	*s = wire_span(s->data + p.len, s->len - p.len);
	return true;
}

/* Takes `NUMBER:` off the front. */
static bool
cut_number(struct wire_span *s, uint64_t *value)
{
	const uint8_t *colon = memchr(s->data, ':', s->len < 16 ? s->len : 16);

	if (colon == NULL)
		return false;
	size_t n = (size_t)(colon - s->data);
	if (!number_parse(wire_span(s->data, n), PEER_LINE_MAX, value))
		return false;
	*s = wire_span(s->data + n + 1, s->len - n - 1);
	return true;
}

static void
add_pattern(struct bytes *out, size_t n)
{
	pattern_fill(bytes_room(out, n), n, 0);
	bytes_grow(out, n);
}

static void
add_noise(struct bytes *out, size_t n)
{
	pattern_noise(bytes_room(out, n), n);
	bytes_grow(out, n);
}

/* The commands with an argument; false if it is none of them. */
static bool
add_argument_reply(struct wire_span request, struct bytes *out)
{
	uint64_t n;

	if (cut(&request, "fill:")) {
		if (!cut_number(&request, &n))
			return false;
		pattern_reply(bytes_room(out, (size_t)n), (size_t)n, request);
		bytes_grow(out, (size_t)n);
		return true;
	}
	if (cut(&request, "echo:")) {
		bytes_add_text(out, "re:");
		bytes_add(out, request.data, request.len);
		return true;
	}
	if (cut(&request, "size:") && number_parse(request, PEER_LINE_MAX, &n)) {
		add_pattern(out, (size_t)n);
		return true;
	}
	return false;
}

static bool
is(struct wire_span request, const char *word)
{
	return wire_span_equal(request, wire_span_str(word));
}

static enum ending
add_reply(const struct reply_link *link, struct wire_span request, struct bytes *out)
{
	if (add_argument_reply(request, out))
		return END_KEEP;
	if (is(request, "exit")) {
		bytes_add_text(out, "bye");
		return END_CLOSE;
	}
	if (is(request, "ping")) {
		bytes_add_text(out, link->options->id);
	} else if (is(request, "pong")) {
		bytes_add_text(out, link->options->id);
		bytes_add_text(out, ":relay-peer");
	} else if (is(request, "ekey")) {
		bytes_add(out, link->build_key.data, link->build_key.len);
	} else {
		bytes_add_text(out, "unknown_cmd");
	}
	return END_KEEP;
}

static enum ending
add_body(const struct reply_link *link, struct wire_span request, const struct tricks *tricks,
	 struct bytes *out)
{
	if (tricks->value[TRICK_HUGE] != 0) {
		add_pattern(out, tricks->value[TRICK_HUGE]);
		return END_KEEP;
	}
	return add_reply(link, request, out);
}

static enum ending
add_encrypted(struct reply_scratch *scratch, const struct reply_link *link,
	      struct wire_span request, const struct tricks *tricks, struct bytes *out)
{
	bytes_clear(&scratch->plain, KEEP_BYTES);
	enum ending ending = add_body(link, request, tricks, &scratch->plain);
	struct wire_span plain = bytes_span(&scratch->plain);
	size_t size = enc_frame_size(plain.len);
	struct wire_out frame = wire_out(bytes_room(out, size), size);

	enc_encode(&frame, link->key, plain);
	assert(!frame.overflow);
	bytes_grow(out, frame.len);
	return ending;
}

/* Whether the request was a frame; then it is replaced by what was in it. */
static bool
decode(struct reply_scratch *scratch, const struct reply_link *link, struct wire_span *request)
{
	if (link->key == NULL || !enc_is_frame(*request))
		return false;
	bytes_clear(&scratch->decoded, KEEP_BYTES);
	size_t bound = enc_decoded_bound(*request);
	struct wire_out plain = wire_out(bytes_room(&scratch->decoded, bound), bound);
	if (enc_decode(&plain, link->key, *request) != WIRE_OK)
		return false;
	bytes_grow(&scratch->decoded, plain.len);
	*request = bytes_span(&scratch->decoded);
	return true;
}

/* The tricks that leave no reply at all; END_KEEP if there is to be one. */
static enum ending
instead_of_reply(const struct tricks *tricks, struct bytes *out)
{
	if (tricks->value[TRICK_GARBAGE] != 0) {
		add_noise(out, tricks->value[TRICK_GARBAGE]);
		return END_SILENCE;
	}
	if (tricks->value[TRICK_SILENCE] != 0)
		return END_SILENCE;
	if (tricks->value[TRICK_CLOSE] != 0)
		return END_CLOSE;
	if (tricks->value[TRICK_RESET] != 0 && tricks->value[TRICK_HALF] == 0)
		return END_RESET;
	return END_KEEP;
}

enum ending
reply_make(struct reply_scratch *scratch, const struct reply_link *link, struct wire_span request,
	   struct tricks *tricks, struct bytes *out)
{
	const struct peer_options *o = link->options;

	*tricks = o->tricks;
	if (o->prefixes)
		tricks_take_prefixes(tricks, &request);
	bool encrypted = decode(scratch, link, &request);
	if (encrypted && o->prefixes)
		tricks_take_prefixes(tricks, &request);
	enum ending ending = tricks->any ? instead_of_reply(tricks, out) : END_KEEP;
	if (ending != END_KEEP)
		return ending;

	size_t before = bytes_used(out);
	encrypted = (encrypted || tricks->value[TRICK_ENC] != 0) &&
		    tricks->value[TRICK_PLAIN] == 0 && link->key != NULL;
	ending = encrypted ? add_encrypted(scratch, link, request, tricks, out)
			   : add_body(link, request, tricks, out);
	if (tricks->value[TRICK_HALF] != 0) {
		out->len -= (bytes_used(out) - before + 1) / 2;
		return tricks->value[TRICK_RESET] != 0 ? END_RESET : END_CLOSE;
	}
	bytes_add_text(out, "\n");
	if (tricks->value[TRICK_DISORDER] != 0)
		bytes_add_text(out, "disorder\n");
	return ending;
}

void
reply_scratch_free(struct reply_scratch *scratch)
{
	bytes_free(&scratch->decoded);
	bytes_free(&scratch->plain);
}
