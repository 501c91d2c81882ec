/*
 * sandbox_refusal.c - what becomes of a system call that the filter does not let through: it fails
 * with EPERM, and its number is kept until somebody asks.
 *
 * The filter answers with SIGSYS instead of an errno, so that no refusal is silent: a library that
 * tries something new goes its other way, and the log has it.  A thread that blocks the signal
 * ends with its process.  Owns the handler of SIGSYS.
 */
#include "relay/sandbox.h"

#include "relay/log.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

/* Of the kernel; the C library's headers are without it. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

enum {
	CALLS_MAX = 1024, /* the last one stands for all above it */
};

enum {
	NEVER,
	REFUSED,
	TOLD,
};

static atomic_uchar calls[CALLS_MAX];
static atomic_bool untold;

/* The call's result, as the interrupted program finds it. */
static void
answer(ucontext_t *program, long result)
{
#if defined(__x86_64__)
	program->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	program->uc_mcontext.regs[0] = (unsigned long long)result;
#else
	(void)program; /* there is no filter */
	(void)result;
#endif
}

static void
on_refused(int signal, siginfo_t *info, void *program)
{
	unsigned number = (unsigned)info->si_syscall;
	unsigned char never = NEVER;

	(void)signal;
	if (info->si_code != SYS_SECCOMP)
		return;
	answer(program, -EPERM);
	if (number >= CALLS_MAX)
		number = CALLS_MAX - 1;
	if (atomic_compare_exchange_strong(&calls[number], &never, REFUSED))
		atomic_store(&untold, true);
}

int
sandbox_hear_refusals(void)
{
	struct sigaction action = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : -errno;
}

long
sandbox_refused(void)
{
	if (!atomic_load_explicit(&untold, memory_order_relaxed) ||
	    !atomic_exchange(&untold, false))
		return -1;
	for (long number = 0; number < CALLS_MAX; number++) {
		unsigned char refused = REFUSED;
		if (atomic_compare_exchange_strong(&calls[number], &refused, TOLD)) {
			atomic_store(&untold, true); /* there may be more */
			return number;
		}
	}
	return -1;
}

void
sandbox_say_refused(void)
{
	long number;

	while ((number = sandbox_refused()) >= 0)
		log_error(NULL,
			  "sandbox: system call %ld was refused, which this process never makes; "
			  "it goes on without",
			  number);
}
