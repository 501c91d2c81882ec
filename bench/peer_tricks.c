/*
 * peer_tricks.c - the table of misbehaviours and how a request asks for them.  Performs none of
 * them.
 */
#include "bench/peer_tricks.h"

#include "bench/number.h"

const struct trick_form trick_forms[TRICK_COUNT] = {
#define X(name, text, unit, max, help) { text, unit, max, help },
	PEER_TRICKS(X)
#undef X
};

void
tricks_set(struct tricks *tricks, enum trick trick, uint64_t value)
{
	tricks->value[trick] = value;
	tricks->any = false;
	for (size_t i = 0; i < TRICK_COUNT; i++)
		tricks->any = tricks->any || tricks->value[i] != 0;
}

/* The bytes before the first ':' within the first `most` bytes; false if there is none. */
static bool
field(struct wire_span s, size_t most, struct wire_span *out)
{
	const uint8_t *colon = memchr(s.data, ':', s.len < most ? s.len : most);

	if (colon == NULL)
		return false;
	*out = wire_span(s.data, (size_t)(colon - s.data));
	return true;
}

static struct wire_span
behind(struct wire_span s, size_t n)
{
	return wire_span(s.data + n, s.len - n);
}

static bool
take_one(struct tricks *tricks, struct wire_span *request)
{
	struct wire_span name, number;
	uint64_t value = 1;

	if (request->len == 0 || !field(*request, 16, &name))
		return false;
	for (size_t i = 0; i < TRICK_COUNT; i++) {
		if (!wire_span_equal(name, wire_span_str(trick_forms[i].text)))
			continue;
		struct wire_span rest = behind(*request, name.len + 1);
		if (trick_forms[i].unit != NULL) {
			if (rest.len == 0 || !field(rest, 16, &number) ||
			    !number_parse(number, trick_forms[i].max, &value))
				return false;
			rest = behind(rest, number.len + 1);
		}
		tricks_set(tricks, (enum trick)i, value);
		*request = rest;
		return true;
	}
	return false;
}

void
tricks_take_prefixes(struct tricks *tricks, struct wire_span *request)
{
	while (take_one(tricks, request))
		continue;
}
