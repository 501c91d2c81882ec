/*
 * notice.c - notices in the form in which they are kept and sent to clients, and the answers that a
 * sender of the webpager socket gets.
 *
 * Never makes an id or reads a clock: what a notice lacks, the relay gives it.  Owns nothing.
 */
#include "wire/notice.h"

#include "wire/hex.h"
#include "wire/notice_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
	AT_ID = 0,
	AT_TO = 16,
	AT_FROM = 24,
	AT_TIME = 32,
	AT_ORIGIN = 40,
	AT_SENDER_LEN = 41,
	AT_MAIL_LEN = 42,
	AT_ZERO = 43,
	AT_TEXT_LEN = 44,
};

const char *
notice_fault_name(enum notice_fault fault)
{
	static const char *const names[] = {
#define X(symbol, name) [symbol] = (name),
		NOTICE_FAULTS(X)
#undef X
	};
	size_t index = (size_t)fault;

	return index < COUNT(names) ? names[index] : "unknown";
}

bool
notice_has_id(const struct notice *notice)
{
	uint8_t any = 0;

	for (size_t i = 0; i < NOTICE_ID_SIZE; i++)
		any |= notice->id[i];
	return any != 0;
}

/* --- rules of every form */

static bool
holds(struct wire_span bytes, int byte)
{
	return bytes.len > 0 && memchr(bytes.data, byte, bytes.len) != NULL;
}

static enum notice_fault
check_name(struct wire_span name, size_t max)
{
	if (name.len > max)
		return NOTICE_TOO_LONG;
	return holds(name, '\0') || holds(name, '\n') ? NOTICE_BAD_SENDER : NOTICE_FINE;
}

static enum notice_fault
check_origin(const struct notice *notice)
{
	switch (notice->origin) {
	case NOTICE_OF_CLIENT:
		return notice->from == 0 || notice->sender.len + notice->mail.len > 0
			   ? NOTICE_BAD_SENDER
			   : NOTICE_FINE;
	case NOTICE_OF_WEBPAGER:
		return notice->from != 0 || notice->mail.len > 0 ? NOTICE_BAD_SENDER : NOTICE_FINE;
	case NOTICE_OF_ORIGINAL:
		return notice->from != 0 ? NOTICE_BAD_SENDER : NOTICE_FINE;
	}
	return NOTICE_MALFORMED;
}

enum notice_fault
notice_check(const struct notice *notice)
{
	enum notice_fault fault = check_origin(notice);

	if (fault == NOTICE_FINE)
		fault = check_name(notice->sender, NOTICE_SENDER_MAX);
	if (fault == NOTICE_FINE)
		fault = check_name(notice->mail, NOTICE_MAIL_MAX);
	if (fault != NOTICE_FINE)
		return fault;
	if (notice->to == 0)
		return NOTICE_NO_TARGET;
	if (notice->text.len == 0)
		return NOTICE_EMPTY;
	if (notice->text.len > NOTICE_TEXT_MAX)
		return NOTICE_TOO_LONG;
	return holds(notice->text, '\0') ? NOTICE_NUL : NOTICE_FINE;
}

/* --- the encoded form */

static void
put_number(uint8_t *at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t
get_number(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

size_t
notice_size(const struct notice *notice)
{
	return NOTICE_HEAD_SIZE + notice->sender.len + notice->mail.len + notice->text.len;
}

enum notice_fault
notice_get(struct notice *notice, struct wire_span bytes)
{
	const uint8_t *at = bytes.data;
	struct notice got;
	enum notice_fault fault;
	size_t text_len;

	if (bytes.len > NOTICE_SIZE_MAX)
		return NOTICE_TOO_LONG;
	if (bytes.len < NOTICE_HEAD_SIZE || at[AT_ZERO] != 0)
		return NOTICE_MALFORMED;
	memcpy(got.id, at + AT_ID, NOTICE_ID_SIZE);
	got.to = get_number(at + AT_TO, 8);
	got.from = get_number(at + AT_FROM, 8);
	got.time_ms = get_number(at + AT_TIME, 8);
	got.origin = (enum notice_origin)at[AT_ORIGIN];
	got.sender = wire_span(at + NOTICE_HEAD_SIZE, at[AT_SENDER_LEN]);
	got.mail = wire_span(got.sender.data + got.sender.len, at[AT_MAIL_LEN]);
	text_len = (size_t)get_number(at + AT_TEXT_LEN, 4);
	if (bytes.len - NOTICE_HEAD_SIZE < got.sender.len + got.mail.len ||
	    bytes.len - NOTICE_HEAD_SIZE - got.sender.len - got.mail.len != text_len)
		return NOTICE_MALFORMED;
	got.text = wire_span(got.mail.data + got.mail.len, text_len);
	fault = notice_check(&got);
	if (fault == NOTICE_FINE)
		*notice = got;
	return fault;
}

enum notice_fault
notice_put(struct wire_out *out, const struct notice *notice)
{
	enum notice_fault fault = notice_check(notice);
	uint8_t *at;

	if (fault != NOTICE_FINE)
		return fault;
	at = wire_out_room(out, notice_size(notice));
	if (at == NULL)
		return NOTICE_FINE;
	memset(at, 0, NOTICE_HEAD_SIZE);
	memcpy(at + AT_ID, notice->id, NOTICE_ID_SIZE);
	put_number(at + AT_TO, notice->to, 8);
	put_number(at + AT_FROM, notice->from, 8);
	put_number(at + AT_TIME, notice->time_ms, 8);
	at[AT_ORIGIN] = (uint8_t)notice->origin;
	at[AT_SENDER_LEN] = (uint8_t)notice->sender.len;
	at[AT_MAIL_LEN] = (uint8_t)notice->mail.len;
	put_number(at + AT_TEXT_LEN, notice->text.len, 4);
	at += NOTICE_HEAD_SIZE;
	if (notice->sender.len > 0)
		memcpy(at, notice->sender.data, notice->sender.len);
	at += notice->sender.len;
	if (notice->mail.len > 0)
		memcpy(at, notice->mail.data, notice->mail.len);
	memcpy(at + notice->mail.len, notice->text.data, notice->text.len);
	return NOTICE_FINE;
}

/* --- answers to a sender */

#define OK_WORD      "ok "
#define REFUSED_WORD "refused "
#define ID_DIGITS    (2 * NOTICE_ID_SIZE)

void
notice_put_ok(struct wire_out *out, const uint8_t id[static NOTICE_ID_SIZE])
{
	uint8_t *digits;

	wire_out_bytes(out, OK_WORD, strlen(OK_WORD));
	digits = wire_out_room(out, ID_DIGITS);
	if (digits != NULL)
		hex_put(digits, id, NOTICE_ID_SIZE);
	wire_out_bytes(out, "\n", 1);
}

void
notice_put_refused(struct wire_out *out, enum notice_fault reason)
{
	const char *name = notice_fault_name(reason);

	wire_out_bytes(out, REFUSED_WORD, strlen(REFUSED_WORD));
	wire_out_bytes(out, name, strlen(name));
	wire_out_bytes(out, "\n", 1);
}

bool
notice_answer_get(uint8_t id[static NOTICE_ID_SIZE], struct wire_span *reason,
		  struct wire_span answer)
{
	const size_t ok = strlen(OK_WORD), refused = strlen(REFUSED_WORD);

	*reason = wire_span(NULL, 0);
	if (answer.len == 0 || answer.data[answer.len - 1] != '\n')
		return false;
	answer.len--;
	if (wire_span_starts(answer, wire_span_str(OK_WORD)) && answer.len == ok + ID_DIGITS &&
	    hex_span(answer.data + ok, ID_DIGITS) == ID_DIGITS) {
		hex_get(id, answer.data + ok, ID_DIGITS);
		return true;
	}
	if (wire_span_starts(answer, wire_span_str(REFUSED_WORD)))
		*reason = wire_span(answer.data + refused, answer.len - refused);
	return false;
}
