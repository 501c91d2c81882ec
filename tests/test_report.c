/*
 * test_report.c - the bounded list of findings.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/report.h"

Test(report, is_bounded)
{
	char text[REPORT_TEXT_MAX + 64];
	static struct report many;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (unsigned i = 1; i <= REPORT_MAX + 10; i++)
		report_add(&many, REPORT_WARNING, "file", i, "%s", text);
	cr_assert_eq(many.count, REPORT_MAX);
	cr_assert_eq(many.dropped, 10);
	cr_assert_eq(many.totals[REPORT_WARNING], REPORT_MAX + 10);
	cr_assert_eq(strlen(many.entries[0].text), REPORT_TEXT_MAX - 1);

	/* What refuses the configuration is never lost among warnings. */
	report_add(&many, REPORT_FATAL, "bad\nname", 7, "escape \x1b[2J");
	cr_assert_eq(many.count, REPORT_MAX);
	const struct report_entry *last = &many.entries[REPORT_MAX - 1];
	cr_assert_eq(last->severity, REPORT_FATAL);
	cr_assert_str_eq(last->file, "bad?name");
	cr_assert_str_eq(last->text, "escape ?[2J");
	report_fini(&many);
	cr_assert_eq(many.count, 0);
}

Test(report, print)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	static struct report few;

	report_add(&few, REPORT_WARNING, "a.conf", 3, "one");
	report_add(&few, REPORT_ERROR, "b.tab", 0, "two");
	report_add(&few, REPORT_FATAL, NULL, 0, "three");
	report_print(out, &few);
	fclose(out);
	cr_assert_str_eq(text, "a.conf:3: warning: one\nb.tab: error: two\nfatal: three\n");
	free(text);
	report_fini(&few);
}
