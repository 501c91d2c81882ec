/*
 * test_ctl_json.c - messages as JSON: names, escapes, 64-bit numbers, bytes that are no text, what
 * is not set.
 */
#include "relay/ctl_json.h"

#include "control.pb-c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* To be freed. */
static char *
json(const void *message, bool indent)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ctl_json_print(out, message, indent);
	fclose(out);
	return text;
}

static void
expect(const void *message, const char *expected)
{
	char *text = json(message, false);

	cr_assert_str_eq(text, expected);
	free(text);
}

static void
expect_bytes(const char *bytes, size_t len, const char *expected)
{
	Relay__Control__Text text;
	uint8_t copy[64];

	relay__control__text__init(&text);
	memcpy(copy, bytes, len);
	text.text.data = len ? copy : NULL;
	text.text.len = len;
	expect(&text, expected);
}

Test(ctl_json, escapes_texts)
{
	Relay__Control__Setting setting;
	char name[] = "a\"b\\c\n\r\t\b\f\x1b[31m\x7f/";
	char value[] = "\xc2\x9b gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80";

	relay__control__setting__init(&setting);
	setting.name = name;
	setting.value = value;
	expect(&setting, "{\"name\":\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u001b[31m\\u007f/\","
			 "\"value\":\"\\u009b gr\xc3\xbc\xc3\x9f \xe2\x82\xac "
			 "\xf0\x9f\x98\x80\"}");
}

Test(ctl_json, bytes_are_text_or_base64)
{
	expect_bytes("", 0, "{\"text\":\"\"}");
	expect_bytes("ok: 1\n", 6, "{\"text\":\"ok: 1\\n\"}");
	expect_bytes("\xff", 1, "{\"text\":\"/w==\"}");
	expect_bytes("\xff\xfe", 2, "{\"text\":\"//4=\"}");
	expect_bytes("\xff\xfe\xfd", 3, "{\"text\":\"//79\"}");
	expect_bytes("a\0b", 3, "{\"text\":\"YQBi\"}");
	expect_bytes("\xed\xa0\x80", 3, "{\"text\":\"7aCA\"}");
}

Test(ctl_json, numbers_are_whole_and_lists_keep_their_order)
{
	Relay__Control__Histogram histogram;
	uint64_t bounds[] = { 1, 1000 };
	uint64_t counts[] = { 0, 18446744073709551615u, 7 };

	relay__control__histogram__init(&histogram);
	expect(&histogram, "{\"bound_us\":[],\"count\":[],\"sum_us\":0}");
	histogram.n_bound_us = 2;
	histogram.bound_us = bounds;
	histogram.n_count = 3;
	histogram.count = counts;
	histogram.sum_us = 9007199254740993;
	expect(&histogram, "{\"bound_us\":[1,1000],\"count\":[0,18446744073709551615,7],"
			   "\"sum_us\":9007199254740993}");
}

Test(ctl_json, only_the_member_of_a_oneof_that_is_set)
{
	Relay__Control__Reply reply;
	Relay__Control__Health health;
	char status[] = "degraded";
	char first[] = "one";
	char second[] = "two";
	char *reasons[] = { first, second };

	relay__control__reply__init(&reply);
	relay__control__health__init(&health);
	health.status = status;
	health.live = true;
	health.n_reason = 2;
	health.reason = reasons;
	reply.id = 3;
	reply.code = RELAY__CONTROL__CODE__NOT_FOUND;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HEALTH;
	reply.health = &health;
	expect(&reply, "{\"id\":3,\"code\":\"NOT_FOUND\",\"error\":\"\",\"findings\":[],"
		       "\"generation\":0,\"next_cursor\":\"\",\"more\":false,\"health\":{"
		       "\"status\":\"degraded\",\"live\":true,\"ready\":false,"
		       "\"reason\":[\"one\",\"two\"]}}");
	reply.body_case = RELAY__CONTROL__REPLY__BODY__NOT_SET;
	reply.code = (Relay__Control__Code)4711;
	expect(&reply, "{\"id\":3,\"code\":4711,\"error\":\"\",\"findings\":[],"
		       "\"generation\":0,\"next_cursor\":\"\",\"more\":false}");
}

Test(ctl_json, messages_that_are_not_set_are_left_out)
{
	Relay__Control__HostStats stats;
	Relay__Control__Gauges gauges;
	char id[] = "msul1";

	relay__control__host_stats__init(&stats);
	stats.id = id;
	expect(&stats, "{\"id\":\"msul1\"}");
	relay__control__gauges__init(&gauges);
	gauges.clients = 4;
	stats.gauges = &gauges;
	expect(&stats, "{\"id\":\"msul1\",\"gauges\":{\"clients\":4,\"links\":0,\"links_ready\":0,"
		       "\"in_flight\":0,\"queue_length\":0,\"queue_bytes\":0,\"queue_age_us\":0,"
		       "\"delayed\":0,\"peer_expires\":0}}");
}

Test(ctl_json, is_laid_out_for_reading)
{
	static const char *const skip[] = { "line", NULL };
	Relay__Control__Limits limits;
	Relay__Control__Limit limit;
	Relay__Control__Limit *rows[] = { &limit };
	Relay__Control__Finding finding;
	char name[] = "memory";
	char *text = NULL;
	size_t len;
	FILE *out;

	relay__control__limits__init(&limits);
	relay__control__limit__init(&limit);
	limit.name = name;
	limits.n_limit = 1;
	limits.limit = rows;
	text = json(&limits, true);
	cr_assert_str_eq(text, "{\n  \"limit\": [\n    {\n      \"name\": \"memory\",\n"
			       "      \"used\": 0,\n      \"max\": 0,\n      \"unit\": \"\"\n"
			       "    }\n  ]\n}");
	free(text);
	relay__control__finding__init(&finding);
	out = open_memstream(&text, &len);
	ctl_json_print_without(out, &finding.base, false, skip);
	fclose(out);
	cr_assert_str_eq(text, "{\"severity\":\"\",\"file\":\"\",\"text\":\"\"}");
	free(text);
}
