/*
 * sandbox_filter.c - the seccomp filter of a role, made of sandbox_calls.def.
 *
 * By hand, not by libseccomp: a table of rows that each become a few instructions one after the
 * other needs no library in a process that is to have as little as possible.  The kernel
 * knows beforehand which calls are allowed whatever their arguments, and does not run the filter
 * for them; so the order of the rows does not matter.
 */
#include "relay/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#define MACHINE 0 /* not known: no filter */
#endif

enum {
	WORKER = SANDBOX_WORKER,
	CONTROL = SANDBOX_CONTROL,
	BOTH = WORKER | CONTROL,
	ROW_CODE_MAX = 6, /* instructions of one row */
	FRAME_CODE = 6,   /* those around all rows */
};

enum check {
	ALWAYS,
	EQUAL,
	WITHOUT,
	WITH,
	SELF,
	LACKS,
	DENIED,
};

struct row {
	unsigned who;
	uint32_t number;
	uint8_t argument;
	enum check check;
	uint32_t value;
};

static const struct row ROWS[] = {
#define CALL(who, name)                            { who, SYS_##name, 0, ALWAYS, 0 },
#define CALL_IF(who, name, argument, check, value) { who, SYS_##name, argument, check, value },
#define CALL_LACKS(who, name)                      { who, SYS_##name, 0, LACKS, 0 },
#define CALL_DENIED(who, name)                     { who, SYS_##name, 0, DENIED, 0 },
#include "relay/sandbox_calls.def"
#undef CALL
#undef CALL_IF
#undef CALL_LACKS
#undef CALL_DENIED
};

enum {
	ROW_COUNT = sizeof ROWS / sizeof ROWS[0],
};

struct code {
	struct sock_filter at[ROW_COUNT * ROW_CODE_MAX + FRAME_CODE];
	unsigned short len;
};

static void
put(struct code *code, int what, uint32_t value, uint8_t if_true, uint8_t if_false)
{
	code->at[code->len++] = (struct sock_filter){
		.code = (uint16_t)what, .k = value, .jt = if_true, .jf = if_false
	};
}

static void
put_load(struct code *code, size_t offset)
{
	put(code, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
put_return(struct code *code, uint32_t action)
{
	put(code, BPF_RET | BPF_K, action, 0, 0);
}

/* The low half of an argument: all that counts of an int or of flags. */
static size_t
low_half(uint8_t argument)
{
	return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

/* With the number of the call loaded before and, where the row did not decide, after. */
static void
put_row(struct code *code, const struct row *row)
{
	const int equal = BPF_JMP | BPF_JEQ | BPF_K;

	if (row->check == ALWAYS || row->check == LACKS || row->check == DENIED) {
		put(code, equal, row->number, 0, 1);
		put_return(code, row->check == ALWAYS  ? SECCOMP_RET_ALLOW
				 : row->check == LACKS ? SECCOMP_RET_ERRNO | ENOSYS
						       : SECCOMP_RET_ERRNO | EPERM);
		return;
	}
	bool masks = row->check == WITHOUT || row->check == WITH;
	uint32_t value = row->check == SELF ? (uint32_t)getpid() : row->value;
	put(code, equal, row->number, 0, masks ? 5 : 4);
	put_load(code, low_half(row->argument));
	if (masks)
		put(code, BPF_ALU | BPF_AND | BPF_K, value, 0, 0);
	put(code, equal, row->check == WITHOUT ? 0 : value, 0, 1);
	put_return(code, SECCOMP_RET_ALLOW);
	put_load(code, offsetof(struct seccomp_data, nr));
}

bool
sandbox_filter_there(void)
{
	uint32_t action = SECCOMP_RET_TRAP;

	return MACHINE != 0 && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int
sandbox_filter(enum sandbox_role role)
{
	struct code code = { .len = 0 };
	int error = sandbox_hear_refusals();

	if (error != 0)
		return error;

	/* Calls of another machine (32 bits) have other numbers; those of x32 are in no row. */
	put_load(&code, offsetof(struct seccomp_data, arch));
	put(&code, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	put_return(&code, SECCOMP_RET_KILL_PROCESS);
	put_load(&code, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (ROWS[i].who & role)
			put_row(&code, &ROWS[i]);
	}
	put_return(&code, SECCOMP_RET_TRAP);
	struct sock_fprog program = { .len = code.len, .filter = code.at };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : -errno;
}
