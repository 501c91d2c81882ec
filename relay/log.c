/*
 * log.c - logfmt on standard error.  Control characters never reach the output, so a line stays a
 * line.
 */
#include "relay/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *process_name = "relayd";
static log_sink *current_sink;
static void *sink_context;
static enum log_level level_max = LOG_INFO;

const char *
log_level_text(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARNING:
		return "warning";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		return "debug";
	}
	return "unknown";
}

void
log_set_process(const char *name)
{
	process_name = name;
}

const char *
log_process(void)
{
	return process_name;
}

void
log_set_sink(log_sink *sink, void *context)
{
	current_sink = sink;
	sink_context = context;
}

void
log_set_level(enum log_level level)
{
	level_max = level;
}

enum log_level
log_level(void)
{
	return level_max;
}

/* Appends `text` in quotes, escaped. */
static size_t
put_quoted(char *to, size_t at, size_t size, const char *text)
{
	if (at + 2 < size)
		to[at++] = '"';
	for (; *text != '\0' && at + 6 < size; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			to[at++] = '\\';
			to[at++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			at += (size_t)snprintf(to + at, size - at, "\\x%02x", c);
		} else {
			to[at++] = (char)c;
		}
	}
	to[at++] = '"';
	return at;
}

void
log_write(const char *process, enum log_level level, const char *host, const char *text)
{
	char line[2 * LOG_TEXT_MAX + 512];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t at = strftime(line, sizeof line, "ts=%Y-%m-%dT%H:%M:%S", &tm);
	at += (size_t)snprintf(line + at, sizeof line - at, ".%03ldZ level=%s proc=%s",
			       now.tv_nsec / 1000000, log_level_text(level), process);
	if (host != NULL && host[0] != '\0') {
		at += (size_t)snprintf(line + at, sizeof line - at, " host=");
		at = put_quoted(line, at, at + 300, host);
	}
	at += (size_t)snprintf(line + at, sizeof line - at, " msg=");
	at = put_quoted(line, at, sizeof line - 1, text);
	line[at++] = '\n';
	/* A log that cannot be written must not stop the relay. */
	ssize_t written = write(STDERR_FILENO, line, at);
	(void)written;
}

void
log_line(enum log_level level, const char *host, const char *format, ...)
{
	char text[LOG_TEXT_MAX];
	va_list args;

	if (level > level_max)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (current_sink != NULL)
		current_sink(sink_context, level, host, text);
	else
		log_write(process_name, level, host, text);
}
