/*
 * hosts_tab.c - takes hosts.tab apart, line by line, and judges whether an id can name a socket.
 *
 * Never resolves or checks an address, never remembers a line: which of two entries of one id wins
 * is the caller's to say.  Owns nothing; all fields are views of the input.
 */
#include "wire/hosts_tab.h"

#include "wire/line.h"

/* One field up to a ':' or the end of the line; false if the line has no more fields. */
static bool
take_field(struct wire_span *field, struct wire_span *rest)
{
	if (rest->data == NULL)
		return false;

	const uint8_t *colon = rest->len > 0 ? memchr(rest->data, ':', rest->len) : NULL;
	if (colon == NULL) {
		*field = *rest;
		*rest = wire_span(NULL, 0);
		return true;
	}
	*field = wire_span(rest->data, (size_t)(colon - rest->data));
	*rest = wire_span(colon + 1, rest->len - field->len - 1);
	return true;
}

static struct wire_span
trim_end(struct wire_span s)
{
	while (s.len > 0 && memchr(" \t\r\v\f", s.data[s.len - 1], 5) != NULL)
		s.len--;
	return s;
}

/* "[...]", then only white space to the end of the field; colons inside belong to the address. */
static enum wire_status
take_bracketed(struct wire_span *address, struct wire_span rest)
{
	const uint8_t *close = memchr(rest.data, ']', rest.len);
	if (close == NULL)
		return WIRE_BAD_FORM;

	size_t len = (size_t)(close - rest.data) - 1;
	struct wire_span tail = wire_span(close + 1, rest.len - len - 2);
	struct wire_span junk;
	if (!take_field(&junk, &tail) || trim_end(junk).len > 0)
		return WIRE_BAD_FORM;
	*address = wire_span(rest.data + 1, len);
	return WIRE_OK;
}

static enum wire_status
take_address(struct wire_span *address, struct wire_span rest)
{
	if (rest.len > 0 && rest.data[0] == '[') {
		enum wire_status status = take_bracketed(address, rest);
		if (status != WIRE_OK)
			return status;
	} else {
		if (!take_field(address, &rest))
			return WIRE_SKIP;
		*address = trim_end(*address);
	}
	/* What Perl holds for false. */
	if (address->len == 0 || wire_span_equal(*address, wire_span_str("0")))
		return WIRE_SKIP;
	return WIRE_OK;
}

static enum wire_status
parse_line(struct hosts_tab_entry *entry, struct wire_span line)
{
	struct hosts_tab_entry found;
	struct wire_span rest = line;

	if (line.len > 0 && memchr(line.data, '\0', line.len) != NULL)
		return WIRE_BAD_FORM;
	if (!take_field(&found.id, &rest) || !take_field(&found.domain, &rest) ||
	    !take_field(&found.role, &rest) || !take_field(&found.name, &rest))
		return WIRE_SKIP;

	enum wire_status status = take_address(&found.address, rest);
	if (status != WIRE_OK)
		return status;
	*entry = found;
	return hosts_tab_check_id(found.id, 0) == WIRE_BAD_ID ? WIRE_BAD_ID : WIRE_OK;
}

enum wire_status
hosts_tab_next(struct hosts_tab_entry *entry, const uint8_t **src, const uint8_t *end)
{
	struct wire_span line;
	enum wire_status status = line_next(&line, src, end, 0, HOSTS_TAB_LINE_MAX);
	if (status == WIRE_BAD_LONG)
		return status;
	if (status == WIRE_MORE) {
		if (*src == end)
			return WIRE_MORE;
		line = wire_span(*src, (size_t)(end - *src));
		*src = end;
	}
	return parse_line(entry, line);
}

enum wire_status
hosts_tab_check_id(struct wire_span id, size_t dir_len)
{
	/* Names that mean something else in a directory of sockets. */
	static const char *const taken[] = { ".", "..", "delayed" };

	if (id.len == 0 || memchr(id.data, '/', id.len) != NULL ||
	    memchr(id.data, '\0', id.len) != NULL)
		return WIRE_BAD_ID;
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (wire_span_equal(id, wire_span_str(taken[i])))
			return WIRE_BAD_ID;
	/* The path is dir, '/', id. */
	if (dir_len >= HOSTS_TAB_PATH_MAX || id.len > HOSTS_TAB_PATH_MAX - 1 - dir_len)
		return WIRE_BAD_LONG;
	return WIRE_OK;
}
