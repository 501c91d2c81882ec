/*
 * usage.c - reads /proc/PID.  Keeps nothing open.
 */
#include "bench/usage.h"

#include "bench/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False if the file cannot be read, as for a thread that has just ended. */
static bool
read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return false;
	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return n >= 0 && len > 0;
}

/* The number behind `key`, 0 without one. */
static uint64_t
value_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

/* The name of the program stands in brackets and may hold anything: fields count from the last one.
 */
static bool
parse_stat(const char *text, struct usage *u)
{
	unsigned long long user, sys, start;
	const char *at = strrchr(text, ')');
	uint64_t tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
	char state;

	if (at == NULL || sscanf(at + 1,
				 " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %*s %*s "
				 "%*s %*s %*s %*s %llu",
				 &state, &user, &sys, &start) != 4)
		return false;
	u->user_ns = user * tick_ns;
	u->system_ns = sys * tick_ns;
	u->start = start;
	return state != 'Z' && state != 'X';
}

static void
add_thread(pid_t pid, const char *tid, struct usage *u)
{
	char path[64 + NAME_MAX];
	char text[8192];

	snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, tid);
	if (read_text(path, text, sizeof text))
		u->run_ns += strtoull(text, NULL, 10);
	snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, tid);
	if (read_text(path, text, sizeof text)) {
		u->voluntary += value_of(text, "\nvoluntary_ctxt_switches:");
		u->involuntary += value_of(text, "\nnonvoluntary_ctxt_switches:");
	}
}

static bool
add_threads(pid_t pid, struct usage *u)
{
	char path[64];
	const struct dirent *entry;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			add_thread(pid, entry->d_name, u);
	closedir(dir);
	return true;
}

bool
usage_read(pid_t pid, struct usage *u)
{
	char path[64];
	char text[8192];

	*u = (struct usage){ 0 };
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_text(path, text, sizeof text) || !parse_stat(text, u))
		return false;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (!read_text(path, text, sizeof text))
		return false;
	u->rss = value_of(text, "\nVmRSS:") * 1024;
	u->rss_anon = value_of(text, "\nRssAnon:") * 1024;
	return add_threads(pid, u);
}

static void
skip(uint64_t *begin, uint64_t from, uint64_t to)
{
	if (to > from)
		*begin += to - from;
}

void
usage_skip(struct usage *begin, const struct usage *from, const struct usage *to)
{
	skip(&begin->run_ns, from->run_ns, to->run_ns);
	skip(&begin->user_ns, from->user_ns, to->user_ns);
	skip(&begin->system_ns, from->system_ns, to->system_ns);
	skip(&begin->voluntary, from->voluntary, to->voluntary);
	skip(&begin->involuntary, from->involuntary, to->involuntary);
}

uint64_t
usage_cpu_ns(const struct usage *from, const struct usage *to)
{
	if (to->run_ns > from->run_ns)
		return to->run_ns - from->run_ns;
	return to->user_ns + to->system_ns - from->user_ns - from->system_ns;
}
