/*
 * test_storage.c - the storage thread as the loop of the control process sees it.
 */
#include <poll.h>
#include <semaphore.h>
#include <signal.h>

#include "relay/storage.h"
#include "tests/spool_site.h"

#define WAIT_MS 20000

enum {
	HOST = 5,
	OTHER = 6
};

static const struct spool_host table[] = {
	{ .id = "msul1", .index = HOST, .line_max = 1000 },
	{ .id = "nsdl2", .index = OTHER, .line_max = 1000 },
};

static struct storage *storage;
static char lonc_log[128];
static char perm_log[128];
static struct storage_result result;

/* The composer can be made to hold the thread, which stands for a disk that takes its time. */
static bool hold;
static sem_t held;
static sem_t go_on;

static size_t
compose(char *out, size_t size, time_t now, const char *host, struct wire_span command)
{
	if (hold) {
		sem_post(&held);
		sem_wait(&go_on);
	}
	int n = snprintf(out, size, "%lld:S:%s:%.*s:then\n", (long long)now, host, (int)command.len,
			 (const char *)command.data);
	/* Like a composer that needs much more than the command has. */
	if (command.len == 7 && memcmp(command.data, "stretch", 7) == 0) {
		if (size < 5000)
			return 5000;
		memset(out, 's', 4999);
		out[4999] = '\n';
		return 5000;
	}
	return (size_t)n;
}

static void
start(const struct spool_options *options)
{
	struct storage_options all = {
		.delayed_dir = site_delayed,
		.lonc_log = lonc_log,
		.perm_log = perm_log,
		.perm_line = compose,
	};

	if (options != NULL)
		all.spool = *options;
	cr_assert_eq(storage_new(&storage, &all), 0);
	cr_assert_eq(storage_hosts(storage, table, COUNT_OF(table)), 0);
}

static void
set_up(void)
{
	site_set_up();
	snprintf(lonc_log, sizeof lonc_log, "%s/lonc.log", temp_dir);
	snprintf(perm_log, sizeof perm_log, "%s/lonnet.perm.log", temp_dir);
	sem_init(&held, 0, 0);
	sem_init(&go_on, 0, 0);
	hold = false;
	start(NULL);
}

static void
tear_down(void)
{
	storage_free(storage);
	storage = NULL;
	temp_dir_remove();
}

TestSuite(storage, .init = set_up, .fini = tear_down, .timeout = 60);

/* Waits for the next result, as the loop does. */
static void
take(void)
{
	struct pollfd poll_fd = { .fd = storage_fd(storage), .events = POLLIN };

	while (!storage_take(storage, &result))
		cr_assert_eq(poll(&poll_fd, 1, WAIT_MS), 1, "no result");
}

static void
expect(enum storage_result_type type)
{
	take();
	cr_assert_eq(result.type, type, "type %d, error %d", (int)result.type, result.error);
}

static void
expect_notice(enum storage_thing thing, int error, uint64_t lost)
{
	expect(STORAGE_NOTICE);
	cr_assert_eq(result.notice.thing, thing, "%s", storage_thing_text(result.notice.thing));
	cr_assert_eq(result.error, error, "%s", strerror(-result.error));
	cr_assert_eq(result.notice.lost, lost, "%llu", (unsigned long long)result.notice.lost);
}

/* Everything before has been done when the answer comes. */
static void
expect_scan(size_t ready)
{
	cr_assert_eq(storage_scan(storage), 0);
	expect(STORAGE_SCANNED);
	cr_assert_eq(result.error, 0, "%s", strerror(-result.error));
	cr_assert_eq(result.scan.ready_count, ready, "%zu", result.scan.ready_count);
	storage_result_fini(&result);
}

static uint64_t
expect_line(uint32_t host, const char *expected)
{
	cr_assert_eq(storage_next(storage, host), 0);
	expect(STORAGE_NEXT);
	cr_assert_eq(result.host, host);
	cr_assert_eq(result.next.answer, SPOOL_ENTRY, "%s", spool_answer_text(result.next.answer));
	uint64_t token = result.next.entry.token;
	char *line = take_line(&result.next.entry);
	cr_assert_str_eq(line, expected);
	free(line);
	return token;
}

static void
expect_answer(uint32_t host, enum spool_answer answer)
{
	cr_assert_eq(storage_next(storage, host), 0);
	expect(STORAGE_NEXT);
	cr_assert_eq(result.next.answer, answer, "%s", spool_answer_text(result.next.answer));
	storage_result_fini(&result);
}

static void
expect_ended(uint64_t token, int error)
{
	cr_assert_eq(storage_done(storage, token, 1234), 0);
	expect(STORAGE_ENDED);
	cr_assert_eq(result.token, token);
	cr_assert_eq(result.error, error, "%s", strerror(-result.error));
}

static bool
log_text(const char *text)
{
	return storage_log(storage, text, strlen(text));
}

/* ---- delayed messages ---- */

Test(storage, a_message_is_recorded_and_removed)
{
	put_text("1.msul1", "encrypt:echo:sd\nrest\n", 1);
	put_text("2.msul1", "stretch", 2);
	put_text("1.nsdl2", "other", 1);
	cr_assert_eq(storage_scan(storage), 0);
	expect(STORAGE_SCANNED);
	cr_assert_eq(result.scan.ready_count, 2);
	cr_assert_eq(result.scan.ready[0], HOST);
	cr_assert_eq(result.scan.ready[1], OTHER);
	cr_assert_eq(result.scan.due, 3);
	cr_assert_eq(result.scan.files_count, 2);
	cr_assert_eq(result.scan.files[0].host, HOST);
	cr_assert_eq(result.scan.files[0].files, 2);
	cr_assert_eq(result.scan.files[1].host, OTHER);
	cr_assert_eq(result.scan.files[1].files, 1);
	storage_result_fini(&result);

	uint64_t token = expect_line(HOST, "encrypt:echo:sd");
	expect_answer(HOST, SPOOL_BUSY);
	/* One that is being sent is there as well, and not due. */
	cr_assert_eq(storage_scan(storage), 0);
	expect(STORAGE_SCANNED);
	cr_assert_eq(result.scan.due, 2);
	cr_assert_eq(result.scan.files[0].files, 2);
	storage_result_fini(&result);
	expect_ended(token, 0);
	cr_assert_eq(result.host, HOST);
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	assert_file(perm_log, "1234:S:msul1:encrypt:echo:sd:then\n");
	expect_ended(expect_line(HOST, "stretch"), 0);
	size_t len;
	free(read_file(perm_log, &len));
	cr_assert_eq(len, strlen("1234:S:msul1:encrypt:echo:sd:then\n") + 5000);
	expect_ended(token, -EBADF);
	expect_answer(HOST, SPOOL_NONE);
}

Test(storage, failed_and_released_messages_stay)
{
	put_text("1.msul1", "one", 1);
	put_text("2.msul1", "two", 2);
	put_text("3.msul1", "", 3);
	expect_scan(1);
	cr_assert_eq(storage_fail(storage, expect_line(HOST, "one")), 0);
	cr_assert_eq(storage_release(storage, expect_line(HOST, "two")), 0);
	expect_answer(HOST, SPOOL_SET_ASIDE);
	cr_assert_eq(result.next.entry.verdict, SPOOL_EMPTY);
	cr_assert_str_eq(result.next.entry.name, "3.msul1");
	expect_answer(HOST, SPOOL_NONE);
	cr_assert_eq(result.next.entry.wait_ms, 0, "the released one");
	expect_scan(1);
	cr_assert_leq(result.scan.wait_ms, SPOOL_BACKOFF_MIN_MS);
	cr_assert_gt(result.scan.wait_ms, SPOOL_BACKOFF_MIN_MS / 2);
	expect_ended(expect_line(HOST, "two"), 0);
	expect_answer(HOST, SPOOL_NONE);
	cr_assert(path_exists(delayed_path("1.msul1")));
	cr_assert_eq(storage_fail(storage, 999), 0, "an unknown token is nothing");
	expect_scan(0);
}

Test(storage, the_file_is_removed_only_after_the_record)
{
	put_text("1.msul1", "one", 1);
	expect_scan(1);
	uint64_t token = expect_line(HOST, "one");
	hold = true;
	cr_assert_eq(storage_done(storage, token, 7), 0);
	sem_wait(&held);
	cr_assert(path_exists(delayed_path("1.msul1")));
	hold = false;
	sem_post(&go_on);
	expect(STORAGE_ENDED);
	assert_file(perm_log, "7:S:msul1:one:then\n");
	cr_assert_not(path_exists(delayed_path("1.msul1")));
}

Test(storage, what_cannot_be_recorded_is_not_sent_again)
{
	put_text("1.msul1", "one", 1);
	put_text("2.msul1", "two", 2);
	cr_assert_eq(symlink("/dev/full", perm_log), 0);
	expect_scan(1);
	uint64_t token = expect_line(HOST, "one");
	cr_assert_eq(storage_done(storage, token, 7), 0);
	expect_notice(STORAGE_PERM_LOG, -ENOSPC, 0);
	expect(STORAGE_ENDED);
	cr_assert_eq(result.error, -ENOSPC);
	/* It is told once; the host gets nothing else meanwhile. */
	expect_answer(HOST, SPOOL_BUSY);
	cr_assert_eq(storage_fail(storage, token), 0);
	expect_ended(token, -EBADF);
	expect_scan(1);
	expect_answer(HOST, SPOOL_BUSY);
	cr_assert(path_exists(delayed_path("1.msul1")));

	cr_assert_eq(unlink(perm_log), 0);
	cr_assert_eq(storage_scan(storage), 0);
	expect_notice(STORAGE_PERM_LOG, 0, 0);
	expect(STORAGE_SCANNED);
	storage_result_fini(&result);
	assert_file(perm_log, "7:S:msul1:one:then\n");
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	expect_ended(expect_line(HOST, "two"), 0);
}

Test(storage, what_cannot_be_removed_is_recorded_once)
{
	put_text("1.msul1", "one", 1);
	storage_free(storage);
	become_ordinary();
	start(NULL);
	expect_scan(1);
	uint64_t token = expect_line(HOST, "one");
	cr_assert_eq(chmod(site_delayed, 0555), 0);
	cr_assert_eq(storage_done(storage, token, 7), 0);
	expect_notice(STORAGE_DELAYED_REMOVE, -EACCES, 0);
	expect(STORAGE_ENDED);
	cr_assert_eq(result.error, -EACCES);
	expect_scan(0);
	cr_assert_eq(chmod(site_delayed, 0755), 0);
	/* The last try is at the end. */
	storage_stop(storage);
	expect_notice(STORAGE_DELAYED_REMOVE, 0, 0);
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	assert_file(perm_log, "7:S:msul1:one:then\n");
}

Test(storage, an_unreadable_directory_is_told_once)
{
	storage_free(storage);
	become_ordinary();
	start(NULL);
	cr_assert_eq(chmod(site_delayed, 0), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(storage_scan(storage), 0);
		if (i == 0)
			expect_notice(STORAGE_DELAYED_SCAN, -EACCES, 0);
		expect(STORAGE_SCANNED);
		cr_assert_eq(result.error, -EACCES);
		cr_assert_eq(result.scan.ready_count, 0);
	}
	cr_assert_eq(chmod(site_delayed, 0755), 0);
	cr_assert_eq(storage_scan(storage), 0);
	expect_notice(STORAGE_DELAYED_SCAN, 0, 0);
	expect(STORAGE_SCANNED);
}

/* ---- files ---- */

Test(storage, a_text_is_one_line)
{
	char big[3 * STORAGE_LINE_MAX];

	memset(big, 'b', sizeof big);
	cr_assert(log_text("one\n"));
	cr_assert(log_text("two"));
	cr_assert(log_text("a\nb\n"));
	cr_assert(storage_log(storage, big, sizeof big));
	cr_assert(log_text(""));
	expect_scan(0);
	big[STORAGE_LINE_MAX - 1] = '\0';
	char expected[4 * STORAGE_LINE_MAX];
	snprintf(expected, sizeof expected, "one\ntwo\na b\n%s\n\n", big);
	assert_file(lonc_log, expected);
	/* Rotated between two lines. */
	cr_assert_eq(rename(lonc_log, temp_path("lonc.log.1")), 0);
	cr_assert(log_text("three"));
	expect_scan(0);
	assert_file(lonc_log, "three\n");
}

Test(storage, a_full_disk_is_told_once_and_passes)
{
	cr_assert_eq(symlink("/dev/full", lonc_log), 0);
	for (int i = 0; i < 5; i++)
		cr_assert(log_text("lost"));
	cr_assert_eq(storage_scan(storage), 0);
	/* The notice may be taken when only some of the lines have been tried. */
	expect(STORAGE_NOTICE);
	cr_assert_eq(result.notice.thing, STORAGE_LONC_LOG);
	cr_assert_eq(result.error, -ENOSPC);
	uint64_t lost = result.notice.lost;
	expect(STORAGE_SCANNED);
	expect_scan(0);
	cr_assert_eq(unlink(lonc_log), 0);
	cr_assert(log_text("kept"));
	expect(STORAGE_NOTICE);
	cr_assert_eq(result.error, 0);
	cr_assert_eq(lost + result.notice.lost, 5);
	expect_scan(0);
	assert_file(lonc_log, "kept\n");
}

static char *
copy_of(const char *text)
{
	char *copy = strdup(text);

	cr_assert_not_null(copy);
	return copy;
}

Test(storage, a_file_is_replaced)
{
	const char *path = temp_path("loncstatus.txt");

	cr_assert_eq(storage_replace(storage, path, copy_of("status\n"), 7), 0);
	expect(STORAGE_REPLACED);
	cr_assert_eq(result.error, 0);
	assert_file(path, "status\n");
	cr_assert_eq(storage_replace(storage, temp_path("no/where"), copy_of("x"), 1), 0);
	expect(STORAGE_REPLACED);
	cr_assert_eq(result.error, -ENOENT);
}

Test(storage, several_files_are_told_apart)
{
	cr_assert_eq(storage_save(storage, 7, temp_path("seven"), copy_of("7"), 1), 0);
	cr_assert_eq(storage_save(storage, 8, temp_path("no/where"), copy_of("8"), 1), 0);
	cr_assert_eq(storage_replace(storage, temp_path("none"), copy_of("0"), 1), 0);
	expect(STORAGE_REPLACED);
	cr_assert(result.token == 7 && result.error == 0);
	expect(STORAGE_REPLACED);
	cr_assert(result.token == 8 && result.error == -ENOENT);
	expect(STORAGE_REPLACED);
	cr_assert(result.token == 0 && result.error == 0);
	assert_file(temp_path("seven"), "7");
}

Test(storage, an_operator_is_answered)
{
	struct spool_ask ask = { .verb = SPOOL_LIST, .page = 5 };
	struct spool_ask hold_it = { .verb = SPOOL_HOLD, .name = "1.msul1" };

	put_text("1.msul1", "line\n", 0);
	put_text("2.msul1", "line\n", 1);
	cr_assert_eq(storage_ask(storage, 41, &hold_it), 0);
	cr_assert_eq(storage_ask(storage, 42, &ask), 0);
	memset(&ask, 0xff, sizeof ask); /* it was copied */
	expect(STORAGE_VIEW);
	cr_assert_eq(result.token, 41);
	cr_assert_eq(result.view->outcome, SPOOL_OUTCOME_DONE);
	storage_result_fini(&result);
	cr_assert_null(result.view);
	expect(STORAGE_VIEW);
	cr_assert_eq(result.token, 42);
	cr_assert_eq(result.view->count, 2);
	cr_assert_eq(result.view->messages[0].state, SPOOL_STATE_WAITING);
	cr_assert_eq(result.view->messages[1].state, SPOOL_STATE_HELD);
	storage_result_fini(&result);
	expect_scan(1);
	cr_assert_eq(storage_done(storage, expect_line(HOST, "line"), 1), 0);
	expect(STORAGE_ENDED);
	expect_scan(0);
	assert_file(delayed_path("held/1.msul1"), "line\n");
	/* What nobody takes is freed with the rest. */
	cr_assert_eq(storage_ask(storage, 43, &hold_it), 0);
	storage_stop(storage);
	cr_assert_eq(storage_ask(storage, 44, &hold_it), -ESHUTDOWN);
}

/* ---- bounds ---- */

/* Holds the thread in the middle of a message's end. */
static void
hold_thread(void)
{
	put_text("hold.nsdl2", "hold", 0);
	expect_scan(1);
	uint64_t token = expect_line(OTHER, "hold");
	hold = true;
	cr_assert_eq(storage_done(storage, token, 1), 0);
	sem_wait(&held);
	hold = false;
}

Test(storage, lines_that_find_no_room_are_counted)
{
	unsigned accepted = 0;
	char text[32];

	hold_thread();
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "line %u", i);
		accepted += log_text(text);
	}
	cr_assert_eq(accepted, STORAGE_JOBS_MAX / 2);
	cr_assert_eq(storage_scan(storage), 0, "there is still room for other jobs");
	sem_post(&go_on);
	uint64_t lost = 0;
	bool told = false;
	for (int left = 2; left > 0 || !told;) {
		take();
		left -= result.type == STORAGE_ENDED || result.type == STORAGE_SCANNED;
		if (result.type != STORAGE_NOTICE)
			continue;
		cr_assert_eq(result.notice.thing, STORAGE_LONC_LOG);
		cr_assert_eq(result.error, 0);
		lost += result.notice.lost;
		told = true;
	}
	cr_assert_eq(lost, 3000 - accepted);
	cr_assert(log_text("after"));
	expect_scan(0);
	/* What was accepted is there, in order and unmixed. */
	char *log = read_file(lonc_log, NULL);
	char *at = log;
	for (unsigned i = 0; i < accepted; i++) {
		int n = snprintf(text, sizeof text, "line %u\n", i);
		cr_assert_eq(strncmp(at, text, (size_t)n), 0, "line %u", i);
		at += n;
	}
	cr_assert_str_eq(at, "after\n");
	free(log);
}

Test(storage, a_full_queue_refuses_jobs_but_no_endings)
{
	int accepted = 0;

	put_text("1.msul1", "one", 1);
	expect_scan(1);
	uint64_t token = expect_line(HOST, "one");
	hold_thread();
	while (storage_next(storage, HOST) == 0)
		cr_assert_leq(++accepted, (int)STORAGE_RESULTS_MAX);
	cr_assert_gt(accepted, 100);
	cr_assert_eq(storage_next(storage, HOST), -ENOBUFS);
	cr_assert_eq(storage_scan(storage), -ENOBUFS);
	char *status = copy_of("status");
	cr_assert_eq(storage_replace(storage, temp_path("s"), status, 6), -ENOBUFS);
	free(status);
	while (storage_hosts(storage, table, COUNT_OF(table)) == 0)
		cr_assert_leq(++accepted, (int)STORAGE_JOBS_MAX);
	cr_assert_not(log_text("no room"));
	cr_assert_eq(storage_done(storage, token, 2), 0);

	sem_post(&go_on);
	int endings = 0;
	while (endings < 2) {
		take();
		endings += result.type == STORAGE_ENDED;
		if (result.type == STORAGE_NEXT)
			cr_assert_eq(result.next.answer, SPOOL_BUSY);
		storage_result_fini(&result);
	}
	cr_assert_eq(result.error, 0);
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	expect_scan(0);
}

Test(storage, results_wait_for_whoever_takes_them)
{
	int accepted = 0;

	/* Nobody takes any: the caller is refused in the end, the thread is never stuck. */
	cr_assert(log_text("before"));
	for (int i = 0; i < 2 * (int)STORAGE_RESULTS_MAX; i++) {
		int error = storage_next(storage, HOST);
		cr_assert(error == 0 || error == -ENOBUFS);
		accepted += error == 0;
	}
	cr_assert_lt(accepted, (int)STORAGE_RESULTS_MAX);
	storage_stop(storage);
	assert_file(lonc_log, "before\n");
	while (accepted-- > 0)
		expect(STORAGE_NEXT);
	cr_assert_not(storage_take(storage, &result));
}

Test(storage, the_descriptor_tells)
{
	struct pollfd poll_fd = { .fd = storage_fd(storage), .events = POLLIN };

	cr_assert_eq(poll(&poll_fd, 1, 0), 0);
	cr_assert_eq(storage_scan(storage), 0);
	cr_assert_eq(poll(&poll_fd, 1, WAIT_MS), 1);
	cr_assert(storage_take(storage, &result));
	cr_assert_not(storage_take(storage, &result));
	cr_assert_eq(poll(&poll_fd, 1, 0), 0);
}

/* ---- stop ---- */

Test(storage, a_stop_finishes_what_was_accepted)
{
	char text[32];

	hold_thread();
	put_text("1.msul1", "one", 1);
	for (int i = 0; i < 400; i++) {
		snprintf(text, sizeof text, "line %d", i);
		cr_assert(log_text(text));
	}
	cr_assert_eq(storage_scan(storage), 0);
	cr_assert_eq(storage_next(storage, HOST), 0);
	cr_assert_eq(storage_replace(storage, temp_path("s"), copy_of("status"), 6), 0);
	sem_post(&go_on);
	storage_stop(storage);
	storage_stop(storage);
	cr_assert_eq(storage_scan(storage), -ESHUTDOWN);
	cr_assert_eq(storage_done(storage, 1, 1), -ESHUTDOWN);
	cr_assert_eq(storage_hosts(storage, table, 1), -ESHUTDOWN);
	cr_assert_not(log_text("too late"));
	expect(STORAGE_ENDED);
	expect(STORAGE_SCANNED);
	storage_result_fini(&result);
	/* The line in the next result is left to storage_free. */
	assert_file(temp_path("s"), "status");
	char *log = read_file(lonc_log, NULL);
	cr_assert_not_null(strstr(log, "\nline 399\n"));
	free(log);
	cr_assert(path_exists(delayed_path("1.msul1")), "not answered");
}

Test(storage, signals_are_not_for_the_thread)
{
	sigset_t set;
	struct timespec moment = { .tv_sec = 20 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	/* If the thread took it, the process would end. */
	cr_assert_eq(kill(getpid(), SIGUSR1), 0);
	expect_scan(0);
	cr_assert_eq(sigtimedwait(&set, NULL, &moment), SIGUSR1);
}
