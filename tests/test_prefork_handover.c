/*
 * test_prefork_handover.c - PREFORK_INTERP: what is understood, and that nothing is guessed.  And
 * the files whose change ends a server, and the lines for the system log.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "relay/prefork/handover.h"
#include "relay/prefork/log.h"
#include "relay/prefork/sources.h"
#include "tests/temp_dir.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

TestSuite(prefork_handover, .init = temp_dir_make, .fini = temp_dir_remove);

/* ---- what a program is started with ---- */

Test(prefork_handover, as_the_original_writes_it)
{
	struct prefork_handover handover;

	cr_assert_eq(prefork_handover_parse("v1,1795211899.020016263 5,9,7,8", &handover), 0);
	cr_assert_eq(handover.fresh.tv_sec, 1795211899);
	cr_assert_eq(handover.fresh.tv_nsec, 20016263);
	cr_assert_eq(handover.listen, 5);
	cr_assert_eq(handover.call, 9);
	cr_assert_eq(handover.sentinel, 7);
	cr_assert_eq(handover.orders, 8);
	cr_assert_not(handover.extended);
}

static const struct {
	const char *text;
	int result;
	bool extended;
} rows[] = {
	{ "v1,0.000000000 3,4,5,6", 0, false },
	{ "v1,9223372036854775807.999999999 3,4,5,2147483647", 0, false },
	{ "v1,1.000000000,rlx1 3,4,5,6", 0, true },
	{ "v1,1.000000000,a,rlx1,b 3,4,5,6", 0, true },
	{ "v1,1.000000000,rlx2 3,4,5,6", 0, false },
	{ "v1,1.000000000,rlx1x 3,4,5,6", 0, false },
	{ "v1,1.000000000, 3,4,5,6", 0, false },
	{ "v1,1.000000000 3,4,5,6,rlx1 rlx1", 0, false },
	{ "v1,1.000000000 3,4,5,6 ", 0, false },
	{ "v1,9223372036854775808.000000000 3,4,5,6", -EINVAL, false },
	{ "v1,1.000000000 3,4,5,2147483648", -EINVAL, false },
	{ "v1,1.000000000rlx1 3,4,5,6", -EINVAL, false },
	{ "v1,1.00000000 3,4,5,6", -EINVAL, false },
	{ "v1,1.000000000 3,4,5", -EINVAL, false },
	{ "v1,1.000000000 3,4,5,", -EINVAL, false },
	{ "v1,1.000000000 3,4,5,3", -EINVAL, false },
	{ "v1,1.000000000 2,4,5,6", -EINVAL, false },
	{ "v1,1.000000000 03,4,5,6", -EINVAL, false },
	{ "v1,1.000000000 3,4,5,6x", -EINVAL, false },
	{ "v1,1.000000000\t3,4,5,6", -EINVAL, false },
	{ "v12,1.000000000 3,4,5,6", -EINVAL, false },
	{ "v2,1.000000000 3,4,5,6", -EINVAL, false },
	{ "", -EINVAL, false },
};

Test(prefork_handover, each_row)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefork_handover handover;

		cr_assert_eq(prefork_handover_parse(rows[i].text, &handover), rows[i].result, "%s",
			     rows[i].text);
		if (rows[i].result == 0)
			cr_assert_eq(handover.extended, rows[i].extended, "%s", rows[i].text);
	}
}

Test(prefork_handover, cut_off_anywhere)
{
	static const char whole[] = "v1,1795211899.020016263,rlx1 5,9,7,8";
	struct prefork_handover handover;
	char text[sizeof whole];

	for (size_t length = 0; length < sizeof whole; length++) {
		memcpy(text, whole, length);
		text[length] = '\0';
		cr_assert_eq(prefork_handover_parse(text, &handover),
			     length == sizeof whole - 1 ? 0 : -EINVAL, "%s", text);
	}
}

static int
listening(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", temp_path(name));
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

Test(prefork_handover, the_kinds_of_descriptors)
{
	int listener = listening("s"), pair[2], ends[2], datagram[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram), 0);
	cr_assert_eq(pipe(ends), 0);
	const struct prefork_handover good = {
		.listen = listener, .call = pair[0], .sentinel = ends[1], .orders = ends[0]
	};
	struct prefork_handover handover = good;
	cr_assert_eq(prefork_handover_check(&handover), 0);
	handover.listen = pair[1];
	cr_assert_eq(prefork_handover_check(&handover), -EINVAL);
	handover.listen = ends[0];
	cr_assert_eq(prefork_handover_check(&handover), -ENOTSOCK);
	handover = good;
	handover.call = listener;
	cr_assert_eq(prefork_handover_check(&handover), -EINVAL);
	handover.call = datagram[0];
	cr_assert_eq(prefork_handover_check(&handover), -EINVAL);
	handover = good;
	handover.orders = 999;
	cr_assert_eq(prefork_handover_check(&handover), -EBADF);
}

/* ---- files that change ---- */

static void
set_time(const char *name, time_t seconds, long nanoseconds)
{
	struct timespec times[2] = { { .tv_sec = seconds, .tv_nsec = nanoseconds },
				     { .tv_sec = seconds, .tv_nsec = nanoseconds } };

	cr_assert_eq(utimensat(AT_FDCWD, temp_path(name), times, 0), 0);
}

Test(prefork_handover, newer_to_the_nanosecond)
{
	char paths[3][64];
	const char *const files[] = { paths[0], paths[1], paths[2], NULL };
	static const char *const names[] = { "none", "a", "b" };
	struct prefork_sources sources;
	int error = -1;

	for (int i = 0; i < 3; i++)
		snprintf(paths[i], sizeof paths[i], "%s", temp_path(names[i]));
	temp_write("a", "");
	temp_write("b", "");
	set_time("a", 1000000000, 500);
	set_time("b", 1000000000, 500);
	prefork_sources_init(&sources, (struct timespec){ .tv_sec = 1000000000, .tv_nsec = 500 },
			     files);
	/* This program is younger than that. */
	sources.program[0] = '\0';
	cr_assert_null(prefork_sources_changed(&sources, &error));
	cr_assert_eq(error, 0);
	set_time("b", 1000000000, 501);
	cr_assert_eq(prefork_sources_changed(&sources, &error), files[2]);
	set_time("b", 1000000001, 0);
	cr_assert_eq(prefork_sources_changed(&sources, &error), files[2]);
	set_time("a", 1000000001, 0);
	cr_assert_eq(prefork_sources_changed(&sources, &error), files[1]);
	cr_assert_eq(error, 0);
}

Test(prefork_handover, the_program_itself)
{
	struct prefork_sources sources;
	int error = -1;
	char own[PATH_MAX] = "";

	cr_assert_gt(readlink("/proc/self/exe", own, sizeof own - 1), 0);
	prefork_sources_init(&sources, (struct timespec){ .tv_sec = 1 }, NULL);
	const char *changed = prefork_sources_changed(&sources, &error);
	cr_assert_not_null(changed);
	cr_assert_str_eq(changed, own);
}

Test(prefork_handover, a_file_that_cannot_be_looked_at)
{
	char loop[64];
	const char *const files[] = { loop, NULL };
	struct prefork_sources sources;
	int error = 0;

	snprintf(loop, sizeof loop, "%s", temp_path("loop"));
	cr_assert_eq(symlink("loop", loop), 0);
	prefork_sources_init(&sources, (struct timespec){ .tv_sec = 1 }, files);
	sources.program[0] = '\0';
	cr_assert_eq(prefork_sources_changed(&sources, &error), files[0]);
	cr_assert_eq(error, ELOOP);
}

/* ---- the system log ---- */

static int
log_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", temp_path("log"));
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

Test(prefork_handover, a_line_of_the_log)
{
	const struct prefork_log log = { .facility = LOG_DAEMON,
					 .name = "probe",
					 .path = temp_path("log") };
	char line[2048] = "", expected[128];
	int fd = log_socket();

	prefork_log(&log, LOG_ERR, "%s: %d", "what", 7);
	cr_assert_gt(recv(fd, line, sizeof line - 1, MSG_DONTWAIT), 0);
	snprintf(expected, sizeof expected, " prefork probe[%d]: what: 7", (int)getpid());
	cr_assert_eq(strncmp(line, "<27>", 4), 0, "%s", line);
	cr_assert_str_eq(line + strlen("<27>Nov 21 08:00:00"), expected);
}

Test(prefork_handover, a_long_line_and_nobody_who_listens)
{
	struct prefork_log log = { .facility = LOG_USER,
				   .name = "probe",
				   .path = temp_path("log") };
	char text[4000], line[4096];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	prefork_log(&log, LOG_INFO, "%s", text);
	int fd = log_socket();
	prefork_log(&log, LOG_INFO, "%s", text);
	cr_assert_eq(recv(fd, line, sizeof line, MSG_DONTWAIT), 1023);
	log.facility = -1;
	prefork_log(&log, LOG_INFO, "silence");
	cr_assert_eq(recv(fd, line, sizeof line, MSG_DONTWAIT), -1);
}
