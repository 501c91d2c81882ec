/*
 * test_legacy_log.c - the lines of the original's log and status files, byte for byte.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/legacy_log.h"

/* Fri Nov 20 22:02:54 2026 in a zone that is one hour ahead. */
#define MOMENT 1795208574
#define WHEN   "Fri Nov 20 22:02:54 2026"

static void
set_zone(void)
{
	setenv("TZ", "XXX-1", 1);
	tzset();
}

TestSuite(legacy_log, .init = set_zone);

static char line[LEGACY_LOG_LINE_MAX];

/* The last line composed, as a string. */
static const char *
text(size_t len)
{
	cr_assert_lt(len, sizeof line);
	line[len] = '\0';
	cr_assert_eq(strlen(line), len);
	return line;
}

Test(legacy_log, time_is_that_of_ctime)
{
	static const time_t moments[] = { 0, 1, MOMENT, 951782400, 4102444799, -1 };
	char ours[LEGACY_LOG_TIME_MAX], theirs[64];

	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		cr_assert_not_null(ctime_r(&moments[i], theirs));
		theirs[strlen(theirs) - 1] = '\0';
		cr_assert_str_eq(legacy_log_time(ours, moments[i]), theirs);
	}
	cr_assert_str_eq(legacy_log_time(ours, MOMENT), WHEN);
	/* The day is padded with a blank. */
	cr_assert_str_eq(legacy_log_time(ours, 1796083200), "Tue Dec  1 01:00:00 2026");
	/* Far years: ctime gives up, we do not; what no struct tm can hold is said to be unknown.
	 */
	cr_assert_str_eq(legacy_log_time(ours, 67768036191673199),
			 "Wed Dec 31 23:59:59 2147485547");
	cr_assert_str_eq(legacy_log_time(ours, (time_t)INT64_MAX), "?");
}

Test(legacy_log, log_line)
{
	struct legacy_log_text none = { 0 };
	struct legacy_log_text status = { .at = MOMENT - 54, .text = "Connecting" };

	size_t len = legacy_log_line(line, sizeof line, MOMENT, 4711, "PARENT", none,
				     "Attempting to start child for server remhub3");
	cr_assert_str_eq(text(len), WHEN " (4711) [PARENT] []: "
					 "Attempting to start child for server remhub3\n");
	len = legacy_log_line(line, sizeof line, MOMENT, 1, "remhub3", status, "remhub3 online");
	cr_assert_str_eq(text(len), WHEN
			 " (1) [remhub3] [Fri Nov 20 22:02:00 2026: Connecting]: remhub3 online\n");
	status.text = "";
	len = legacy_log_line(line, sizeof line, MOMENT, 1, "h", status, "");
	cr_assert_str_eq(text(len), WHEN " (1) [h] []: \n");
}

Test(legacy_log, a_message_stays_one_line)
{
	struct legacy_log_text status = { .at = MOMENT, .text = "a\tb\r" };

	size_t len = legacy_log_line(line, sizeof line, MOMENT, 1, "h\n1", status,
				     "one\ntwo\x1b[31m\x7f caf\xc3\xa9 \\ \\x0a \\\\x");
	cr_assert_str_eq(text(len), WHEN " (1) [h\\x0a1] [" WHEN ": a\\x09b\\x0d]: "
					 "one\\x0atwo\\x1b[31m\\x7f caf\xc3\xa9 "
					 "\\ \\x5cx0a \\\\x5cx\n");
}

/* Whatever the room: it ends in LF, and nothing behind it is touched. */
Test(legacy_log, a_long_line_is_cut_at_any_byte)
{
	struct legacy_log_text status = { .at = MOMENT, .text = "status" };
	char whole[256], cut[256];
	size_t full = legacy_log_line(whole, sizeof whole, MOMENT, 1, "h", status, "long\nmessage");

	for (size_t size = 2; size <= full + 1; size++) {
		memset(cut, 'z', sizeof cut);
		size_t len = legacy_log_line(cut, size, MOMENT, 1, "h", status, "long\nmessage");
		cr_assert_eq(len, size < full ? size : full);
		cr_assert_eq(memcmp(cut, whole, len - 1), 0);
		cr_assert_eq(cut[len - 1], '\n');
		cr_assert_eq(cut[len], 'z');
	}
}

Test(legacy_log, perm_line)
{
	static const char expected[] = "1795208574:S:remhub3:encrypt:echo:sd:" WHEN "\n";

	size_t len = legacy_log_perm_line(line, sizeof line, MOMENT, "remhub3",
					  wire_span_str("encrypt:echo:sd"));
	cr_assert_str_eq(text(len), expected);
	len = legacy_log_perm_line(line, sizeof line, MOMENT, "h", wire_span(NULL, 0));
	cr_assert_str_eq(text(len), "1795208574:S:h::" WHEN "\n");
	len = legacy_log_perm_line(line, sizeof line, MOMENT, "h", wire_span("a\0b\xff\r\\x", 7));
	cr_assert_str_eq(text(len), "1795208574:S:h:a\\x00b\xff\\x0d\\x5cx:" WHEN "\n");
}

/* Never cut: the need is told, for any room. */
Test(legacy_log, perm_line_tells_its_need)
{
	char whole[128], room[128];
	struct wire_span command = wire_span_str("put:a\nb");
	size_t need = legacy_log_perm_line(whole, sizeof whole, MOMENT, "h", command);

	for (size_t size = 0; size < sizeof room; size++) {
		memset(room, 'z', sizeof room);
		cr_assert_eq(legacy_log_perm_line(room, size, MOMENT, "h", command), need);
		if (size >= need)
			cr_assert_eq(memcmp(room, whole, need), 0);
		cr_assert_eq(room[size], 'z');
	}
}

Test(legacy_log, perm_line_of_the_longest_command)
{
	size_t len = (size_t)16 << 20;
	char *command = malloc(len), *out = malloc(len + 256);

	cr_assert(command != NULL && out != NULL);
	memset(command, 'x', len);
	size_t need = legacy_log_perm_line(out, len + 256, MOMENT, "h", wire_span(command, len));
	cr_assert_eq(need, len + strlen("1795208574:S:h::" WHEN "\n"));
	cr_assert_eq(out[need - 1], '\n');
	cr_assert_eq(memcmp(out + strlen("1795208574:S:h:"), command, len), 0);
	free(command);
	free(out);
}

Test(legacy_log, status_file)
{
	struct legacy_log_text status = { .at = MOMENT, .text = "Transaction" };
	struct legacy_log_text message = { .at = MOMENT - 54, .text = "h\tonline" };
	struct legacy_log_text none = { 0 };

	size_t len = legacy_log_status_head(line, sizeof line, MOMENT, 4711);
	cr_assert_str_eq(text(len), "LONC status " WHEN " - parent 4711\n\n");
	len = legacy_log_status_row(line, sizeof line, 4712, "remhub3", status, message);
	cr_assert_str_eq(text(len), "4712\tremhub3\t" WHEN ": Transaction\t"
				    "Fri Nov 20 22:02:00 2026: h\\x09online\n");
	len = legacy_log_status_row(line, sizeof line, 4711, "PARENT", none, none);
	cr_assert_str_eq(text(len), "4711\tPARENT\t\t\n");
	len = legacy_log_status_row(line, 10, 4711, "PARENT", none, none);
	cr_assert_str_eq(text(len), "4711\tPARE\n");
}
