/*
 * perlvar.c - finds the `PerlSetVar name value` lines in an Apache-style configuration.
 *
 * Never interprets a name or a value, quotes included, and never remembers a line: which of two
 * lines of one name wins is the caller's to say.  Owns nothing; name and value are views of the
 * input.
 */
#include "wire/perlvar.h"

#include "wire/line.h"

#define DIRECTIVE "PerlSetVar"

static bool
is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct wire_span
skip_blanks(struct wire_span s)
{
	while (s.len > 0 && is_blank(s.data[0]))
		s = wire_span(s.data + 1, s.len - 1);
	return s;
}

/* Cuts the next word off *rest, with the blanks before it; an empty one means there was none. */
static struct wire_span
take_word(struct wire_span *rest)
{
	struct wire_span s = skip_blanks(*rest);
	size_t len = 0;

	while (len < s.len && !is_blank(s.data[len]))
		len++;
	*rest = wire_span(s.data + len, s.len - len);
	return wire_span(s.data, len);
}

static struct wire_span
trim(struct wire_span s)
{
	s = skip_blanks(s);
	while (s.len > 0 && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

static enum wire_status
parse_line(struct perlvar *var, struct wire_span line)
{
	struct wire_span rest = line;

	if (line.len == 0 || !wire_span_equal(take_word(&rest), wire_span_str(DIRECTIVE)))
		return WIRE_SKIP;
	if (memchr(line.data, '\0', line.len) != NULL)
		return WIRE_BAD_FORM;

	struct perlvar found;
	found.name = take_word(&rest);
	found.value = trim(rest);
	if (found.value.len == 0)
		return WIRE_BAD_FORM;
	*var = found;
	return WIRE_OK;
}

enum wire_status
perlvar_next(struct perlvar *var, const uint8_t **src, const uint8_t *end)
{
	struct wire_span line;
	enum wire_status status = line_next(&line, src, end, 0, PERLVAR_LINE_MAX);
	if (status == WIRE_BAD_LONG)
		return status;
	if (status == WIRE_MORE) {
		if (*src == end)
			return WIRE_MORE;
		line = wire_span(*src, (size_t)(end - *src));
		*src = end;
	}
	return parse_line(var, line);
}
