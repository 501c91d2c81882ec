/*
 * deny.c - runs a program for which io_uring is refused, as container runtimes and hardened systems
 * refuse it.
 *
 *   deny EPERM|ENOSYS PROGRAM [ARGUMENT...]
 *
 * Puts a seccomp filter on itself under which io_uring_setup fails with that errno, then becomes
 * the program. Everything else stays allowed.  Needs no privilege.
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

static int
deny_setup(unsigned int refusal)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (refusal & SECCOMP_RET_DATA)),
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
	unsigned int refusal = 0;

	if (argc >= 3 && strcmp(argv[1], "EPERM") == 0)
		refusal = EPERM;
	else if (argc >= 3 && strcmp(argv[1], "ENOSYS") == 0)
		refusal = ENOSYS;
	if (refusal == 0) {
		fprintf(stderr, "usage: deny EPERM|ENOSYS PROGRAM [ARGUMENT...]\n");
		return 64;
	}
	/* 77 is how a test says that it cannot be run here. */
	if (deny_setup(refusal) != 0) {
		fprintf(stderr, "deny: no seccomp filter here: %s\n", strerror(errno));
		return 77;
	}
	execv(argv[2], argv + 2);
	fprintf(stderr, "deny: %s: %s\n", argv[2], strerror(errno));
	return 71;
}
