/*
 * inside.c - makes a running process try what its sandbox is to refuse, and prints how that ended.
 *
 *   inside PID ATTEMPT...
 *
 * Holds the process by ptrace(2), has its main thread make the system call of each attempt in place
 * of what it waits in, and lets it go on as if nothing had been: nothing but the answer of the
 * kernel is changed.  What a filter refuses by SIGSYS is answered by the process' own handler,
 * which is let run up to where the call would have returned. One line per attempt: its name, and
 * `ok` or the name of the error.  77: cannot be done on this machine.
 *
 *   read:PATH write:PATH    openat for reading; for writing, creating and truncating nothing
 *   exec:PATH               execve with no arguments: not for a process that is to live if it works
 *   socket:FAMILY           a stream socket of the family, by number
 *   call:NUMBER             a system call with arguments that do no harm: all of them -1
 *   map-exec                anonymous memory to execute
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

enum {
	BELOW_STACK = 4096, /* of the red zone and what may be on the way */
	PATH_ROOM = 512,
	INSTRUCTION = 2, /* bytes of `syscall` */
	BREAKPOINT = 0xcc,
};

struct attempt {
	long number;
	unsigned long long arguments[6];
};

static int
put_text(pid_t pid, unsigned long long at, const char *text)
{
	char room[PATH_ROOM] = "";

	snprintf(room, sizeof room, "%s", text);
	for (size_t i = 0; i < sizeof room; i += sizeof(long)) {
		long word;
		memcpy(&word, room + i, sizeof word);
		if (ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)(at + i), (void *)word) != 0)
			return -1;
	}
	return 0;
}

static int
read_attempt(const char *text, unsigned long long path_at, const char **path,
	     struct attempt *attempt)
{
	const char *value = strchr(text, ':');
	unsigned long long here = (unsigned long long)AT_FDCWD;
	unsigned long long none = ~0ULL;

	*path = value == NULL ? "" : value + 1;
	if (strncmp(text, "read:", 5) == 0)
		*attempt = (struct attempt){ SYS_openat, { here, path_at, O_RDONLY } };
	else if (strncmp(text, "write:", 6) == 0)
		*attempt = (struct attempt){ SYS_openat, { here, path_at, O_WRONLY } };
	else if (strncmp(text, "exec:", 5) == 0)
		*attempt = (struct attempt){ SYS_execve, { path_at } };
	else if (strncmp(text, "socket:", 7) == 0)
		*attempt =
		    (struct attempt){ SYS_socket, { strtoull(*path, NULL, 10), SOCK_STREAM } };
	else if (strncmp(text, "call:", 5) == 0)
		*attempt = (struct attempt){ strtol(*path, NULL, 10),
					     { none, none, none, none, none, none } };
	else if (strcmp(text, "map-exec") == 0)
		*attempt = (struct attempt){ SYS_mmap,
					     { 0, 4096, PROT_READ | PROT_EXEC,
					       MAP_PRIVATE | MAP_ANONYMOUS, none } };
	else
		return -1;
	return 0;
}

/* Lets it run to a breakpoint where the call returns to; a refusal's handler is run on the way. */
static int
run_to(pid_t pid, unsigned long long at)
{
	void *place = (void *)(uintptr_t)at;
	int status, sent = 0;

	errno = 0;
	long text = ptrace(PTRACE_PEEKTEXT, pid, place, NULL);
	if (errno != 0 ||
	    ptrace(PTRACE_POKETEXT, pid, place, (void *)((text & ~0xffL) | BREAKPOINT)) != 0)
		return -1;
	do {
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)(unsigned)sent) != 0 ||
		    waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			return -1;
		sent = WSTOPSIG(status);
	} while (sent == SIGSYS);
	if (ptrace(PTRACE_POKETEXT, pid, place, (void *)text) != 0)
		return -1;
	return sent == SIGTRAP ? 0 : -1;
}

/* Stopped where a system call is about to be made. */
static int
make_call(pid_t pid, const struct user_regs_struct *saved, const struct attempt *attempt,
	  long *answer)
{
	struct user_regs_struct regs = *saved;

	regs.rip -= INSTRUCTION;
	regs.orig_rax = ~0ULL; /* none is to be made again */
	regs.rax = (unsigned long long)attempt->number;
	regs.rdi = attempt->arguments[0];
	regs.rsi = attempt->arguments[1];
	regs.rdx = attempt->arguments[2];
	regs.r10 = attempt->arguments[3];
	regs.r8 = attempt->arguments[4];
	regs.r9 = attempt->arguments[5];
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) != 0 || run_to(pid, saved->rip) != 0 ||
	    ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0)
		return -1;
	*answer = (long)regs.rax;
	return 0;
}

static int
try_all(pid_t pid, char *const *texts)
{
	struct user_regs_struct saved;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &saved) != 0)
		return 71;
	long code =
	    ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)(saved.rip - INSTRUCTION), NULL);
	if ((code & 0xffff) != 0x050f || (long)saved.orig_rax < 0) {
		fprintf(stderr, "inside: it does not wait in a system call\n");
		return 75;
	}
	unsigned long long path_at = (saved.rsp - BELOW_STACK) & ~15ULL;
	for (; *texts != NULL; texts++) {
		struct attempt attempt;
		const char *path;
		long answer;
		if (read_attempt(*texts, path_at, &path, &attempt) != 0)
			return 64;
		if (put_text(pid, path_at, path) != 0 ||
		    make_call(pid, &saved, &attempt, &answer) != 0)
			return 71;
		printf("%s %s\n", *texts, answer >= 0 ? "ok" : strerrorname_np((int)-answer));
	}
	return ptrace(PTRACE_SETREGS, pid, NULL, &saved) == 0 ? 0 : 71;
}

int
main(int argc, char *argv[])
{
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: inside PID ATTEMPT...\n");
		return 64;
	}
	pid_t pid = (pid_t)strtol(argv[1], NULL, 10);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0 || waitpid(pid, &status, __WALL) != pid) {
		fprintf(stderr, "inside: %s cannot be held: %s\n", argv[1], strerror(errno));
		return 77;
	}
	int result = try_all(pid, argv + 2);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return result;
}

#else

int
main(void)
{
	fprintf(stderr, "inside: not on this kind of machine\n");
	return 77;
}

#endif
