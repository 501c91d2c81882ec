/*
 * test_notice.c - notices in their three forms, the answers, and whatever is none of them.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/vectors.h"
#include "wire/notice.h"

static struct wire_span
str(const char *text)
{
	return wire_span_str(text);
}

static struct notice
example(void)
{
	struct notice notice = { .to = 0x2a, .origin = NOTICE_OF_WEBPAGER, .text = str("hi") };

	memset(notice.id, 7, sizeof notice.id);
	return notice;
}

static void
check_same(const struct notice *got, const struct notice *want)
{
	cr_assert_arr_eq(got->id, want->id, NOTICE_ID_SIZE);
	cr_assert_eq(got->to, want->to);
	cr_assert_eq(got->from, want->from);
	cr_assert_eq(got->time_ms, want->time_ms);
	cr_assert_eq(got->origin, want->origin);
	cr_assert(wire_span_equal(got->sender, want->sender));
	cr_assert(wire_span_equal(got->mail, want->mail));
	cr_assert(wire_span_equal(got->text, want->text));
}

/* --- encoded */

Test(notice, encoded_example)
{
	struct vector vector = vector_read("notice-encoded"), id = { .len = 0 };
	struct notice notice;
	uint8_t bytes[VECTOR_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	vector_line(&id, "00112233445566778899aabbccddeeff");
	cr_assert_eq(notice_get(&notice, vector_span(&vector)), NOTICE_FINE);
	cr_assert_arr_eq(notice.id, id.bytes, NOTICE_ID_SIZE);
	cr_assert_eq(notice.to, UINT64_C(0x0123456789abcdef));
	cr_assert_eq(notice.from, 0);
	cr_assert_eq(notice.time_ms, UINT64_C(1700000000000));
	cr_assert_eq(notice.origin, NOTICE_OF_ORIGINAL);
	cr_assert(wire_span_equal(notice.sender, str("N")));
	cr_assert(wire_span_equal(notice.mail, str("a@b")));
	cr_assert(wire_span_equal(notice.text, str("hi")));
	cr_assert_eq(notice_size(&notice), vector.len);
	cr_assert_eq(notice_put(&out, &notice), NOTICE_FINE);
	cr_assert(wire_span_equal(wire_span(bytes, out.len), vector_span(&vector)));
}

Test(notice, encoded_of_every_length_but_its_own_is_refused)
{
	struct vector vector = vector_read("notice-encoded");
	struct notice notice = { .to = 99 };

	for (size_t len = 0; len <= vector.len + 3; len++) {
		cr_assert_eq(notice_get(&notice, wire_span(vector.bytes, len)) == NOTICE_FINE,
			     len == vector.len, "%zu bytes", len);
		if (len < vector.len)
			cr_assert_eq(notice.to, 99);
	}
}

static enum notice_fault
with_byte(size_t at, uint8_t byte)
{
	struct vector vector = vector_read("notice-encoded");
	struct notice notice;

	vector.bytes[at] = byte;
	return notice_get(&notice, vector_span(&vector));
}

Test(notice, encoded_fields_are_judged)
{
	for (unsigned origin = 0; origin < 256; origin++) {
		enum notice_fault fault = with_byte(40, (uint8_t)origin);

		if (origin == NOTICE_OF_ORIGINAL)
			cr_assert_eq(fault, NOTICE_FINE);
		else if (origin == NOTICE_OF_CLIENT || origin == NOTICE_OF_WEBPAGER)
			cr_assert_eq(fault, NOTICE_BAD_SENDER);
		else
			cr_assert_eq(fault, NOTICE_MALFORMED);
	}
	cr_assert_eq(with_byte(24, 1), NOTICE_BAD_SENDER);
	cr_assert_eq(with_byte(41, 2), NOTICE_MALFORMED);
	cr_assert_eq(with_byte(41, 255), NOTICE_MALFORMED);
	cr_assert_eq(with_byte(42, 255), NOTICE_MALFORMED);
	cr_assert_eq(with_byte(43, 1), NOTICE_MALFORMED);
	cr_assert_eq(with_byte(44, 0xff), NOTICE_MALFORMED);
	cr_assert_eq(with_byte(48, 0), NOTICE_BAD_SENDER);
	cr_assert_eq(with_byte(48, '\n'), NOTICE_BAD_SENDER);
	cr_assert_eq(with_byte(53, 0), NOTICE_NUL);
	cr_assert_eq(with_byte(53, '\n'), NOTICE_FINE);
}

/* A notice that breaks a rule is neither written nor, written by others, read. */
static enum notice_fault
put(const struct notice *notice)
{
	static uint8_t bytes[2 * NOTICE_SIZE_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	enum notice_fault fault = notice_put(&out, notice);
	struct notice got;

	if (fault == NOTICE_FINE) {
		cr_assert_eq(out.len, notice_size(notice));
		cr_assert_eq(notice_get(&got, wire_span(bytes, out.len)), NOTICE_FINE);
		check_same(&got, notice);
	} else {
		cr_assert_eq(out.len, 0);
	}
	return fault;
}

Test(notice, bounds_and_one_over)
{
	static char text[NOTICE_TEXT_MAX + 2], name[66];
	struct notice notice = example();

	memset(text, 'x', sizeof text - 1);
	memset(name, 'n', sizeof name);
	notice.text = wire_span(text, NOTICE_TEXT_MAX);
	notice.sender = wire_span(name, NOTICE_SENDER_MAX);
	cr_assert_eq(put(&notice), NOTICE_FINE);
	notice.text.len++;
	cr_assert_eq(put(&notice), NOTICE_TOO_LONG);
	notice = example();
	notice.sender = wire_span(name, NOTICE_SENDER_MAX + 1);
	cr_assert_eq(put(&notice), NOTICE_TOO_LONG);
	notice = example();
	notice.origin = NOTICE_OF_ORIGINAL;
	notice.sender = wire_span(name, NOTICE_SENDER_MAX);
	notice.mail = wire_span(name, NOTICE_MAIL_MAX);
	notice.text = wire_span(text, NOTICE_TEXT_MAX);
	cr_assert_eq(put(&notice), NOTICE_FINE);
	cr_assert_eq(notice_size(&notice), NOTICE_SIZE_MAX);
	notice.mail.len++;
	cr_assert_eq(put(&notice), NOTICE_TOO_LONG);
}

Test(notice, rules)
{
	struct notice notice = example();

	notice.to = 0;
	cr_assert_eq(put(&notice), NOTICE_NO_TARGET);
	notice = example();
	notice.text.len = 0;
	cr_assert_eq(put(&notice), NOTICE_EMPTY);
	notice = example();
	notice.text = wire_span("a\0b", 3);
	cr_assert_eq(put(&notice), NOTICE_NUL);
	notice = example();
	notice.from = 1;
	cr_assert_eq(put(&notice), NOTICE_BAD_SENDER);
	notice.origin = NOTICE_OF_CLIENT;
	cr_assert_eq(put(&notice), NOTICE_FINE);
	notice.sender = str("me");
	cr_assert_eq(put(&notice), NOTICE_BAD_SENDER);
	notice.sender.len = 0;
	notice.from = 0;
	cr_assert_eq(put(&notice), NOTICE_BAD_SENDER);
	notice = example();
	notice.mail = str("a@b");
	cr_assert_eq(put(&notice), NOTICE_BAD_SENDER);
}

Test(notice, nothing_is_written_beyond_the_room)
{
	struct notice notice = example();
	uint8_t bytes[128];

	for (size_t cap = 0; cap < notice_size(&notice); cap++) {
		struct wire_out out = wire_out(bytes, cap);

		bytes[cap] = 0xa5;
		cr_assert_eq(notice_put(&out, &notice), NOTICE_FINE);
		cr_assert(out.overflow);
		cr_assert_eq(bytes[cap], 0xa5);
	}
}

/* --- text form */

static struct notice page;

static enum notice_fault
paged(const char *text)
{
	return notice_page_get(&page, str(text));
}

Test(notice, text_form_example)
{
	struct vector vector = vector_read("page-text");

	cr_assert_eq(notice_page_get(&page, vector_span(&vector)), NOTICE_FINE);
	cr_assert_eq(page.to, 0x2a);
	cr_assert_eq(page.from, 0);
	cr_assert_eq(page.time_ms, 0);
	cr_assert_eq(page.origin, NOTICE_OF_WEBPAGER);
	cr_assert(wire_span_equal(page.sender, str("backup")));
	cr_assert(wire_span_equal(page.text, str("hi")));
	cr_assert(!notice_has_id(&page));
}

Test(notice, text_form_takes_fields_in_any_order)
{
	cr_assert_eq(paged("notice 1\nid 000102030405060708090A0b0c0d0e0f\nfrom a b\n"
			   "to 0123456789abcdef\n\n\n line\n\n"),
		     NOTICE_FINE);
	cr_assert(notice_has_id(&page));
	cr_assert_arr_eq(page.id, "\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", NOTICE_ID_SIZE);
	cr_assert_eq(page.to, UINT64_C(0x0123456789abcdef));
	cr_assert(wire_span_equal(page.sender, str("a b")));
	/* Only one LF at its end is cut. */
	cr_assert(wire_span_equal(page.text, str("\n line\n")));
	cr_assert_eq(paged("notice 1\nto 1\n\nx"), NOTICE_FINE);
	cr_assert(wire_span_equal(page.text, str("x")));
}

Test(notice, text_form_refusals)
{
	page = example();
	cr_assert_eq(paged(""), NOTICE_MALFORMED);
	cr_assert_eq(paged("hello"), NOTICE_MALFORMED);
	cr_assert_eq(paged("notice 2\nto 1\n\nx"), NOTICE_MALFORMED);
	cr_assert_eq(paged("notice 1"), NOTICE_MALFORMED);
	cr_assert_eq(paged("notice 1\nto 1\nx"), NOTICE_MALFORMED);
	cr_assert_eq(paged("notice 1\nto 1\n"), NOTICE_MALFORMED);
	cr_assert_eq(paged("notice 1\n\nx"), NOTICE_NO_TARGET);
	cr_assert_eq(paged("notice 1\nto 1\n\n"), NOTICE_EMPTY);
	cr_assert_eq(paged("notice 1\nto 1\n\n\n"), NOTICE_EMPTY);
	cr_assert_eq(paged("notice 1\nto 0\n\nx"), NOTICE_BAD_TARGET);
	cr_assert_eq(paged("notice 1\nto \n\nx"), NOTICE_BAD_TARGET);
	cr_assert_eq(paged("notice 1\nto g\n\nx"), NOTICE_BAD_TARGET);
	cr_assert_eq(paged("notice 1\nto 00123456789abcdef\n\nx"), NOTICE_BAD_TARGET);
	cr_assert_eq(paged("notice 1\nto 1\r\n\nx"), NOTICE_BAD_TARGET);
	cr_assert_eq(paged("notice 1\nto 1\nid 0\n\nx"), NOTICE_BAD_ID);
	cr_assert_eq(paged("notice 1\nto 1\nid 00000000000000000000000000000000\n\nx"),
		     NOTICE_BAD_ID);
	cr_assert_eq(paged("notice 1\nto 1\nto 2\n\nx"), NOTICE_TWICE);
	cr_assert_eq(paged("notice 1\nto 1\nfrom a\nfrom a\n\nx"), NOTICE_TWICE);
	cr_assert_eq(paged("notice 1\nto 1\nurgent\n\nx"), NOTICE_UNKNOWN_FIELD);
	cr_assert_eq(paged("notice 1\nTo 1\n\nx"), NOTICE_UNKNOWN_FIELD);
	cr_assert_eq(notice_page_get(&page, wire_span("notice 1\nto 1\n\nx\0", 17)), NOTICE_NUL);
	cr_assert_eq(page.to, 0x2a);
}

Test(notice, text_form_is_bounded)
{
	static char bytes[NOTICE_PAGE_MAX + 2] = "notice 1\nto 1\n\n";
	size_t head = strlen(bytes);

	memset(bytes + head, 'x', sizeof bytes - head);
	cr_assert_eq(notice_page_get(&page, wire_span(bytes, head + NOTICE_TEXT_MAX)), NOTICE_FINE);
	cr_assert_eq(page.text.len, NOTICE_TEXT_MAX);
	cr_assert_eq(notice_page_get(&page, wire_span(bytes, head + NOTICE_TEXT_MAX + 1)),
		     NOTICE_TOO_LONG);
	cr_assert_eq(notice_page_get(&page, wire_span(bytes, NOTICE_PAGE_MAX + 1)),
		     NOTICE_TOO_LONG);
}

Test(notice, text_form_is_written)
{
	struct notice notice = example();
	uint8_t bytes[256];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	notice.sender = str("me");
	notice.text = str("two\nlines\n");
	cr_assert_eq(notice_page_put(&out, &notice), NOTICE_FINE);
	cr_assert_eq(notice_page_get(&page, wire_span(bytes, out.len)), NOTICE_FINE);
	check_same(&page, &notice);
	memset(notice.id, 0, sizeof notice.id);
	notice.sender.len = 0;
	out = wire_out(bytes, sizeof bytes);
	cr_assert_eq(notice_page_put(&out, &notice), NOTICE_FINE);
	cr_assert_eq(notice_page_get(&page, wire_span(bytes, out.len)), NOTICE_FINE);
	check_same(&page, &notice);
	notice.origin = NOTICE_OF_ORIGINAL;
	cr_assert_eq(notice_page_put(&out, &notice), NOTICE_BAD_SENDER);
	notice.text.len = 0;
	cr_assert_eq(notice_page_put(&out, &notice), NOTICE_EMPTY);
}

/* --- the original's form */

Test(notice, original_example)
{
	struct vector vector = vector_read("page-original");

	cr_assert_eq(notice_page_get(&page, vector_span(&vector)), NOTICE_FINE);
	cr_assert_eq(page.to, 6218895);
	cr_assert_eq(page.origin, NOTICE_OF_ORIGINAL);
	cr_assert(wire_span_equal(page.mail, str("a@b")));
	cr_assert(wire_span_equal(page.sender, str("N")));
	cr_assert(wire_span_equal(page.text, str("hi")));
	cr_assert(!notice_has_id(&page));
}

Test(notice, original_of_every_length_but_its_own_is_refused)
{
	struct vector vector = vector_read("page-original");

	for (size_t len = 0; len <= vector.len + 2; len++)
		cr_assert_eq(notice_page_get(&page, wire_span(vector.bytes, len)),
			     len == vector.len ? NOTICE_FINE : NOTICE_MALFORMED, "%zu bytes", len);
}

static enum notice_fault
original_with(size_t at, uint8_t byte)
{
	struct vector vector = vector_read("page-original");

	vector.bytes[at] = byte;
	return notice_page_get(&page, vector_span(&vector));
}

Test(notice, original_bytes_are_judged)
{
	for (size_t at = 0; at < 4; at++)
		cr_assert_eq(original_with(at, 0xee), NOTICE_MALFORMED);
	/* The sender's claim of an address means nothing. */
	cr_assert_eq(original_with(4, 0xee), NOTICE_FINE);
	cr_assert_eq(original_with(12, 3), NOTICE_MALFORMED);
	cr_assert_eq(original_with(12, 0), NOTICE_MALFORMED);
	cr_assert_eq(original_with(13, 0xff), NOTICE_MALFORMED);
	cr_assert_eq(original_with(14, 0), NOTICE_NUL);
	cr_assert_eq(original_with(14, '\n'), NOTICE_BAD_SENDER);
	cr_assert_eq(original_with(17, 'x'), NOTICE_MALFORMED);
	cr_assert_eq(original_with(25, '\n'), NOTICE_FINE);
}

static void
put_string(struct wire_out *out, size_t len)
{
	uint8_t prefix[] = { (uint8_t)((len + 1) & 0xff), (uint8_t)((len + 1) >> 8) };

	wire_out_bytes(out, prefix, sizeof prefix);
	for (size_t i = 0; i < len; i++)
		wire_out_bytes(out, "s", 1);
	wire_out_bytes(out, "", 1);
}

static enum notice_fault
original_of(size_t mail, size_t name, size_t text)
{
	static uint8_t bytes[1024];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	wire_out_bytes(&out, "\x09\x07\x02\x01\x0a\x0a\x0a\x02\x01\0\0\0", 12);
	put_string(&out, mail);
	put_string(&out, name);
	put_string(&out, text);
	cr_assert(!out.overflow);
	return notice_page_get(&page, wire_span(bytes, out.len));
}

Test(notice, original_bounds_and_one_over)
{
	cr_assert_eq(original_of(64, 32, 450), NOTICE_FINE);
	cr_assert_eq(page.text.len, 450);
	cr_assert_eq(page.to, 1);
	cr_assert_eq(original_of(0, 0, 1), NOTICE_FINE);
	cr_assert_eq(original_of(0, 0, 0), NOTICE_EMPTY);
	cr_assert_eq(original_of(65, 32, 450), NOTICE_TOO_LONG);
	cr_assert_eq(original_of(64, 33, 450), NOTICE_TOO_LONG);
	cr_assert_eq(original_of(64, 32, 451), NOTICE_TOO_LONG);
}

/* --- answers */

Test(notice, answers)
{
	struct notice notice = example();
	uint8_t bytes[NOTICE_ANSWER_MAX], id[NOTICE_ID_SIZE] = { 0 };
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct wire_span reason;

	notice_put_ok(&out, notice.id);
	cr_assert(wire_span_equal(wire_span(bytes, out.len),
				  str("ok 07070707070707070707070707070707\n")));
	cr_assert(notice_answer_get(id, &reason, wire_span(bytes, out.len)));
	cr_assert_arr_eq(id, notice.id, NOTICE_ID_SIZE);
#define X(fault, name)                                                         \
	out = wire_out(bytes, sizeof bytes);                                   \
	notice_put_refused(&out, fault);                                       \
	cr_assert(!out.overflow);                                              \
	cr_assert(!notice_answer_get(id, &reason, wire_span(bytes, out.len))); \
	cr_assert(wire_span_equal(reason, str(name)));
	NOTICE_FAULTS(X)
#undef X
	cr_assert(!notice_answer_get(id, &reason, str("ok 07\n")));
	cr_assert_eq(reason.len, 0);
	cr_assert(!notice_answer_get(id, &reason, str("")));
	cr_assert(!notice_answer_get(id, &reason, str("refused x")));
	cr_assert_eq(reason.len, 0);
}
