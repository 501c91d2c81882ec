/*
 * explain.c - names what keeps io_uring from working here.  Reads /proc; runs before any sandbox.
 */
#include "uring/explain.h"

#include "uring/uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static long
read_number(const char *path, const char *label, long fallback)
{
	char line[256];
	long value = fallback;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return fallback;
	while (fgets(line, sizeof line, f) != NULL) {
		if (label[0] != '\0' && strncmp(line, label, strlen(label)) != 0)
			continue;
		value = strtol(line + strlen(label), NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

static long
io_uring_disabled(void)
{
	return read_number("/proc/sys/kernel/io_uring_disabled", "", 0);
}

static bool
under_seccomp(void)
{
	return read_number("/proc/self/status", "Seccomp:", 0) == 2;
}

static const char SECCOMP_MEND[] =
    "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile "
    "(docker, podman: --security-opt seccomp=FILE; systemd: SystemCallFilter=@io-event or "
    "@system-service)";

static void
explain_eperm(char *text, size_t size)
{
	long disabled = io_uring_disabled();

	if (disabled == 2)
		snprintf(text, size,
			 "io_uring is switched off on this machine (kernel.io_uring_disabled = 2); "
			 "mend: "
			 "sysctl -w kernel.io_uring_disabled=0");
	else if (disabled == 1)
		snprintf(text, size,
			 "io_uring is reserved for one group on this machine "
			 "(kernel.io_uring_disabled = 1); "
			 "mend: sysctl -w kernel.io_uring_disabled=0, or put the relay's user into "
			 "the group of "
			 "kernel.io_uring_group");
	else
		snprintf(text, size, "a seccomp filter refuses io_uring (EPERM); mend: %s",
			 SECCOMP_MEND);
}

void
uring_explain(int error, char *text, size_t size)
{
	struct utsname name;
	struct rlimit limit;

	switch (-error) {
	case EPERM:
	case EACCES:
		explain_eperm(text, size);
		return;
	case ENOSYS:
		if (under_seccomp()) {
			snprintf(text, size, "a seccomp filter refuses io_uring (ENOSYS); mend: %s",
				 SECCOMP_MEND);
			return;
		}
		snprintf(text, size,
			 "this kernel has no io_uring (ENOSYS); mend: Linux 6.1 or newer with "
			 "CONFIG_IO_URING");
		return;
	case EINVAL:
		uname(&name);
		snprintf(text, size,
			 "this kernel (%s) lacks io_uring features that the relay needs; mend: "
			 "Linux 6.1 or newer",
			 name.release);
		return;
	case ENOMEM:
		getrlimit(RLIMIT_MEMLOCK, &limit);
		snprintf(text, size,
			 "no locked memory left for an io_uring (RLIMIT_MEMLOCK is %llu bytes, "
			 "shared by all "
			 "processes of the user); mend: raise it (systemd: LimitMEMLOCK=64M, "
			 "docker: --ulimit "
			 "memlock=67108864)",
			 (unsigned long long)limit.rlim_cur);
		return;
	case EMFILE:
	case ENFILE:
		snprintf(
		    text, size,
		    "no file descriptor left for an io_uring; mend: raise the limit of open files "
		    "(ulimit -n, LimitNOFILE=)");
		return;
	default:
		snprintf(text, size, "io_uring cannot be set up: %s", strerror(-error));
	}
}

/* --- report ----------------------------------------------------------------------------------- */

struct named_op {
	int code;
	const char *name;
};

/* What the engine issues; all must be there. */
static const struct named_op USED_OPS[] = {
	{ IORING_OP_ACCEPT, "accept" },   { IORING_OP_ASYNC_CANCEL, "cancel" },
	{ IORING_OP_CLOSE, "close" },     { IORING_OP_CONNECT, "connect" },
	{ IORING_OP_POLL_ADD, "poll" },   { IORING_OP_RECV, "recv" },
	{ IORING_OP_RECVMSG, "recvmsg" }, { IORING_OP_SEND, "send" },
};

static void
report_limit(FILE *to, const char *name, int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		fprintf(to, "%-22s unlimited\n", name);
	else
		fprintf(to, "%-22s %llu (hard %llu)\n", name, (unsigned long long)limit.rlim_cur,
			(unsigned long long)limit.rlim_max);
}

static int
report_ops(FILE *to)
{
	int missing = 0;
	struct io_uring_probe *probe = io_uring_get_probe();

	if (probe == NULL)
		return -EINVAL;
	fprintf(to, "%-22s", "operations");
	for (size_t i = 0; i < sizeof USED_OPS / sizeof USED_OPS[0]; i++) {
		bool there = io_uring_opcode_supported(probe, USED_OPS[i].code) != 0;
		fprintf(to, " %s%s", USED_OPS[i].name, there ? "" : "(MISSING)");
		missing += !there;
	}
	fputc('\n', to);
	io_uring_free_probe(probe);
	return missing == 0 ? 0 : -EINVAL;
}

int
uring_report(FILE *to)
{
	struct utsname name;
	struct uring *ring = NULL;
	char why[512];

	uname(&name);
	fprintf(to, "%-22s %s %s\n", "kernel", name.sysname, name.release);
	fprintf(to, "%-22s %ld\n", "io_uring_disabled", io_uring_disabled());
	fprintf(to, "%-22s %s\n", "seccomp filter", under_seccomp() ? "yes" : "no");
	report_limit(to, "memlock bytes", RLIMIT_MEMLOCK);
	report_limit(to, "open files", RLIMIT_NOFILE);

	struct uring_options options = URING_DEFAULTS;
	int error = uring_new(&ring, &options);
	if (error == 0) {
		fprintf(to, "%-22s %u entries, %u receive buffers of %u bytes\n", "ring",
			uring_stats(ring)->entries, options.buffers, options.buffer_size);
		fprintf(to, "%-22s %s\n", "idle ring counts as",
			uring_iowait(ring) ? "iowait" : "idle");
		uring_free(ring);
		error = report_ops(to);
	}
	if (error != 0) {
		uring_explain(error, why, sizeof why);
		fprintf(to, "%-22s NO: %s\n", "io_uring", why);
		return error;
	}
	fprintf(to, "%-22s yes\n", "io_uring");
	return 0;
}
