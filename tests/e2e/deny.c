/*
 * deny.c - runs a program for which io_uring, or what a sandbox is made of, is refused, as
 * container runtimes and hardened systems refuse it.
 *
 *   deny EPERM|ENOSYS PROGRAM [ARGUMENT...]       io_uring_setup fails with that errno
 *   deny LANDLOCK|SECCOMP PROGRAM [ARGUMENT...]   Landlock is not there; seccomp(2) is refused
 *
 * Puts a seccomp filter on itself under which that call fails, then becomes the program.
 * Everything else stays allowed.  Needs no privilege.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct denial {
	const char *name;
	unsigned int call;
	unsigned int refusal;
};

static const struct denial DENIALS[] = {
	{ "EPERM", SYS_io_uring_setup, EPERM },
	{ "ENOSYS", SYS_io_uring_setup, ENOSYS },
	{ "LANDLOCK", SYS_landlock_create_ruleset, EOPNOTSUPP },
	{ "SECCOMP", SYS_seccomp, EPERM },
};

static int
deny_call(const struct denial *denial)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (denial->refusal & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = (unsigned short)ARRAY_LEN(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int
main(int argc, char *argv[])
{
	const struct denial *denial = NULL;

	for (size_t i = 0; argc >= 3 && i < ARRAY_LEN(DENIALS); i++) {
		if (strcmp(argv[1], DENIALS[i].name) == 0)
			denial = &DENIALS[i];
	}
	if (denial == NULL) {
		fprintf(stderr,
			"usage: deny EPERM|ENOSYS|LANDLOCK|SECCOMP PROGRAM [ARGUMENT...]\n");
		return 64;
	}
	/* 77 is how a test says that it cannot be run here. */
	if (deny_call(denial) != 0) {
		fprintf(stderr, "deny: no seccomp filter here: %s\n", strerror(errno));
		return 77;
	}
	execv(argv[2], argv + 2);
	fprintf(stderr, "deny: %s: %s\n", argv[2], strerror(errno));
	return 71;
}
