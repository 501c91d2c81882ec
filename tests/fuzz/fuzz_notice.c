/*
 * fuzz_notice.c - notices: what is encoded is written again as it came; what comes to the webpager
 * socket obeys the same rules, and in text says the same when it is written again.
 *
 * Input: a byte that says which of these, and the bytes of a notice, a datagram or an answer.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/notice.h"

static uint8_t scratch[2 * NOTICE_SIZE_MAX];

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static bool
inside(struct wire_span field, struct wire_span bytes)
{
	return field.len == 0 ||
	       (field.data >= bytes.data && field.data + field.len <= bytes.data + bytes.len);
}

static void
check_rules(const struct notice *notice, struct wire_span bytes)
{
	must(notice->to != 0);
	must(notice->text.len > 0 && notice->text.len <= NOTICE_TEXT_MAX);
	must(notice->sender.len <= NOTICE_SENDER_MAX && notice->mail.len <= NOTICE_MAIL_MAX);
	must(memchr(notice->text.data, '\0', notice->text.len) == NULL);
	must(inside(notice->text, bytes) && inside(notice->sender, bytes) &&
	     inside(notice->mail, bytes));
	must((notice->origin == NOTICE_OF_CLIENT) == (notice->from != 0));
	must(notice_size(notice) <= NOTICE_SIZE_MAX);
}

static void
check_encoded(struct wire_span bytes)
{
	struct wire_out out = wire_out(scratch, sizeof scratch);
	struct notice notice;

	if (notice_get(&notice, bytes) != NOTICE_FINE)
		return;
	check_rules(&notice, bytes);
	must(notice_put(&out, &notice) == NOTICE_FINE);
	must(wire_span_equal(wire_span(scratch, out.len), bytes));
}

static void
check_page(struct wire_span bytes)
{
	struct wire_out out = wire_out(scratch, sizeof scratch);
	struct notice notice, again;

	if (notice_page_get(&notice, bytes) != NOTICE_FINE)
		return;
	check_rules(&notice, bytes);
	must(notice.from == 0 && notice.time_ms == 0);
	if (notice.origin != NOTICE_OF_WEBPAGER) {
		must(notice_put(&out, &notice) == NOTICE_FINE);
		return;
	}
	must(notice_page_put(&out, &notice) == NOTICE_FINE);
	must(!out.overflow && out.len <= NOTICE_PAGE_MAX);
	must(notice_page_get(&again, wire_span(scratch, out.len)) == NOTICE_FINE);
	must(memcmp(again.id, notice.id, NOTICE_ID_SIZE) == 0 && again.to == notice.to);
	must(wire_span_equal(again.sender, notice.sender));
	must(wire_span_equal(again.text, notice.text));
}

static void
check_answer(struct wire_span bytes)
{
	struct wire_out out = wire_out(scratch, sizeof scratch);
	uint8_t id[NOTICE_ID_SIZE];
	struct wire_span reason;

	if (!notice_answer_get(id, &reason, bytes)) {
		must(inside(reason, bytes));
		return;
	}
	must(reason.len == 0);
	notice_put_ok(&out, id);
	must(out.len == bytes.len && out.len <= NOTICE_ANSWER_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		check_encoded(wire_span(data + 1, size - 1));
		break;
	case 1:
		check_page(wire_span(data + 1, size - 1));
		break;
	default:
		check_answer(wire_span(data + 1, size - 1));
	}
	return 0;
}
