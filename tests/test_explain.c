/*
 * test_explain.c - whoever is refused io_uring is told by what, and what mends it.
 */
#include "uring/explain.h"
#include "uring/uring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1024];

static const char *
explain(int error)
{
	memset(text, '#', sizeof text);
	uring_explain(error, text, sizeof text);
	cr_assert_not_null(memchr(text, '\0', sizeof text));
	return text;
}

static void
names(int error, const char *blocker)
{
	const char *got = explain(error);

	cr_assert_not_null(strstr(got, blocker), "%s: no '%s' in: %s", strerror(-error), blocker,
			   got);
	cr_assert_not_null(strstr(got, "mend: "), "%s: no mend in: %s", strerror(-error), got);
}

Test(explain, every_refusal_has_blocker_and_mend)
{
	names(-EPERM, "io_uring");
	names(-EACCES, "io_uring");
	names(-ENOSYS, "ENOSYS");
	names(-EINVAL, "lacks io_uring features");
	names(-ENOMEM, "RLIMIT_MEMLOCK");
	names(-EMFILE, "file descriptor");
	names(-ENFILE, "file descriptor");
}

Test(explain, the_mend_can_be_typed)
{
	cr_assert_not_null(strstr(explain(-EINVAL), "Linux 6.1"));
	cr_assert_not_null(strstr(explain(-ENOMEM), "LimitMEMLOCK="));
	cr_assert_not_null(strstr(explain(-EMFILE), "ulimit -n"));
}

Test(explain, others_are_named_by_the_system)
{
	cr_assert_not_null(strstr(explain(-EFAULT), strerror(EFAULT)));
	cr_assert_not_null(strstr(explain(-ENXIO), strerror(ENXIO)));
}

Test(explain, is_cut_to_its_room)
{
	const int errors[] = { EPERM, ENOSYS, EINVAL, ENOMEM, EMFILE, EFAULT };

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		memset(text, '#', sizeof text);
		uring_explain(-errors[i], text, 10);
		cr_assert_eq(strlen(text), 9);
		cr_assert_eq(text[10], '#');
	}
}

/* Refuses io_uring_setup to this process, as the profile of a container does. */
static void
refuse(uint16_t error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof code / sizeof code[0], code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0, "%s", strerror(errno));
}

static int
make_ring(void)
{
	struct uring_options options = URING_DEFAULTS;
	struct uring *ring = NULL;
	int error = uring_new(&ring, &options);

	uring_free(ring);
	return error;
}

static void
expect_refusal(int error)
{
	char *report = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&report, &len);

	cr_assert_eq(make_ring(), -error);
	names(-error, "seccomp");
	cr_assert_not_null(strstr(text, "io_uring_setup"));

	cr_assert_eq(uring_report(to), -error);
	fclose(to);
	cr_assert_not_null(strstr(report, "NO: "), "%s", report);
	cr_assert_not_null(strstr(report, text), "the report ends with the explanation: %s",
			   report);
	free(report);
}

Test(explain, a_seccomp_filter_that_says_eperm)
{
	refuse(EPERM);
	expect_refusal(EPERM);
}

Test(explain, a_seccomp_filter_that_says_enosys)
{
	refuse(ENOSYS);
	expect_refusal(ENOSYS);
}

Test(explain, the_report_of_a_machine_that_can)
{
	char *report = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&report, &len);
	const char *parts[] = { "kernel",         "io_uring_disabled",
				"seccomp filter", "memlock bytes",
				"open files",     "operations",
				"accept",         "cancel" };

	if (make_ring() != 0)
		cr_skip_test("io_uring is refused here: %s", explain(make_ring()));
	cr_assert_eq(uring_report(to), 0);
	fclose(to);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		cr_assert_not_null(strstr(report, parts[i]), "no %s in: %s", parts[i], report);
	cr_assert_null(strstr(report, "MISSING"));
	cr_assert_null(strstr(report, "NO:"));
	cr_assert_eq(report[len - 1], '\n');
	report[len - 1] = '\0';
	const char *last = strrchr(report, '\n');
	cr_assert_not_null(last);
	cr_assert_eq(strncmp(last + 1, "io_uring ", 9), 0, "%s", last);
	cr_assert_not_null(strstr(last, " yes"), "%s", last);
	free(report);
}
