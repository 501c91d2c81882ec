/*
 * log.c - see log.h.
 */
#include "relay/prefork/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024
};

/* snprintf() counts what it would have written. */
static size_t
written(int result, size_t room)
{
	if (result < 0)
		return 0;
	return (size_t)result < room ? (size_t)result : room - 1;
}

/* The month in English whatever the locale, as the log expects it. */
static size_t
write_head(char *line, size_t room, const struct prefork_log *log, int priority)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm t = { 0 };

	localtime_r(&now, &t);
	return written(snprintf(line, room, "<%d>%s %2d %02d:%02d:%02d prefork %.64s[%d]: ",
				log->facility | priority, months[t.tm_mon], t.tm_mday, t.tm_hour,
				t.tm_min, t.tm_sec, log->name, (int)getpid()),
		       room);
}

static void
send_line(const char *path, const char *line, size_t length)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	(void)sendto(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL, (const void *)&to, sizeof to);
	close(fd);
}

void
prefork_log(const struct prefork_log *log, int priority, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list arguments;

	if (log->facility < 0)
		return;
	size_t length = write_head(line, sizeof line, log, priority);
	va_start(arguments, format);
	length += written(vsnprintf(line + length, sizeof line - length, format, arguments),
			  sizeof line - length);
	va_end(arguments);
	send_line(log->path, line, length);
}
