/*
 * legacy_log.c - composes the lines of the log and status files of the original.
 *
 * Never opens a file, reads a clock or allocates.  Owns nothing: lines go into the caller's buffer.
 */
#include "relay/legacy_log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *
legacy_log_time(char out[static LEGACY_LOG_TIME_MAX], time_t at)
{
	/* ctime(3) itself may refuse a year, and strftime(3) speaks the locale's language. */
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL)
		snprintf(out, LEGACY_LOG_TIME_MAX, "?");
	else
		snprintf(out, LEGACY_LOG_TIME_MAX, "%s %s %2d %02d:%02d:%02d %lld",
			 days[tm.tm_wday], months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min,
			 tm.tm_sec, 1900LL + tm.tm_year);
	return out;
}

/*
 * A line under way: bytes [0, len) are written, as far as they fit; `len` counts on beyond the
 * room, so that it says in the end what the line needs.  Unlike struct wire_out, which takes a
 * piece whole or not at all, this one is cut at a byte.
 */
struct line {
	char *data;
	size_t len;
	size_t size;
};

static void
put_char(struct line *line, char c)
{
	if (line->len < line->size)
		line->data[line->len] = c;
	line->len++;
}

__attribute__((format(printf, 2, 3))) static void
put_format(struct line *line, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (const char *at = text; *at != '\0'; at++)
		put_char(line, *at);
}

/* Whether the byte would end the line, move the cursor, or be taken for an escape. */
static bool
is_special(struct wire_span span, size_t at)
{
	uint8_t c = span.data[at];

	if (c == '\\')
		return at + 1 < span.len && span.data[at + 1] == 'x';
	return c < ' ' || c == 0x7f;
}

static void
put_span(struct line *line, struct wire_span span)
{
	for (size_t i = 0; i < span.len; i++) {
		if (is_special(span, i))
			put_format(line, "\\x%02x", span.data[i]);
		else
			put_char(line, (char)span.data[i]);
	}
}

static void
put_text(struct line *line, const char *text)
{
	put_span(line, wire_span_str(text));
}

/* `<localtime>: <text>`, or nothing. */
static void
put_timed(struct line *line, struct legacy_log_text timed)
{
	char when[LEGACY_LOG_TIME_MAX];

	if (timed.text == NULL || timed.text[0] == '\0')
		return;
	put_format(line, "%s: ", legacy_log_time(when, timed.at));
	put_text(line, timed.text);
}

/* A line that is longer than its room is cut, but ends as a line. */
static size_t
finish(struct line *line)
{
	if (line->len >= line->size)
		line->len = line->size - 1;
	put_char(line, '\n');
	return line->len;
}

size_t
legacy_log_line(char *out, size_t size, time_t now, pid_t pid, const char *who,
		struct legacy_log_text status, const char *message)
{
	struct line line = { .data = out, .size = size };
	char when[LEGACY_LOG_TIME_MAX];

	assert(size >= 2);
	put_format(&line, "%s (%ld) [", legacy_log_time(when, now), (long)pid);
	put_text(&line, who);
	put_format(&line, "] [");
	put_timed(&line, status);
	put_format(&line, "]: ");
	put_text(&line, message);
	return finish(&line);
}

size_t
legacy_log_perm_line(char *out, size_t size, time_t now, const char *host, struct wire_span command)
{
	struct line line = { .data = out, .size = size };
	char when[LEGACY_LOG_TIME_MAX];

	put_format(&line, "%lld:S:", (long long)now);
	put_text(&line, host);
	put_char(&line, ':');
	put_span(&line, command);
	put_format(&line, ":%s\n", legacy_log_time(when, now));
	return line.len;
}

size_t
legacy_log_status_head(char *out, size_t size, time_t now, pid_t parent)
{
	struct line line = { .data = out, .size = size };
	char when[LEGACY_LOG_TIME_MAX];

	assert(size >= 2);
	put_format(&line, "LONC status %s - parent %ld\n", legacy_log_time(when, now),
		   (long)parent);
	return finish(&line);
}

size_t
legacy_log_status_row(char *out, size_t size, pid_t pid, const char *who,
		      struct legacy_log_text status, struct legacy_log_text message)
{
	struct line line = { .data = out, .size = size };

	assert(size >= 2);
	put_format(&line, "%ld\t", (long)pid);
	put_text(&line, who);
	put_char(&line, '\t');
	put_timed(&line, status);
	put_char(&line, '\t');
	put_timed(&line, message);
	return finish(&line);
}
