/*
 * test_ctl_table.c - what people see: alignment, units, quantiles, and that nothing of the daemon's
 * can play with the terminal.
 */
#include "relay/ctl_table.h"

#include "relay/ctl_units.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static Relay__Control__Reply reply;

/* To be freed. */
static char *
shown(bool detail, bool raw)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ctl_table_print(out, &reply, detail ? "hosts show" : "config reload", raw ? 0 : SIZE_MAX);
	fclose(out);
	return text;
}

static void
expect(bool detail, bool raw, const char *expected)
{
	char *text = shown(detail, raw);

	cr_assert_str_eq(text, expected);
	free(text);
}

Test(ctl_table, has_human_units)
{
	static const struct {
		uint64_t value;
		const char *bytes;
		const char *duration;
	} cases[] = {
		{ 0, "0", "0" },
		{ 1, "1B", "1us" },
		{ 999, "999B", "999us" },
		{ 1023, "1023B", "1.0ms" },
		{ 1024, "1.0KiB", "1.0ms" },
		{ 1536, "1.5KiB", "1.5ms" },
		{ 10 * 1024, "10KiB", "10ms" },
		{ 999400, "976KiB", "999ms" },
		{ 999600, "976KiB", "1.0s" },
		{ 1048575, "1.0MiB", "1.0s" },
		{ 59940000, "57MiB", "59.9s" },
		{ 59990000, "57MiB", "0m59s" },
		{ 61000000, "58MiB", "1m01s" },
		{ 3600000000u, "3.4GiB", "1h00m" },
		{ 90000000000u, "84GiB", "1d01h" },
		{ UINT64_MAX, "16EiB", "213503982d08h" },
	};

	char text[CTL_UNIT_SIZE];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cr_assert_str_eq(ctl_bytes(text, cases[i].value), cases[i].bytes);
		cr_assert_str_eq(ctl_duration(text, cases[i].value), cases[i].duration);
	}
	setenv("TZ", "UTC", 1);
	cr_assert_str_eq(ctl_moment(text, 0), "-");
	cr_assert_str_eq(ctl_moment(text, 1709251199u * (uint64_t)1000000), "2024-02-29 23:59:59");
	cr_assert_neq(strlen(ctl_moment(text, UINT64_MAX)), 0);
}

Test(ctl_table, finds_quantiles)
{
	Relay__Control__Histogram now;
	Relay__Control__Histogram before;
	uint64_t bounds[] = { 100, 200, 1000 };
	uint64_t counts[] = { 50, 40, 9, 1 };
	uint64_t old[] = { 50, 40, 0, 1 };
	char text[CTL_UNIT_SIZE];

	relay__control__histogram__init(&now);
	relay__control__histogram__init(&before);
	cr_assert_str_eq(ctl_quantile(text, NULL, NULL, 50), "-");
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 50), "-");
	now.n_bound_us = before.n_bound_us = 3;
	now.bound_us = before.bound_us = bounds;
	now.n_count = before.n_count = 4;
	now.count = counts;
	before.count = old;
	cr_assert_eq(ctl_histogram_total(&now), 100);
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 25), "50us");
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 50), "100us");
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 90), "200us");
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 99), "1.0ms");
	cr_assert_str_eq(ctl_quantile(text, &now, NULL, 100), ">1.0ms");
	/* Since then only the third bucket grew. */
	cr_assert_eq(ctl_quantile_us(&now, &before, 50), 600);
	cr_assert_str_eq(ctl_quantile(text, &now, &now, 50), "-");
	/* One that began anew counts from zero. */
	old[0] = 3;
	cr_assert_eq(ctl_quantile_us(&before, &now, 50), 50);
	now.bound_us[0] = UINT64_MAX;
	cr_assert_neq(strlen(ctl_quantile(text, &now, NULL, 10)), 0);
}

static void
expect_clean(const char *text, size_t len, int lines, const char *expected)
{
	char *clean = ctl_clean(text, len, lines);

	cr_assert_str_eq(clean, expected);
	free(clean);
}

Test(ctl_table, cleans_what_a_terminal_would_obey)
{
	expect_clean("\x1b[2J\a\r\n\t", 8, false, "?[2J????");
	expect_clean("a\nb\tc\r", 6, true, "a\nb\tc?");
	expect_clean("a\0b", 3, false, "a?b");
	expect_clean("\xc2\x9b\x33", 3, false, "?3");
	expect_clean("gr\xc3\xbcn", 5, false, "gr\xc3\xbcn");
	expect_clean("\xff\xc0\x80\xed\xa0\x80", 6, false, "??????");
	expect_clean("x\xe2\x80\xaey", 5, false, "x?y");
	expect_clean("\xe2\x82", 2, false, "??");
	expect_clean("\xf4\x90\x80\x80", 4, false, "????");
	cr_assert_eq(ctl_width("gr\xc3\xbcn"), 4);
}

Test(ctl_table, aligns_columns_and_marks_what_is_empty)
{
	Relay__Control__Limits limits;
	Relay__Control__Limit limit[2];
	Relay__Control__Limit *rows[] = { &limit[0], &limit[1] };
	char clients[] = "clients";
	char name[] = "gr\xc3\xb6\xc3\x9f"
		      "e\x1b";
	char unit[] = "B";
	char bytes[] = "bytes";

	relay__control__reply__init(&reply);
	relay__control__limits__init(&limits);
	relay__control__limit__init(&limit[0]);
	relay__control__limit__init(&limit[1]);
	limit[0].name = clients;
	limit[0].used = 7;
	limit[0].max = 100000;
	limit[1].name = name;
	limit[1].used = 12345678;
	limit[1].unit = unit;
	limits.n_limit = 2;
	limits.limit = rows;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_LIMITS;
	reply.limits = &limits;
	expect(false, false,
	       "LIMIT        USED     MAX  UNIT\n"
	       "clients         7  100000  -\n"
	       "gr\xc3\xb6\xc3\x9f"
	       "e?   12345678       0  B\n");
	limit[1].unit = bytes;
	limit[1].name = clients;
	expect(false, false,
	       "LIMIT     USED     MAX  UNIT\n"
	       "clients      7  100000  -\n"
	       "clients  12MiB       0  bytes\n");
	limits.n_limit = 0;
	expect(false, false, "LIMIT  USED  MAX  UNIT\n");
}

Test(ctl_table, shows_one_host_as_lines)
{
	Relay__Control__Hosts hosts;
	Relay__Control__Host host;
	Relay__Control__Host *rows[] = { &host };
	Relay__Control__Gauges gauges;
	Relay__Control__Setting setting;
	Relay__Control__Setting *settings[] = { &setting };
	char id[] = "msul1";
	char state[] = "up";
	char key[] = "links_max";
	char value[] = "5";
	uint32_t workers[] = { 0, 1 };
	char *text;

	relay__control__reply__init(&reply);
	relay__control__hosts__init(&hosts);
	relay__control__host__init(&host);
	relay__control__gauges__init(&gauges);
	relay__control__setting__init(&setting);
	host.id = id;
	host.state = state;
	host.n_worker = 2;
	host.worker = workers;
	host.gauges = &gauges;
	gauges.queue_bytes = 2048;
	gauges.queue_age_us = 1500;
	setting.name = key;
	setting.value = value;
	host.n_setting = 1;
	host.setting = settings;
	hosts.n_host = 1;
	hosts.host = rows;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HOSTS;
	reply.hosts = &hosts;
	text = shown(true, false);
	cr_assert_not_null(strstr(text, "id            msul1\nstate         up\n"), "%s", text);
	cr_assert_not_null(strstr(text, "worker        0, 1\n"), "%s", text);
	cr_assert_not_null(strstr(text, "queue bytes   2.0KiB\nqueue age     1.5ms\n"), "%s", text);
	cr_assert_not_null(strstr(text, "last log      -\n\nSETTING    VALUE\nlinks_max  5\n"),
			   "%s", text);
	free(text);
	text = shown(false, false);
	cr_assert_eq(strncmp(text, "HOST   STATE  ADDRESS  PORT  WORKER", 35), 0, "%s", text);
	cr_assert_not_null(strstr(text, "\nmsul1  up     -           0  0, 1"), "%s", text);
	free(text);
}

Test(ctl_table, says_when_a_message_is_tried_again_if_it_is)
{
	Relay__Control__Delayed delayed;
	Relay__Control__DelayedMessage message[2];
	Relay__Control__DelayedMessage *rows[] = { &message[0], &message[1] };
	char name[] = "1.msul1";

	relay__control__reply__init(&reply);
	relay__control__delayed__init(&delayed);
	for (size_t i = 0; i < 2; i++) {
		relay__control__delayed_message__init(&message[i]);
		message[i].name = name;
	}
	message[1].next_us = 2000000;
	delayed.n_message = 2;
	delayed.message = rows;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_DELAYED;
	reply.delayed = &delayed;
	expect(false, true,
	       "NAME     HOST  STATE  BYTES  AGE  ATTEMPTS  NEXT TRY\n"
	       "1.msul1  -     -          0    0         0         -\n"
	       "1.msul1  -     -          0    0         0      2.0s\n");
}

Test(ctl_table, shows_the_statistics_of_one_host_as_lines)
{
	Relay__Control__Stats stats;
	Relay__Control__HostStats host;
	Relay__Control__HostStats *rows[] = { &host };
	Relay__Control__Counters counters;
	char id[] = "msul1";
	char *text;

	relay__control__reply__init(&reply);
	relay__control__stats__init(&stats);
	relay__control__host_stats__init(&host);
	relay__control__counters__init(&counters);
	host.id = id;
	host.counters = &counters;
	counters.requests = 7;
	stats.n_host = 1;
	stats.host = rows;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_STATS;
	reply.stats = &stats;
	text = shown(false, false);
	cr_assert_eq(strncmp(text, "id                msul1\nrequests          7\n", 44), 0, "%s",
		     text);
	cr_assert_null(strstr(text, "version"), "%s", text);
	free(text);
	stats.total = &counters;
	text = shown(false, false);
	cr_assert_not_null(strstr(text, "\nHOST   REQUESTS  "), "%s", text);
	cr_assert_not_null(strstr(text, "version"), "%s", text);
	free(text);
}

Test(ctl_table, text_is_raw_only_where_no_terminal_is)
{
	Relay__Control__Text text;
	uint8_t bytes[] = "a\x1b[31m\nb";

	relay__control__reply__init(&reply);
	relay__control__text__init(&text);
	text.text.data = bytes;
	text.text.len = sizeof bytes - 1;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_TEXT;
	reply.text = &text;
	expect(false, true, "a\x1b[31m\nb\n");
	expect(false, false, "a?[31m\nb\n");
}

Test(ctl_table, says_what_changed_and_what_is_wrong)
{
	Relay__Control__Changes changes;
	Relay__Control__Finding finding;
	Relay__Control__Finding *findings[] = { &finding };
	char line[] = "+ msul9\n";
	char *lines[] = { line };
	char severity[] = "error";
	char file[] = "hosts.tab";
	char why[] = "no port\x1b";
	char error[] = "refused: hosts.tab:12: no port\x1b";
	char *text = NULL;
	size_t len;
	FILE *out;

	relay__control__reply__init(&reply);
	relay__control__changes__init(&changes);
	changes.n_line = 1;
	changes.line = lines;
	changes.added = 1;
	changes.unchanged = 3;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
	reply.changes = &changes;
	expect(false, false, "+ msul9?\nnot applied: 1 added, 0 removed, 0 changed, 3 unchanged\n");
	reply.generation = 7;
	changes.applied = true;
	expect(false, false,
	       "+ msul9?\napplied: 1 added, 0 removed, 0 changed, 3 unchanged; generation 7\n");
	/* Not of the configuration: the line is all. */
	expect(true, false, "+ msul9?\n");

	relay__control__finding__init(&finding);
	finding.severity = severity;
	finding.file = file;
	finding.line = 12;
	finding.text = why;
	reply.n_findings = 1;
	reply.findings = findings;
	out = open_memstream(&text, &len);
	ctl_table_findings(out, &reply);
	fclose(out);
	cr_assert_str_eq(text, "error: hosts.tab:12: no port?\n");
	free(text);
	reply.error = error;
	out = open_memstream(&text, &len);
	ctl_table_findings(out, &reply);
	fclose(out);
	cr_assert_str_eq(text, "");
	free(text);
}
