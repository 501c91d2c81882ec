/*
 * test_log.c - logfmt on standard error, seen through a datagram socket in its place: one datagram
 * = one write.
 */
#include "relay/log.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int reader;
static int true_stderr;
static char line[8192];

static void
set_up(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	true_stderr = dup(STDERR_FILENO);
	cr_assert_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	log_set_process("test");
}

static void
tear_down(void)
{
	dup2(true_stderr, STDERR_FILENO);
	close(true_stderr);
	close(reader);
}

/* The next write, or false if there was none. */
static bool
next_write(void)
{
	ssize_t got = recv(reader, line, sizeof line - 1, MSG_DONTWAIT);

	if (got < 0)
		return false;
	cr_assert_lt((size_t)got, sizeof line - 1);
	line[got] = '\0';
	cr_assert_eq(strlen(line), (size_t)got, "no NUL in it");
	return true;
}

/* There is one write, and it is one line; what follows the time stamp. */
static const char *
next_line(void)
{
	static const char stamp[] = "ts=0000-00-00T00:00:00.000Z ";

	cr_assert(next_write());
	cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1, "%s", line);
	line[strlen(line) - 1] = '\0';
	for (size_t i = 0; i < sizeof stamp - 1; i++) {
		if (stamp[i] == '0')
			cr_assert(isdigit((unsigned char)line[i]), "%s", line);
		else
			cr_assert_eq(line[i], stamp[i], "%s", line);
	}
	return line + sizeof stamp - 1;
}

static int
hex(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	cr_assert(at != NULL && c != '\0');
	return (int)(at - digits);
}

/* Takes `key="..."` from the front of a line, undoing the escapes; returns what follows. */
static const char *
take_quoted(const char *from, const char *key, char *to)
{
	size_t len = strlen(key);

	cr_assert_eq(strncmp(from, key, len), 0, "no %s in: %s", key, from);
	cr_assert_eq(strncmp(from + len, "=\"", 2), 0, "%s", from);
	for (from += len + 2; *from != '"'; from++) {
		cr_assert(*from != '\0' && (unsigned char)*from >= 0x20 && *from != 0x7f);
		if (*from != '\\') {
			*to++ = *from;
		} else if (from[1] == 'x') {
			*to++ = (char)(hex(from[2]) * 16 + hex(from[3]));
			from += 3;
		} else {
			cr_assert(from[1] == '"' || from[1] == '\\');
			*to++ = *++from;
		}
	}
	*to = '\0';
	return from + 1;
}

TestSuite(log, .init = set_up, .fini = tear_down);

Test(log, a_line)
{
	log_info("msul1", "up after %d tries", 3);
	cr_assert_str_eq(next_line(),
			 "level=info proc=test host=\"msul1\" msg=\"up after 3 tries\"");
	cr_assert_not(next_write());
}

Test(log, a_line_without_a_host)
{
	log_warning(NULL, "no host");
	cr_assert_str_eq(next_line(), "level=warning proc=test msg=\"no host\"");
	log_error("", "none either");
	cr_assert_str_eq(next_line(), "level=error proc=test msg=\"none either\"");
	log_info(NULL, "%s", "");
	cr_assert_str_eq(next_line(), "level=info proc=test msg=\"\"");
}

Test(log, each_call_is_one_write)
{
	for (int i = 0; i < 20; i++)
		log_info("h", "number %d", i);
	for (int i = 0; i < 20; i++) {
		char want[64];
		snprintf(want, sizeof want, "level=info proc=test host=\"h\" msg=\"number %d\"", i);
		cr_assert_str_eq(next_line(), want);
	}
	cr_assert_not(next_write());
}

Test(log, escapes)
{
	log_info(NULL, "a \"quote\", a \\ and a\nnew line\t\x7f");
	cr_assert_str_eq(
	    next_line(),
	    "level=info proc=test msg=\"a \\\"quote\\\", a \\\\ and a\\x0anew line\\x09\\x7f\"");
}

/* Every byte but NUL, in host and text: one line, and it can be undone. */
Test(log, every_byte_survives)
{
	char all[256], host[64], got[1024];

	for (int first = 1; first < 256; first += 50) {
		for (int i = 0; i < 255; i++)
			all[i] = (char)(i + 1);
		all[255] = '\0';
		for (int i = 0; i < 50; i++)
			host[i] = (char)(first + i <= 255 ? first + i : 'x');
		host[50] = '\0';
		log_info(host, "%s", all);
		const char *rest = next_line();
		cr_assert_eq(strncmp(rest, "level=info proc=test ", 21), 0);
		rest = take_quoted(rest + 21, "host", got);
		cr_assert_str_eq(got, host);
		cr_assert_eq(*rest, ' ');
		rest = take_quoted(rest + 1, "msg", got);
		cr_assert_str_eq(got, all);
		cr_assert_eq(*rest, '\0');
	}
}

Test(log, a_long_text_is_cut)
{
	static char text[5000], got[8192];

	memset(text, 'a', sizeof text - 1);
	log_info("msul1", "%s", text);
	take_quoted(strstr(next_line(), "msg="), "msg", got);
	cr_assert_eq(strlen(got), LOG_TEXT_MAX - 1);
	cr_assert_eq(strspn(got, "a"), LOG_TEXT_MAX - 1);
}

/* Also one that escaping makes four times as long, whatever its length: still one closed line, a
 * beginning of the text. */
Test(log, a_long_text_is_cut_between_escapes)
{
	static char text[5000], got[8192];

	for (size_t len = 0; len < 1200; len++) {
		for (int kind = 0; kind < 3; kind++) {
			memset(text, "\x01\"z"[kind], len);
			text[len] = '\0';
			log_write("worker-0", LOG_INFO, "msul1", text);
			const char *rest = strstr(next_line(), "msg=");
			cr_assert_not_null(rest);
			cr_assert_eq(*take_quoted(rest, "msg", got), '\0');
			cr_assert_eq(strncmp(got, text, strlen(got)), 0);
			/* What log_line hands over of plain text is never cut again. */
			cr_assert(strlen(got) == len || kind < 2 || len >= LOG_TEXT_MAX);
		}
	}
}

Test(log, a_long_host_is_cut)
{
	static char host[3000], got[8192];

	memset(host, '\x02', sizeof host - 1);
	log_info(host, "text");
	const char *rest = strstr(next_line(), "host=");
	cr_assert_not_null(rest);
	rest = take_quoted(rest, "host", got);
	cr_assert_gt(strlen(got), 50);
	cr_assert_str_eq(rest, " msg=\"text\"");
}

Test(log, levels)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	log_debug(NULL, "not by default");
	cr_assert_not(next_write());
	for (int max = LOG_ERROR; max <= LOG_DEBUG; max++) {
		log_set_level((enum log_level)max);
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			log_line((enum log_level)level, NULL, "x");
			cr_assert_eq(next_write(), level <= max);
			cr_assert_str_eq(log_level_text((enum log_level)level), names[level]);
		}
	}
	cr_assert_str_eq(log_level_text((enum log_level)9), "unknown");
}

struct sunk {
	int calls;
	enum log_level level;
	char host[64];
	char text[LOG_TEXT_MAX];
};

static void
sink(void *context, enum log_level level, const char *host, const char *text)
{
	struct sunk *sunk = context;

	sunk->calls++;
	sunk->level = level;
	snprintf(sunk->host, sizeof sunk->host, "%s", host != NULL ? host : "(none)");
	snprintf(sunk->text, sizeof sunk->text, "%s", text);
}

Test(log, sink_gets_it_instead)
{
	struct sunk sunk = { 0 };

	log_set_sink(sink, &sunk);
	log_warning("msul1", "down: \"%s\"\n", "why");
	cr_assert_eq(sunk.calls, 1);
	cr_assert_eq(sunk.level, LOG_WARNING);
	cr_assert_str_eq(sunk.host, "msul1");
	cr_assert_str_eq(sunk.text, "down: \"why\"\n", "as it is: whoever writes it escapes it");
	log_error(NULL, "x");
	cr_assert_str_eq(sunk.host, "(none)");
	log_debug(NULL, "above the level");
	cr_assert_eq(sunk.calls, 2);
	cr_assert_not(next_write());

	log_write("worker-1", sunk.level, NULL, "from another process");
	cr_assert_str_eq(next_line(), "level=error proc=worker-1 msg=\"from another process\"",
			 "a finished line never goes through the sink");
	log_set_sink(NULL, NULL);
	log_info(NULL, "back");
	cr_assert_str_eq(next_line(), "level=info proc=test msg=\"back\"");
	cr_assert_eq(sunk.calls, 2);
}

Test(log, a_closed_standard_error_is_no_reason_to_end)
{
	close(STDERR_FILENO);
	log_info(NULL, "nobody hears");
	cr_assert_not(next_write());
}
