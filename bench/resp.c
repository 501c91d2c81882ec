/*
 * resp.c - the little of RESP2 that the comparison takes.  Owns nothing.
 *
 * A bulk string tells its length first, so a long one is never searched for its end: an incomplete
 * message is parsed anew from its few header bytes when more has come.
 */
#include "bench/resp.h"

#include "bench/number.h"

#define HEADER_MAX    32 /* type, number, CR LF */
#define ARGUMENTS_MAX 16
#define ERROR_MAX     4096

/* From its end on: a printf would cost more than all the rest of a reply. */
static void
add_header(struct bytes *out, char type, size_t n)
{
	char text[HEADER_MAX], *end = text + sizeof text, *at = end;

	*--at = '\n';
	*--at = '\r';
	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	*--at = type;
	bytes_add(out, at, (size_t)(end - at));
}

void
resp_add_bulk(struct bytes *out, struct wire_span value)
{
	add_header(out, '$', value.len);
	bytes_add(out, value.data, value.len);
	bytes_add_text(out, "\r\n");
}

void
resp_add_command(struct bytes *out, struct wire_span request)
{
	if (request.len <= RESP_KEY_MAX)
		bytes_add_text(out, "*2\r\n$3\r\nGET\r\n");
	else
		bytes_add_text(out, "*3\r\n$6\r\nGETSET\r\n$1\r\nk\r\n");
	resp_add_bulk(out, request);
}

/* A line up to CR LF, of at most `max` bytes. */
static enum wire_status
line(struct wire_span *text, const uint8_t **at, const uint8_t *end, size_t max)
{
	size_t have = (size_t)(end - *at);
	const uint8_t *lf = have == 0 ? NULL : memchr(*at, '\n', have < max + 2 ? have : max + 2);

	if (lf == NULL)
		return have < max + 2 ? WIRE_MORE : WIRE_BAD_FORM;
	if (lf == *at || lf[-1] != '\r')
		return WIRE_BAD_FORM;
	*text = wire_span(*at, (size_t)(lf - *at) - 1);
	*at = lf + 1;
	return WIRE_OK;
}

static enum wire_status
header(uint64_t *n, char type, const uint8_t **at, const uint8_t *end, size_t max)
{
	struct wire_span text;
	enum wire_status status = line(&text, at, end, HEADER_MAX);

	if (status != WIRE_OK)
		return status;
	if (text.len == 0 || text.data[0] != (uint8_t)type ||
	    !number_parse(wire_span(text.data + 1, text.len - 1), UINT64_MAX, n))
		return WIRE_BAD_FORM;
	return *n > max ? WIRE_BAD_LONG : WIRE_OK;
}

static enum wire_status
bulk(struct wire_span *value, const uint8_t **at, const uint8_t *end, size_t max)
{
	uint64_t n;
	enum wire_status status = header(&n, '$', at, end, max);

	if (status != WIRE_OK)
		return status;
	if ((size_t)(end - *at) < n + 2)
		return WIRE_MORE;
	*value = wire_span(*at, n);
	*at += n;
	if (memcmp(*at, "\r\n", 2) != 0)
		return WIRE_BAD_FORM;
	*at += 2;
	return WIRE_OK;
}

enum wire_status
resp_command_next(struct wire_span *last, const uint8_t **src, const uint8_t *end, size_t max)
{
	const uint8_t *at = *src;
	uint64_t count;
	enum wire_status status = header(&count, '*', &at, end, ARGUMENTS_MAX);

	if (status == WIRE_OK && count == 0)
		return WIRE_BAD_FORM;
	for (uint64_t i = 0; status == WIRE_OK && i < count; i++)
		status = bulk(last, &at, end, max);
	if (status == WIRE_OK)
		*src = at;
	return status;
}

enum wire_status
resp_reply_next(struct wire_span *value, bool *failed, const uint8_t **src, const uint8_t *end,
		size_t max)
{
	const uint8_t *at = *src;

	if (at == end)
		return WIRE_MORE;
	*failed = *at == '-';
	enum wire_status status =
	    *failed ? line(value, &at, end, ERROR_MAX) : bulk(value, &at, end, max);
	if (status == WIRE_OK)
		*src = at;
	return status;
}
