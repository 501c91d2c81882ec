/*
 * test_spool_kill.c - a process that delivers delayed messages is killed again and again, while
 * messages come: each is delivered at least once, none is lost, none remains.  Once with the spool
 * alone, once with the storage thread.
 *
 * The delivering process says which message it is about to end through a pipe, as a peer's answer
 * would.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/storage.h"
#include "tests/spool_site.h"

#define KILLS        100
#define PER_LIFE     8 /* messages made in one life of the process, at most */
#define MESSAGES_MAX (KILLS * PER_LIFE)
/* Short, so that files are written in place while the process looks at them. */
#define SETTLE_MS    4
#define LAST_WAIT_MS 60000

static const struct spool_host table[] = {
	{ .id = "msul1", .index = 1, .line_max = 1000 },
	{ .id = "nsdl2", .index = 2, .line_max = 1000 },
};

static const struct spool_options options = {
	.settle_ms = SETTLE_MS,
	/* A message that failed comes again at once. */
	.backoff_min_ms = 1,
	.backoff_max_ms = 1,
};

static unsigned seed;
static int answers[2]; /* a pipe of message numbers */
static unsigned delivered[MESSAGES_MAX];
static unsigned made;

static void
pause_us(unsigned us)
{
	struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&time, NULL);
}

static struct spool_time
now_time(void)
{
	struct timespec monotonic;
	struct timespec real;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &real);
	return (struct spool_time){
		.monotonic_ms =
		    (uint64_t)monotonic.tv_sec * 1000 + (uint64_t)monotonic.tv_nsec / 1000000,
		.real_ms = (int64_t)real.tv_sec * 1000 + real.tv_nsec / 1000000,
	};
}

/* ---- the process that delivers ---- */

/* Its exit status says what went wrong; most often it is killed. */
enum {
	LIFE_BAD_LINE = 10,
	LIFE_NO_ANSWER,
	LIFE_NO_SPOOL,
	LIFE_ERROR
};

static void
require(bool fact, int status)
{
	if (!fact)
		_exit(status);
}

/* "number of message N, all of it" -> N goes into the pipe. */
static void
answer_line(const struct spool_entry *entry)
{
	char line[100] = { 0 };
	char expected[100];
	unsigned number;

	require(entry->len < sizeof line, LIFE_BAD_LINE);
	require(pread(entry->fd, line, entry->len, 0) == (ssize_t)entry->len, LIFE_BAD_LINE);
	require(sscanf(line, "number of message %u", &number) == 1, LIFE_BAD_LINE);
	snprintf(expected, sizeof expected, "number of message %u, all of it", number);
	require(strcmp(line, expected) == 0, LIFE_BAD_LINE);
	require(write(answers[1], &number, sizeof number) == (ssize_t)sizeof number,
		LIFE_NO_ANSWER);
	close(entry->fd);
}

static _Noreturn void
live_with_spool(void)
{
	struct spool *spool = spool_new(site_delayed, &options);
	struct spool_hosts hosts;
	struct spool_scan scan;
	struct spool_entry entry;

	require(spool != NULL && spool_hosts_init(&hosts, table, COUNT_OF(table)) == 0,
		LIFE_NO_SPOOL);
	spool_set_hosts(spool, &hosts);
	for (unsigned turn = 0;; turn++) {
		require(spool_scan(spool, now_time(), &scan) == 0, LIFE_ERROR);
		for (size_t i = 0; i < scan.ready_count; i++)
			while (spool_next(spool, scan.ready[i], now_time(), &entry) ==
			       SPOOL_ENTRY) {
				answer_line(&entry);
				/* Some answers do not come in time. */
				if (turn % 5 == 4)
					spool_fail(spool, entry.token, now_time());
				else
					require(spool_done(spool, entry.token) == 0, LIFE_ERROR);
			}
		free(scan.ready);
		pause_us(300);
	}
}

static size_t
compose(char *out, size_t size, time_t now, const char *host, struct wire_span command)
{
	return (size_t)snprintf(out, size, "%lld:S:%s:%.*s:then\n", (long long)now, host,
				(int)command.len, (const char *)command.data);
}

static void
handle(struct storage *storage, struct storage_result *result)
{
	switch (result->type) {
	case STORAGE_SCANNED:
		for (size_t i = 0; i < result->scan.ready_count; i++)
			require(storage_next(storage, result->scan.ready[i]) == 0, LIFE_ERROR);
		if (result->scan.ready_count == 0) {
			pause_us(300);
			require(storage_scan(storage) == 0, LIFE_ERROR);
		}
		break;
	case STORAGE_NEXT:
		if (result->next.answer == SPOOL_ENTRY) {
			answer_line(&result->next.entry);
			result->next.entry.fd = -1;
			require(storage_done(storage, result->next.entry.token, 77) == 0,
				LIFE_ERROR);
		} else {
			require(storage_scan(storage) == 0, LIFE_ERROR);
		}
		break;
	case STORAGE_ENDED:
		require(result->error == 0, LIFE_ERROR);
		require(storage_next(storage, result->host) == 0, LIFE_ERROR);
		break;
	case STORAGE_REPLACED:
	case STORAGE_VIEW:
	case STORAGE_MESSAGE:
	case STORAGE_NOTICE:
		_exit(LIFE_ERROR);
	}
	storage_result_fini(result);
}

static _Noreturn void
live_with_storage(void)
{
	struct storage *storage;
	struct storage_result result;
	struct storage_options all = {
		.delayed_dir = site_delayed,
		.perm_log = temp_path("perm.log"),
		.perm_line = compose,
		.spool = options,
	};

	require(storage_new(&storage, &all) == 0, LIFE_NO_SPOOL);
	require(storage_hosts(storage, table, COUNT_OF(table)) == 0, LIFE_ERROR);
	require(storage_scan(storage) == 0, LIFE_ERROR);
	for (;;) {
		struct pollfd poll_fd = { .fd = storage_fd(storage), .events = POLLIN };
		poll(&poll_fd, 1, -1);
		while (storage_take(storage, &result))
			handle(storage, &result);
	}
}

/* ---- the test's side ---- */

/* In place as the old writers do, in pieces, or finished under another name. */
static void
make_message(void)
{
	char name[64];
	char text[100];
	unsigned number = made++;

	snprintf(name, sizeof name, "%u.%s", number, table[number % 2].id);
	int n = snprintf(text, sizeof text, "number of message %u, all of it%s", number,
			 number % 3 == 0 ? "" : "\nmore lines\n");
	const char *path = delayed_path(number % 4 == 0 ? "unfinished" : name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	cr_assert_geq(fd, 0);
	int half = rand_r(&seed) % n;
	cr_assert_eq(write(fd, text, (size_t)half), half);
	cr_assert_eq(write(fd, text + half, (size_t)(n - half)), n - half);
	cr_assert_eq(close(fd), 0);
	if (number % 4 == 0)
		cr_assert_eq(rename(path, delayed_path(name)), 0);
}

static void
read_answers(void)
{
	unsigned number;

	while (read(answers[0], &number, sizeof number) == (ssize_t)sizeof number) {
		cr_assert_lt(number, made);
		delivered[number]++;
	}
	cr_assert_eq(errno, EAGAIN);
}

static unsigned
messages_left(void)
{
	unsigned left = 0;

	for (unsigned i = 0; i < made; i++)
		left += delivered[i] == 0;
	return left;
}

static bool
directory_is_empty(void)
{
	DIR *stream = opendir(site_delayed);
	unsigned entries = 0;

	cr_assert_not_null(stream);
	while (readdir(stream) != NULL)
		entries++;
	closedir(stream);
	return entries == 2; /* . and .. */
}

static pid_t
start_life(void (*live)(void))
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0)
		live();
	return pid;
}

static void
kill_life(pid_t pid)
{
	int status;

	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		  "it ended by itself: %d (seed above)",
		  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void
run_lives(void (*live)(void))
{
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = start_life(live);
		for (int messages = rand_r(&seed) % (PER_LIFE + 1); messages > 0; messages--) {
			make_message();
			pause_us((unsigned)rand_r(&seed) % 1500);
		}
		pause_us((unsigned)rand_r(&seed) % 8000);
		kill_life(pid);
		read_answers();
	}
	/* The last one may finish. */
	pid_t pid = start_life(live);
	int waited = 0;
	for (; !directory_is_empty() && waited < LAST_WAIT_MS; waited += 5)
		pause_us(5000);
	kill_life(pid);
	read_answers();
	cr_assert_lt(waited, LAST_WAIT_MS, "messages remain");
	cr_assert_eq(messages_left(), 0, "%u of %u were lost", messages_left(), made);
	cr_assert_gt(made, KILLS);
}

static void
set_up(void)
{
	const char *given = getenv("RELAY_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given != NULL ? (unsigned)strtoul(given, NULL, 10)
			     : (unsigned)now.tv_nsec ^ (unsigned)getpid();
	/* Shown by the runner if the test fails. */
	fprintf(stderr, "RELAY_TEST_SEED=%u\n", seed);
	site_set_up();
	cr_assert_eq(pipe2(answers, O_CLOEXEC), 0);
	cr_assert_eq(fcntl(answers[0], F_SETFL, O_NONBLOCK), 0);
}

static void
tear_down(void)
{
	temp_dir_remove();
}

TestSuite(spool_kill, .init = set_up, .fini = tear_down, .timeout = 300);

Test(spool_kill, nothing_is_lost_by_the_spool)
{
	run_lives(live_with_spool);
}

Test(spool_kill, nothing_is_lost_by_the_thread)
{
	run_lives(live_with_storage);

	/* What was delivered and removed is on record, each in a whole line of its own. */
	bool recorded[MESSAGES_MAX] = { false };
	char *text = read_file(temp_path("perm.log"), NULL);
	for (char *line = text; *line != '\0';) {
		char expected[200];
		unsigned number = 0;
		char *end = strchr(line, '\n');
		cr_assert_not_null(end);
		*end = '\0';
		const char *at = strstr(line, "message ");
		cr_assert(at != NULL && sscanf(at, "message %u", &number) == 1, "%s", line);
		cr_assert_lt(number, made);
		snprintf(expected, sizeof expected, "77:S:%s:number of message %u, all of it:then",
			 table[number % 2].id, number);
		cr_assert_str_eq(line, expected);
		recorded[number] = true;
		line = end + 1;
	}
	for (unsigned i = 0; i < made; i++)
		cr_assert(recorded[i], "%u", i);
	free(text);
}
