/*
 * notice_page.c - what comes to the webpager socket: the form in text, and the original's.
 *
 * Never believes who the sender says he is: the caller knows him from the socket.  Owns nothing.
 */
#include "wire/notice.h"

#include "wire/hex.h"
#include "wire/notice_check.h"

#define FIRST_LINE "notice 1"
#define ID_DIGITS  (2 * NOTICE_ID_SIZE)
#define TO_DIGITS  16

/* --- the form in text */

/* The fields of the text form that came. */
struct seen_fields {
	bool to, from, id;
};

/* The next line; false if the text ends before its LF. */
static bool
take_line(struct wire_span *line, struct wire_span *rest)
{
	const uint8_t *lf = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;

	if (lf == NULL)
		return false;
	*line = wire_span(rest->data, (size_t)(lf - rest->data));
	*rest = wire_span(lf + 1, rest->len - line->len - 1);
	return true;
}

static bool
is_field(struct wire_span *value, struct wire_span line, const char *name)
{
	size_t len = strlen(name);

	if (!wire_span_starts(line, wire_span_str(name)))
		return false;
	*value = wire_span(line.data + len, line.len - len);
	return true;
}

/* 1 to 16 digits: leading zeros may be left out. */
static enum notice_fault
read_target(uint64_t *to, struct wire_span value)
{
	uint8_t digits[TO_DIGITS], bytes[TO_DIGITS / 2];

	if (value.len == 0 || value.len > TO_DIGITS || hex_span(value.data, value.len) != value.len)
		return NOTICE_BAD_TARGET;
	memset(digits, '0', sizeof digits);
	memcpy(digits + TO_DIGITS - value.len, value.data, value.len);
	hex_get(bytes, digits, TO_DIGITS);
	*to = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		*to = *to << 8 | bytes[i];
	return *to == 0 ? NOTICE_BAD_TARGET : NOTICE_FINE;
}

static enum notice_fault
read_id(uint8_t id[static NOTICE_ID_SIZE], struct wire_span value)
{
	if (value.len != ID_DIGITS || hex_span(value.data, ID_DIGITS) != ID_DIGITS)
		return NOTICE_BAD_ID;
	hex_get(id, value.data, ID_DIGITS);
	return NOTICE_FINE;
}

static bool
comes_twice(bool *has_come)
{
	bool before = *has_come;

	*has_come = true;
	return before;
}

static enum notice_fault
read_field(struct notice *notice, struct seen_fields *seen, struct wire_span line)
{
	struct wire_span value;

	if (is_field(&value, line, "to "))
		return comes_twice(&seen->to) ? NOTICE_TWICE : read_target(&notice->to, value);
	if (is_field(&value, line, "id ")) {
		if (comes_twice(&seen->id))
			return NOTICE_TWICE;
		if (read_id(notice->id, value) != NOTICE_FINE || !notice_has_id(notice))
			return NOTICE_BAD_ID;
		return NOTICE_FINE;
	}
	if (is_field(&value, line, "from ")) {
		notice->sender = value;
		return comes_twice(&seen->from) ? NOTICE_TWICE : NOTICE_FINE;
	}
	return NOTICE_UNKNOWN_FIELD;
}

/* Fields up to an empty line, then the text; a LF at its very end is the shell's. */
static enum notice_fault
read_text_form(struct notice *notice, struct wire_span rest)
{
	struct seen_fields seen = { .to = false };
	struct wire_span line;
	enum notice_fault fault = NOTICE_FINE;

	notice->origin = NOTICE_OF_WEBPAGER;
	if (!take_line(&line, &rest) || !wire_span_equal(line, wire_span_str(FIRST_LINE)))
		return NOTICE_MALFORMED;
	for (;;) {
		if (!take_line(&line, &rest))
			return NOTICE_MALFORMED;
		if (line.len == 0)
			break;
		fault = read_field(notice, &seen, line);
		if (fault != NOTICE_FINE)
			return fault;
	}
	if (!seen.to)
		return NOTICE_NO_TARGET;
	if (rest.len > 0 && rest.data[rest.len - 1] == '\n')
		rest.len--;
	notice->text = rest;
	return notice_check(notice);
}

static void
put_line(struct wire_out *out, const char *name, struct wire_span value)
{
	wire_out_bytes(out, name, strlen(name));
	wire_out_bytes(out, value.data, value.len);
	wire_out_bytes(out, "\n", 1);
}

enum notice_fault
notice_page_put(struct wire_out *out, const struct notice *notice)
{
	uint8_t number[TO_DIGITS / 2], to[TO_DIGITS], id[ID_DIGITS];
	enum notice_fault fault = notice_check(notice);

	if (fault == NOTICE_FINE && notice->origin != NOTICE_OF_WEBPAGER)
		fault = NOTICE_BAD_SENDER;
	if (fault != NOTICE_FINE)
		return fault;
	for (size_t i = 0; i < sizeof number; i++)
		number[i] = (uint8_t)(notice->to >> (56 - 8 * i));
	hex_put(to, number, sizeof number);
	put_line(out, FIRST_LINE, wire_span("", 0));
	put_line(out, "to ", wire_span(to, sizeof to));
	if (notice_has_id(notice)) {
		hex_put(id, notice->id, NOTICE_ID_SIZE);
		put_line(out, "id ", wire_span(id, sizeof id));
	}
	if (notice->sender.len > 0)
		put_line(out, "from ", notice->sender);
	put_line(out, "", wire_span("", 0));
	put_line(out, "", notice->text);
	return NOTICE_FINE;
}

/* --- the original's form */

#define ORIGINAL_FIRST_BYTE 0x09
#define ORIGINAL_HEAD       12

static const uint8_t original_magic[] = { ORIGINAL_FIRST_BYTE, 0x07, 0x02, 0x01 };

/* Length, bytes and NUL; the length counts the NUL. */
static enum notice_fault
take_string(struct wire_span *string, struct wire_span *rest, size_t max)
{
	size_t len;

	if (rest->len < 2)
		return NOTICE_MALFORMED;
	len = (size_t)rest->data[0] | (size_t)rest->data[1] << 8;
	if (len == 0 || len > rest->len - 2 || rest->data[2 + len - 1] != '\0')
		return NOTICE_MALFORMED;
	if (len - 1 > max)
		return NOTICE_TOO_LONG;
	*string = wire_span(rest->data + 2, len - 1);
	*rest = wire_span(rest->data + 2 + len, rest->len - 2 - len);
	return memchr(string->data, '\0', string->len) != NULL ? NOTICE_NUL : NOTICE_FINE;
}

static enum notice_fault
read_original(struct notice *notice, struct wire_span bytes)
{
	struct wire_span rest = wire_span(bytes.data + ORIGINAL_HEAD, bytes.len - ORIGINAL_HEAD);
	const uint8_t *to = bytes.data + 8;
	enum notice_fault fault;

	notice->origin = NOTICE_OF_ORIGINAL;
	/* The address in front of it is the sender's claim, and means nothing here. */
	notice->to =
	    (uint64_t)to[0] | (uint64_t)to[1] << 8 | (uint64_t)to[2] << 16 | (uint64_t)to[3] << 24;
	fault = take_string(&notice->mail, &rest, NOTICE_ORIGINAL_MAIL_MAX);
	if (fault == NOTICE_FINE)
		fault = take_string(&notice->sender, &rest, NOTICE_ORIGINAL_NAME_MAX);
	if (fault == NOTICE_FINE)
		fault = take_string(&notice->text, &rest, NOTICE_ORIGINAL_TEXT_MAX);
	if (fault == NOTICE_FINE && rest.len > 0)
		fault = NOTICE_MALFORMED;
	return fault == NOTICE_FINE ? notice_check(notice) : fault;
}

enum notice_fault
notice_page_get(struct notice *notice, struct wire_span bytes)
{
	struct notice got = { .to = 0 };
	enum notice_fault fault;

	if (bytes.len > NOTICE_PAGE_MAX)
		return NOTICE_TOO_LONG;
	if (bytes.len >= ORIGINAL_HEAD &&
	    memcmp(bytes.data, original_magic, sizeof original_magic) == 0)
		fault = read_original(&got, bytes);
	else
		fault = read_text_form(&got, bytes);
	if (fault == NOTICE_FINE)
		*notice = got;
	return fault;
}
