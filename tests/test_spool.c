/*
 * test_spool.c - which delayed message is given out when, and what becomes of its file.  Time is
 * the test's own.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/spool_site.h"

#define LINE_MAX_A 64u
#define LINE_MAX_B 100u

enum {
	HOST_A = 7,
	HOST_B = 3,
	HOST_DOTTED = 900
};

static const struct spool_host table[] = {
	{ .id = "msul1", .index = HOST_A, .line_max = LINE_MAX_A },
	{ .id = "nsdl2", .index = HOST_B, .line_max = LINE_MAX_B },
	{ .id = "x.msul1", .index = HOST_DOTTED, .line_max = LINE_MAX_A },
};

static struct spool *spool;
static struct spool_scan last_scan;
static struct spool_entry entry;
static struct spool_time now;

static void
set_hosts(const struct spool_host *hosts, size_t count)
{
	struct spool_hosts copy;

	cr_assert_eq(spool_hosts_init(&copy, hosts, count), 0);
	spool_set_hosts(spool, &copy);
	cr_assert_eq(copy.count, 0);
}

static void
open_spool(const struct spool_options *options)
{
	spool_free(spool);
	spool = spool_new(site_delayed, options);
	cr_assert_not_null(spool);
	set_hosts(table, COUNT_OF(table));
}

static void
set_up(void)
{
	site_set_up();
	now = (struct spool_time){
		.monotonic_ms = 5000000,
		.real_ms = (int64_t)(SITE_TIME + 100000) * 1000,
	};
	open_spool(NULL);
}

static void
tear_down(void)
{
	spool_free(spool);
	spool = NULL;
	temp_dir_remove();
}

static void
pass(uint64_t ms)
{
	now.monotonic_ms += ms;
	now.real_ms += (int64_t)ms;
}

/* Scans; the number of hosts that have something. */
static size_t
scan(void)
{
	cr_assert_eq(spool_scan(spool, now, &last_scan), 0);
	free(last_scan.ready);
	last_scan.ready = NULL;
	return last_scan.ready_count;
}

static enum spool_answer
next(uint32_t host)
{
	return spool_next(spool, host, now, &entry);
}

/* The host's next message is this one, and it is being sent now. */
static uint64_t
expect_line(uint32_t host, const char *expected)
{
	enum spool_answer answer = next(host);

	cr_assert_eq(answer, SPOOL_ENTRY, "%s (%s)", spool_answer_text(answer), entry.name);
	char *line = take_line(&entry);
	cr_assert_str_eq(line, expected);
	free(line);
	cr_assert_neq(entry.token, 0);
	return entry.token;
}

static void
expect_nothing(uint32_t host)
{
	enum spool_answer answer = next(host);

	cr_assert_eq(answer, SPOOL_NONE, "%s (%s)", spool_answer_text(answer), entry.name);
	cr_assert_eq(entry.fd, -1);
}

static void
deliver(uint32_t host, const char *expected)
{
	cr_assert_eq(spool_done(spool, expect_line(host, expected)), 0);
}

static void
expect_set_aside(uint32_t host, const char *name, enum spool_verdict verdict)
{
	char bad[300];

	snprintf(bad, sizeof bad, "bad/%s", name);
	enum spool_answer answer = next(host);
	cr_assert_eq(answer, SPOOL_SET_ASIDE, "%s: %s", name, spool_answer_text(answer));
	cr_assert_eq(entry.verdict, verdict, "%s: %s", name, spool_verdict_text(entry.verdict));
	cr_assert_str_eq(entry.name, name);
	cr_assert_eq(entry.fd, -1);
	cr_assert(path_exists(delayed_path(bad)));
	cr_assert_not(path_exists(delayed_path(name)));
}

TestSuite(spool, .init = set_up, .fini = tear_down);

/* ---- whose file it is ---- */

Test(spool, the_longest_literal_id_wins)
{
	put_text("1.msul1", "one", 0);
	put_text("1.x.msul1", "two", 0);
	put_text("1.y.msul1", "three", 1);
	put_text("1.mxul1", "pattern", 0);
	put_text("1.msul12", "longer", 0);
	put_text("msul1", "no dot", 0);
	put_text("1.MSUL1", "case", 0);
	put_text("1.msul1.", "tail", 0);
	cr_assert_eq(scan(), 2);
	cr_assert_eq(last_scan.due, 3);
	deliver(HOST_A, "one");
	deliver(HOST_A, "three");
	deliver(HOST_DOTTED, "two");
	expect_nothing(HOST_A);
	expect_nothing(HOST_B);
	expect_nothing(12345);
	const char *const stay[] = { "1.mxul1", "1.msul12", "msul1", "1.MSUL1", "1.msul1." };
	for (size_t i = 0; i < COUNT_OF(stay); i++)
		cr_assert(path_exists(delayed_path(stay[i])), "%s", stay[i]);
}

Test(spool, an_id_is_no_pattern)
{
	const struct spool_host odd[] = {
		{ .id = "h.st", .index = 1, .line_max = 64 },
		{ .id = "#a*", .index = 2, .line_max = 64 },
		{ .id = ".*", .index = 4, .line_max = 64 },
	};

	set_hosts(odd, COUNT_OF(odd));
	put_text("1.hxst", "no", 0);
	put_text("1.h.st", "yes", 0);
	put_text("1.#a*", "hash", 0);
	cr_assert_eq(scan(), 2);
	deliver(1, "yes");
	deliver(2, "hash");
	expect_nothing(4);
	cr_assert(path_exists(delayed_path("1.hxst")));
}

Test(spool, what_is_hidden_or_a_directory_is_left_alone)
{
	put_text(".1.msul1", "hidden", 0);
	put_text(".msul1", "hidden", 0);
	cr_assert_eq(mkdir(delayed_path("dir.msul1"), 0755), 0);
	cr_assert_eq(mkdir(delayed_path("bad"), 0755), 0);
	put_text("bad/1.msul1", "set aside before", 0);
	cr_assert_eq(scan(), 0);
	expect_nothing(HOST_A);
	cr_assert(path_exists(delayed_path("dir.msul1")));
	cr_assert(path_exists(delayed_path(".1.msul1")));
	cr_assert(path_exists(delayed_path("bad/1.msul1")));
}

Test(spool, odd_names_are_names)
{
	char name[NAME_MAX + 1];

	memset(name, 'n', sizeof name);
	memcpy(name + NAME_MAX - 6, ".msul1", 7);
	put_text(name, "long", 0);
	put_text("a\nb\x1b[2J \xff%n.msul1", "odd", 1);
	put_text("..msul1..msul1", "dots", -1);
	put_text("a..msul1", "two dots", 2);
	scan();
	deliver(HOST_A, "long");
	cr_assert_str_eq(entry.name, name);
	deliver(HOST_A, "odd");
	cr_assert_str_eq(entry.name, "a?b?[2J \xff%n.msul1");
	deliver(HOST_A, "two dots");
	expect_nothing(HOST_A);
	cr_assert(path_exists(delayed_path("..msul1..msul1")), "begins with a dot");
}

Test(spool, no_directory_holds_nothing)
{
	cr_assert_eq(rmdir(site_delayed), 0);
	cr_assert_eq(scan(), 0);
	expect_nothing(HOST_A);
	cr_assert_eq(mkdir(site_delayed, 0755), 0);
	put_text("1.msul1", "now", 0);
	cr_assert_eq(scan(), 1);
	deliver(HOST_A, "now");
	cr_assert_eq(rmdir(site_delayed), 0);
	int fd = open(site_delayed, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(spool_scan(spool, now, &last_scan), -ENOTDIR);
	cr_assert_eq(last_scan.ready_count, 0);
	expect_nothing(HOST_A);
}

/* ---- the line ---- */

static void
expect_bytes(const char *name, const void *bytes, size_t len, const void *line, size_t line_len)
{
	put_bytes(name, bytes, len, 0);
	cr_assert_eq(scan(), 1, "%s", name);
	cr_assert_eq(next(HOST_A), SPOOL_ENTRY, "%s: %s", name, spool_verdict_text(entry.verdict));
	cr_assert_eq(entry.len, line_len, "%s", name);
	uint64_t token = entry.token;
	char *got = take_line(&entry);
	cr_assert_eq(memcmp(got, line, line_len), 0, "%s", name);
	free(got);
	cr_assert_eq(spool_done(spool, token), 0);
	cr_assert_not(path_exists(delayed_path(name)));
}

Test(spool, the_first_line_counts)
{
	expect_bytes("1.msul1", "echo:a\n", 7, "echo:a", 6);
	expect_bytes("2.msul1", "echo:a", 6, "echo:a", 6);
	expect_bytes("3.msul1", "echo:a\necho:b\n", 14, "echo:a", 6);
	expect_bytes("4.msul1", "a\0b\r\xff \n", 7, "a\0b\r\xff ", 6);
	expect_bytes("5.msul1", "x\n\n", 3, "x", 1);
}

Test(spool, line_max_is_exact)
{
	char big[100000];

	memset(big, 'y', sizeof big);
	expect_bytes("1.msul1", big, LINE_MAX_A, big, LINE_MAX_A);
	big[LINE_MAX_A] = '\n';
	expect_bytes("2.msul1", big, LINE_MAX_A + 1, big, LINE_MAX_A);
	/* The rest of the file is ignored, however much it is. */
	expect_bytes("3.msul1", big, sizeof big, big, LINE_MAX_A);
	big[LINE_MAX_A] = 'y';
	memcpy(big, "encrypt:", 8);
	expect_bytes("4.msul1", big, LINE_MAX_A + 8, big, LINE_MAX_A + 8);

	put_bytes("5.msul1", big, LINE_MAX_A + 9, 0);
	scan();
	expect_set_aside(HOST_A, "5.msul1", SPOOL_LONG);
	memcpy(big, "ENCRYPT:", 8);
	put_bytes("6.msul1", big, LINE_MAX_A + 1, 0);
	scan();
	expect_set_aside(HOST_A, "6.msul1", SPOOL_LONG);
	put_bytes("7.nsdl2", big, LINE_MAX_A + 1, 0);
	scan();
	cr_assert_eq(next(HOST_B), SPOOL_ENTRY, "line_max is the host's");
	close(entry.fd);
}

Test(spool, a_long_line_needs_many_reads)
{
	const size_t len = 3 * 1024 * 1024 + 17;
	const struct spool_host one = { .id = "msul1", .index = HOST_A, .line_max = len };
	char *big = malloc(len + 2);

	for (size_t i = 0; i < len; i++)
		big[i] = (char)('a' + i % 23);
	big[len] = '\n';
	set_hosts(&one, 1);
	expect_bytes("1.msul1", big, len + 1, big, len);
	memmove(big + 1, big, len + 1);
	put_bytes("2.msul1", big, len + 2, 0);
	scan();
	expect_set_aside(HOST_A, "2.msul1", SPOOL_LONG);
	free(big);
}

Test(spool, nobody_can_change_a_line)
{
	put_text("1.msul1", "sealed\n", 0);
	scan();
	cr_assert_eq(next(HOST_A), SPOOL_ENTRY);
	cr_assert_eq(pwrite(entry.fd, "X", 1, 0), -1);
	cr_assert_eq(ftruncate(entry.fd, 0), -1);
	cr_assert_eq(ftruncate(entry.fd, 4096), -1);
	cr_assert_neq(fcntl(entry.fd, F_GET_SEALS) & F_SEAL_SEAL, 0);
	cr_assert_neq(fcntl(entry.fd, F_GETFD) & FD_CLOEXEC, 0);
	char *mapped = mmap(NULL, entry.len, PROT_READ, MAP_PRIVATE, entry.fd, 0);
	cr_assert_neq(mapped, MAP_FAILED);
	cr_assert_eq(memcmp(mapped, "sealed", 6), 0);
	munmap(mapped, entry.len);
	close(entry.fd);
}

/* ---- what can never be sent ---- */

Test(spool, odd_files_are_set_aside)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;

	put_text("1.msul1", "", 0);
	put_text("2.msul1", "\nsecond line\n", 0);
	cr_assert_eq(symlink("/etc/passwd", delayed_path("3.msul1")), 0);
	cr_assert_eq(symlink("nowhere", delayed_path("4.msul1")), 0);
	cr_assert_eq(mkfifo(delayed_path("5.msul1"), 0666), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", delayed_path("6.msul1"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	for (int i = 3; i <= 6; i++) {
		char name[] = "0.msul1";
		name[0] = (char)('0' + i);
		set_time(delayed_path(name), i);
	}
	put_text("7.msul1", "good", 7);
	scan();
	expect_set_aside(HOST_A, "1.msul1", SPOOL_EMPTY);
	expect_set_aside(HOST_A, "2.msul1", SPOOL_EMPTY);
	expect_set_aside(HOST_A, "3.msul1", SPOOL_ODD);
	expect_set_aside(HOST_A, "4.msul1", SPOOL_ODD);
	expect_set_aside(HOST_A, "5.msul1", SPOOL_ODD);
	expect_set_aside(HOST_A, "6.msul1", SPOOL_ODD);
	deliver(HOST_A, "good");
	expect_nothing(HOST_A);
	close(fd);

	cr_assert_eq(stat(delayed_path("bad"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	assert_file(delayed_path("bad/2.msul1"), "\nsecond line\n");
	cr_assert_eq(scan(), 0);
}

Test(spool, unreadable_files_are_set_aside)
{
	put_text("1.msul1", "secret", 0);
	cr_assert_eq(chmod(delayed_path("1.msul1"), 0), 0);
	become_ordinary();
	scan();
	expect_set_aside(HOST_A, "1.msul1", SPOOL_UNREADABLE);
}

Test(spool, setting_aside_never_overwrites)
{
	char name[NAME_MAX + 1];
	char bad[300];
	unsigned found = 0;

	memset(name, 'n', sizeof name);
	memcpy(name + NAME_MAX - 6, ".msul1", 7);
	for (int i = 0; i < 3; i++) {
		put_text(name, "\n", i);
		scan();
		expect_set_aside(HOST_A, name, SPOOL_EMPTY);
	}
	snprintf(bad, sizeof bad, "%s/bad", site_delayed);
	/* Three files, each of a name of its own. */
	char command[400];
	snprintf(command, sizeof command, "ls -A '%s' | wc -l", bad);
	FILE *list = popen(command, "r");
	cr_assert_eq(fscanf(list, "%u", &found), 1);
	pclose(list);
	cr_assert_eq(found, 3);
}

Test(spool, what_cannot_be_set_aside_backs_off)
{
	put_text("1.msul1", "", 0);
	put_text("2.msul1", "good", 1);
	put_text("bad", "in the way", 0);
	scan();
	cr_assert_eq(next(HOST_A), SPOOL_TROUBLE);
	cr_assert_eq(entry.error, -ENOTDIR, "%s", strerror(-entry.error));
	cr_assert_eq(entry.verdict, SPOOL_EMPTY);
	cr_assert_str_eq(entry.name, "1.msul1");
	deliver(HOST_A, "good");
	cr_assert_eq(scan(), 0);
	cr_assert_eq(last_scan.wait_ms, SPOOL_BACKOFF_MIN_MS);
	cr_assert_eq(unlink(delayed_path("bad")), 0);
	pass(SPOOL_BACKOFF_MIN_MS);
	cr_assert_eq(scan(), 1);
	expect_set_aside(HOST_A, "1.msul1", SPOOL_EMPTY);
}

/* ---- order and time ---- */

Test(spool, oldest_first_then_by_name)
{
	put_text("a.msul1", "third", 5);
	put_text("c.msul1", "second", 2);
	put_text("b.msul1", "first", 2);
	put_text("0.msul1", "fourth", 6);
	put_text("0.nsdl2", "another host", 0);
	cr_assert_eq(scan(), 2);
	deliver(HOST_A, "first");
	deliver(HOST_A, "second");
	deliver(HOST_A, "third");
	deliver(HOST_A, "fourth");
	deliver(HOST_B, "another host");
}

Test(spool, one_at_a_time)
{
	put_text("1.msul1", "one", 1);
	put_text("2.msul1", "two", 2);
	put_text("1.nsdl2", "other", 1);
	scan();
	uint64_t token = expect_line(HOST_A, "one");
	cr_assert_eq(next(HOST_A), SPOOL_BUSY);
	cr_assert_eq(spool_done(spool, expect_line(HOST_B, "other")), 0);
	/* Nor is it found again meanwhile. */
	cr_assert_eq(scan(), 1);
	cr_assert_eq(last_scan.due, 1);
	cr_assert_eq(next(HOST_A), SPOOL_BUSY);
	set_hosts(table, COUNT_OF(table));
	scan();
	cr_assert_eq(next(HOST_A), SPOOL_BUSY);
	cr_assert_eq(spool_done(spool, token), 0);
	cr_assert_eq(spool_done(spool, token), -EBADF);
	cr_assert_eq(spool_fail(spool, token, now), -EBADF);
	cr_assert_eq(spool_release(spool, token), -EBADF);
	cr_assert_eq(spool_done(spool, 0), -EBADF);
	deliver(HOST_A, "two");
}

Test(spool, a_released_message_comes_again)
{
	put_text("1.msul1", "one", 1);
	scan();
	cr_assert_eq(spool_release(spool, expect_line(HOST_A, "one")), 0);
	expect_nothing(HOST_A);
	cr_assert_eq(entry.wait_ms, 0);
	scan();
	deliver(HOST_A, "one");
}

Test(spool, young_files_are_left_to_their_writers)
{
	int age = 100000; /* seconds between the file of time 0 and now */

	put_text("1.msul1", "", age);
	put_text("2.msul1", "half a comm", age - 1);
	cr_assert_eq(scan(), 0);
	cr_assert_eq(last_scan.wait_ms, SPOOL_SETTLE_MS - 1000);
	expect_nothing(HOST_A);
	cr_assert_eq(entry.wait_ms, SPOOL_SETTLE_MS - 1000);
	/* Written while nobody looked: it counts from then. */
	pass(SPOOL_SETTLE_MS - 1000);
	put_text("2.msul1", "half a command\n", age + 2);
	cr_assert_eq(scan(), 0);
	pass(1000);
	cr_assert_eq(scan(), 1);
	expect_set_aside(HOST_A, "1.msul1", SPOOL_EMPTY);
	pass(2000);
	/* From a clock that was ahead. */
	put_text("3.msul1", "from the future\n", age + 1000);
	cr_assert_eq(scan(), 1);
	deliver(HOST_A, "half a command");
	deliver(HOST_A, "from the future");
}

Test(spool, a_file_that_is_open_for_writing_is_left_for_a_minute)
{
	put_text("1.msul1", "half a comm", 100000);
	int fd = open(delayed_path("1.msul1"), O_WRONLY | O_APPEND);
	cr_assert_geq(fd, 0);
	pass(SPOOL_WRITER_MS - 1);
	cr_assert_eq(scan(), 1);
	expect_nothing(HOST_A);
	cr_assert_eq(entry.wait_ms, SPOOL_SETTLE_MS);
	int reader = open(delayed_path("1.msul1"), O_RDONLY);
	cr_assert_eq(write(fd, "and\n", 4), 4);
	close(fd);
	set_time(delayed_path("1.msul1"), 100000);
	scan();
	uint64_t token = expect_line(HOST_A, "half a command");
	cr_assert_eq(spool_release(spool, token), 0);
	close(reader);

	/* Somebody who forgot to close it does not hold it up for ever. */
	fd = open(delayed_path("1.msul1"), O_WRONLY);
	scan();
	expect_nothing(HOST_A);
	pass(1);
	scan();
	deliver(HOST_A, "half a command");
	close(fd);
}

Test(spool, a_file_replaced_after_the_scan_is_young)
{
	put_text("1.msul1", "old", 0);
	scan();
	put_text("1.msul1", "ne", 100000);
	expect_nothing(HOST_A);
	cr_assert_eq(entry.wait_ms, SPOOL_SETTLE_MS);
	put_text("1.msul1", "new", 100000);
	pass(SPOOL_SETTLE_MS);
	scan();
	deliver(HOST_A, "new");
}

Test(spool, failures_back_off_to_an_hour)
{
	uint64_t delay = SPOOL_BACKOFF_MIN_MS;

	put_text("1.msul1", "one", 0);
	scan();
	for (int i = 0; i < 70; i++) {
		cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one"), now), 0);
		expect_nothing(HOST_A);
		cr_assert_eq(entry.wait_ms, delay);
		pass(delay - 1);
		cr_assert_eq(scan(), 0, "failure %d", i);
		cr_assert_eq(last_scan.wait_ms, 1);
		pass(1);
		cr_assert_eq(scan(), 1, "failure %d", i);
		delay = 2 * delay < SPOOL_BACKOFF_MAX_MS ? 2 * delay : SPOOL_BACKOFF_MAX_MS;
	}
	cr_assert_eq(delay, SPOOL_BACKOFF_MAX_MS);
	cr_assert(path_exists(delayed_path("1.msul1")));
}

Test(spool, others_go_on_while_one_backs_off)
{
	put_text("1.msul1", "one", 1);
	put_text("2.msul1", "two", 2);
	scan();
	cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one"), now), 0);
	deliver(HOST_A, "two");
	put_text("3.msul1", "three", 3);
	scan();
	deliver(HOST_A, "three");
	expect_nothing(HOST_A);
}

Test(spool, a_replaced_file_starts_anew)
{
	put_text("1.msul1", "one", 1);
	scan();
	cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one"), now), 0);
	put_text("new", "one again", 1);
	cr_assert_eq(rename(delayed_path("new"), delayed_path("1.msul1")), 0);
	cr_assert_eq(scan(), 1, "another inode");
	cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one again"), now), 0);
	cr_assert_eq(scan(), 0);
	put_text("1.msul1", "one written", 2);
	cr_assert_eq(scan(), 1, "another time");
	cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one written"), now), 0);
	cr_assert_eq(rename(delayed_path("1.msul1"), delayed_path("2.msul1")), 0);
	cr_assert_eq(scan(), 1, "another name");
	cr_assert_eq(spool_fail(spool, expect_line(HOST_A, "one written"), now), 0);
	cr_assert_eq(last_scan.wait_ms, UINT64_MAX, "what is gone is forgotten");
}

/* ---- the end of a message ---- */

Test(spool, a_new_file_of_the_same_name_is_not_removed)
{
	put_text("1.msul1", "old", 1);
	scan();
	uint64_t token = expect_line(HOST_A, "old");
	put_text("new", "replaced", 1);
	cr_assert_eq(rename(delayed_path("new"), delayed_path("1.msul1")), 0);
	cr_assert_eq(spool_done(spool, token), 0);
	scan();
	token = expect_line(HOST_A, "replaced");
	put_text("1.msul1", "rewritten", 2);
	cr_assert_eq(spool_done(spool, token), 0);
	scan();
	token = expect_line(HOST_A, "rewritten");
	cr_assert_eq(unlink(delayed_path("1.msul1")), 0);
	cr_assert_eq(spool_done(spool, token), 0, "somebody else removed it");
	cr_assert_eq(scan(), 0);
}

Test(spool, the_host_may_leave_the_table_meanwhile)
{
	put_text("1.msul1", "one", 1);
	scan();
	uint64_t token = expect_line(HOST_A, "one");
	set_hosts(table + 1, 1);
	cr_assert_eq(scan(), 0);
	cr_assert_str_eq(spool_find(spool, token)->host_id, "msul1");
	cr_assert_eq(spool_done(spool, token), 0);
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	cr_assert_null(spool_find(spool, token));
}

Test(spool, what_cannot_be_removed_is_not_sent_again)
{
	put_text("1.msul1", "one", 1);
	put_text("2.msul1", "two", 2);
	become_ordinary();
	scan();
	uint64_t token = expect_line(HOST_A, "one");
	cr_assert_eq(chmod(site_delayed, 0555), 0);
	cr_assert_eq(spool_done(spool, token), -EACCES);
	pass(2 * SPOOL_BACKOFF_MAX_MS);
	scan();
	cr_assert_eq(last_scan.due, 1);
	cr_assert_eq(next(HOST_A), SPOOL_BUSY);
	cr_assert_eq(spool_done(spool, token), -EACCES);
	cr_assert_eq(chmod(site_delayed, 0755), 0);
	cr_assert_eq(spool_done(spool, token), 0);
	cr_assert_not(path_exists(delayed_path("1.msul1")));
	deliver(HOST_A, "two");
}
