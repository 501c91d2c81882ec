/*
 * test_hosts_table.c - which table of hosts is in force: hosts.tab or an applied one, by what was
 * accepted last.
 */
#include "relay/hosts_table.h"
#include "tests/config_site.h"

TestSuite(hosts_table, .init = set_up, .fini = tear_down);

#define LINE(id) id ":msu:library:msu.example:127.0.0.1\n"

/* As the control process does after it took a configuration over. */
static void
accept_loaded(void)
{
	char text[HOSTS_ACCEPTED_MAX];

	temp_write_bytes("logs/" HOSTS_TABLE_ACCEPTED, text,
			 hosts_accepted_format(text, &config.accepted));
}

/* As it does for `hosts apply`. */
static void
apply_text(const char *text)
{
	struct config_table table = { .bytes = text, .len = strlen(text), .name = "sent" };

	source.table = &table;
	cr_assert(load());
	source.table = NULL;
	temp_write("logs/" HOSTS_TABLE_APPLIED, text);
	accept_loaded();
}

static void
expect_from(const char *path, bool applied, const char *id)
{
	char full[256];

	cr_assert(load());
	cr_assert_str_eq(config.hosts_path, in_dir(full, sizeof full, path));
	cr_assert_eq(config.accepted.applied, applied);
	cr_assert_eq(config.host_count, 1);
	cr_assert_str_eq(config.hosts[0].id, id);
}

Test(hosts_table, the_file_without_any_note)
{
	temp_write("hosts.tab", LINE("msul1"));
	expect_from("hosts.tab", false, "msul1");
	says_nothing();
	cr_assert_eq(config.accepted.file.size, strlen(LINE("msul1")));
	cr_assert_gt(config.accepted.file.mtime_ns, 0);
	cr_assert_str_eq(hosts_accepted_source(&config.accepted), "hosts_file");
}

Test(hosts_table, an_applied_one_without_a_note_is_none)
{
	temp_write("hosts.tab", LINE("msul1"));
	temp_write("logs/hosts.tab", LINE("other"));
	expect_from("hosts.tab", false, "msul1");
	says_nothing();
}

Test(hosts_table, the_applied_one_stays_until_the_file_differs)
{
	temp_write("hosts.tab", LINE("msul1"));
	cr_assert(load());
	accept_loaded();
	expect_from("hosts.tab", false, "msul1");

	apply_text(LINE("applied1"));
	cr_assert_str_eq(hosts_accepted_source(&config.accepted), "applied");
	expect_from("logs/hosts.tab", true, "applied1");
	says_nothing();
	/* Written again as it was: nobody wanted a change. */
	temp_write("hosts.tab", LINE("msul1"));
	expect_from("logs/hosts.tab", true, "applied1");
	apply_text(LINE("applied2"));
	expect_from("logs/hosts.tab", true, "applied2");

	temp_write("hosts.tab", LINE("msul2"));
	expect_from("hosts.tab", false, "msul2");
	accept_loaded();
	/* Accepted later than the applied one: the text of before is a new one again. */
	temp_write("hosts.tab", LINE("msul1"));
	expect_from("hosts.tab", false, "msul1");
	says_nothing();
}

/* Changed, but not read, before the other was applied: it is still news. */
Test(hosts_table, what_was_never_accepted_is_newer)
{
	temp_write("hosts.tab", LINE("msul1"));
	cr_assert(load());
	struct hosts_accepted before = config.accepted;
	temp_write("hosts.tab", LINE("msul2"));
	source.accepted = &before;
	apply_text(LINE("applied1"));
	source.accepted = NULL;
	expect_from("hosts.tab", false, "msul2");
}

Test(hosts_table, a_missing_or_broken_file_leaves_the_applied_one)
{
	char path[256];

	temp_write("hosts.tab", LINE("msul1"));
	cr_assert(load());
	accept_loaded();
	apply_text(LINE("applied1"));
	temp_write_bytes("hosts.tab", "a:b:c:d:e\nf\0g\n", 14);
	expect_from("logs/hosts.tab", true, "applied1");
	says(REPORT_ERROR, "hosts.tab", 2, "a NUL byte");
	says(REPORT_ERROR, "hosts.tab", 0, "the table that was applied stays");

	char *longest = malloc(70000);
	memset(longest, 'x', 70000);
	memcpy(longest, LINE("early1"), strlen(LINE("early1")));
	temp_write_bytes("hosts.tab", longest, 70000);
	free(longest);
	expect_from("logs/hosts.tab", true, "applied1");
	says(REPORT_ERROR, "hosts.tab", 2, "a line over");

	cr_assert_eq(unlink(in_dir(path, sizeof path, "hosts.tab")), 0);
	expect_from("logs/hosts.tab", true, "applied1");
	says(REPORT_WARNING, "hosts.tab", 0, "not there");
	cr_assert_eq(report.count, 1);
	/* Back as it was. */
	temp_write("hosts.tab", LINE("msul1"));
	expect_from("logs/hosts.tab", true, "applied1");
	says_nothing();
}

Test(hosts_table, who_removes_the_applied_one_returns)
{
	char path[256];

	temp_write("hosts.tab", LINE("msul1"));
	cr_assert(load());
	accept_loaded();
	apply_text(LINE("applied1"));
	cr_assert_eq(unlink(in_dir(path, sizeof path, "logs/hosts.tab")), 0);
	expect_from("hosts.tab", false, "msul1");
	says(REPORT_WARNING, "logs/hosts.tab", 0, "back to hosts_file");
	cr_assert_eq(unlink(in_dir(path, sizeof path, "hosts.tab")), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 0, "No such file");
}

/* What cannot be read might be the one in force: nothing is guessed. */
Test(hosts_table, a_broken_applied_one_is_refused)
{
	temp_write("hosts.tab", LINE("msul1"));
	cr_assert(load());
	accept_loaded();
	apply_text(LINE("applied1"));
	temp_write_bytes("logs/hosts.tab", "\0", 1);
	cr_assert_not(load());
	says(REPORT_FATAL, "logs/hosts.tab", 1, "a NUL byte");
	/* But a newer file does not need it. */
	temp_write("hosts.tab", LINE("msul2"));
	expect_from("hosts.tab", false, "msul2");
}

Test(hosts_table, a_note_that_is_none)
{
	static const char *const notes[] = {
		"",
		"#",
		"table applied",
		"table other\nsize 1\nmtime 1\nhash 1\n",
		"table applied\nsize x\nmtime 1\nhash 1\n",
		"table applied\nsize -1\nmtime 1\nhash 1\n",
		"table applied\nsize 1\nmtime 1 2\nhash 1\n",
		"table applied\nsize 1\nmtime 99999999999999999999\nhash 1\n",
		"table applied\nsize 1\nmtime 1\nhash 11111111111111111\n",
		"table applied\nmtime 1\nsize 1\nhash 1\n",
		"table applied\nsize 1\nmtime 1\nhash ",
		"table applied\nsize 1\nmtime -\nhash 1\n",
		"table applied\nsize 1\nmtime -99999999999999999999\nhash 1\n",
		"table applied\nsize 1\nmtime  1\nhash 1\n",
	};
	struct hosts_accepted accepted;

	temp_write("hosts.tab", LINE("msul1"));
	temp_write("logs/hosts.tab", LINE("applied1"));
	for (size_t i = 0; i < COUNT_OF(notes); i++) {
		cr_assert_not(hosts_accepted_parse(&accepted, notes[i]), "%zu", i);
		cr_assert_not(accepted.applied);
		temp_write("logs/" HOSTS_TABLE_ACCEPTED, notes[i]);
		expect_from("hosts.tab", false, "msul1");
		says(REPORT_WARNING, "logs/hosts.accepted", 0, "not understood");
	}
}

Test(hosts_table, a_note_comes_back_as_it_was)
{
	const struct hosts_accepted notes[] = {
		{ .applied = false },
		{ .applied = true, .file = { .size = 1, .hash = 2, .mtime_ns = 3 } },
		{ .applied = true, .file = { .size = 1, .hash = 2, .mtime_ns = -3 } },
		{ .applied = true,
		  .file = { .size = UINT64_MAX, .hash = UINT64_MAX, .mtime_ns = INT64_MAX } },
	};
	struct hosts_accepted back;
	char text[HOSTS_ACCEPTED_MAX];

	for (size_t i = 0; i < COUNT_OF(notes); i++) {
		size_t len = hosts_accepted_format(text, &notes[i]);
		cr_assert_lt(len, sizeof text);
		cr_assert_eq(len, strlen(text));
		cr_assert(hosts_accepted_parse(&back, text));
		cr_assert(hosts_accepted_same(&back, &notes[i]));
		cr_assert_eq(back.file.mtime_ns, notes[i].file.mtime_ns);
		/* Cut anywhere it is none. */
		for (size_t cut = 0; cut < len; cut++) {
			char part[HOSTS_ACCEPTED_MAX];
			memcpy(part, text, cut);
			part[cut] = '\0';
			cr_assert_not(hosts_accepted_parse(&back, part), "cut at %zu", cut);
		}
	}
}

Test(hosts_table, what_was_sent_is_judged_like_a_file)
{
	static const char bytes[] = "a:b:c:d:127.0.0.1\nno host\nb:b:c:d:12\0";
	struct config_table table = { .bytes = bytes, .len = sizeof bytes - 1, .name = "/sent" };

	source.table = &table;
	cr_assert_not(load());
	says(REPORT_FATAL, "/sent", 3, "a NUL byte");
	table.len--;
	cr_assert(load());
	says(REPORT_WARNING, "/sent", 2, "ignored");
	cr_assert_eq(config.host_count, 2);
	cr_assert_str_eq(config.hosts_path, "/sent");
	cr_assert(config.accepted.applied);
	table.len = 0;
	table.bytes = NULL;
	cr_assert(load());
	says(REPORT_WARNING, "/sent", 0, "no usable host");
}
