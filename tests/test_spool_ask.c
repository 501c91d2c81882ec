/*
 * test_spool_ask.c - what an operator sees of the delayed messages, and how one is kept, let go and
 * dropped.  Time is the test's own.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/spool_ask.h"
#include "tests/spool_site.h"

enum {
	HOST_A = 7,
	HOST_B = 3
};

static const struct spool_host table[] = {
	{ .id = "msul1", .index = HOST_A, .line_max = 1000 },
	{ .id = "nsdl2", .index = HOST_B, .line_max = 1000 },
};

static struct spool *spool;
static struct spool_time now;
static struct spool_view *view;
static struct spool_ask ask;

static void
open_spool(size_t hosts)
{
	struct spool_hosts copy;

	spool_free(spool);
	spool = spool_new(site_delayed, NULL);
	cr_assert_not_null(spool);
	cr_assert_eq(spool_hosts_init(&copy, table, hosts), 0);
	spool_set_hosts(spool, &copy);
}

static void
set_up(void)
{
	site_set_up();
	now = (struct spool_time){
		.monotonic_ms = 5000000,
		.real_ms = (int64_t)(SITE_TIME + 100000) * 1000,
	};
	open_spool(COUNT_OF(table));
}

static void
tear_down(void)
{
	spool_view_free(view);
	spool_free(spool);
	temp_dir_remove();
}

TestSuite(spool_ask, .init = set_up, .fini = tear_down);

static enum spool_outcome
do_ask(void)
{
	spool_view_free(view);
	view = spool_ask(spool, &ask, now);
	cr_assert_not_null(view);
	return view->outcome;
}

static enum spool_outcome
order(enum spool_verb verb, const char *name)
{
	ask = (struct spool_ask){ .verb = verb };
	snprintf(ask.name, sizeof ask.name, "%s", name);
	return do_ask();
}

static void
expect(enum spool_verb verb, const char *name, enum spool_outcome outcome)
{
	enum spool_outcome got = order(verb, name);

	cr_assert_eq(got, outcome, "%s: %s, error %d", name, spool_outcome_text(got), view->error);
}

/* All pages of a size, as "name=state name=state ..." */
static const char *
listed(const char *host, size_t page)
{
	static char text[4000];
	size_t len = 0;

	text[0] = '\0';
	ask = (struct spool_ask){ .verb = SPOOL_LIST, .page = page };
	snprintf(ask.host, sizeof ask.host, "%s", host);
	for (int pages = 0;; pages++) {
		cr_assert_lt(pages, 50);
		cr_assert_eq(do_ask(), SPOOL_OUTCOME_DONE);
		cr_assert_leq(view->count, page);
		for (size_t i = 0; i < view->count; i++) {
			const struct spool_message *message = &view->messages[i];
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s",
						len == 0 ? "" : " ", message->name,
						spool_state_text(message->state));
			cr_assert_lt(len, sizeof text);
			memcpy(ask.name, message->name, sizeof ask.name);
			ask.place = message->place;
		}
		if (!view->more)
			return text;
	}
}

static void
scan(void)
{
	struct spool_scan found;

	cr_assert_eq(spool_scan(spool, now, &found), 0);
	free(found.ready);
}

/* What is next for the host; "" = nothing. */
static const char *
next_name(uint32_t host, uint64_t *token)
{
	static struct spool_entry entry;

	scan();
	enum spool_answer answer = spool_next(spool, host, now, &entry);
	if (answer != SPOOL_ENTRY)
		return "";
	close(entry.fd);
	*token = entry.token;
	return entry.name;
}

Test(spool_ask, names)
{
	char longest[NAME_MAX + 2];

	memset(longest, 'x', sizeof longest);
	longest[NAME_MAX + 1] = '\0';
	cr_assert_not(spool_name_valid(longest));
	cr_assert(spool_name_valid(longest + 1));
	cr_assert(spool_name_valid("a.msul1"));
	cr_assert(spool_name_valid("a..msul1"));
	cr_assert_not(spool_name_valid(""));
	cr_assert_not(spool_name_valid("."));
	cr_assert_not(spool_name_valid(".."));
	cr_assert_not(spool_name_valid("../a.msul1"));
	cr_assert_not(spool_name_valid("bad/a.msul1"));
	cr_assert_not(spool_name_valid(".hidden.msul1"));
}

Test(spool_ask, no_directory_holds_nothing)
{
	cr_assert_eq(rmdir(site_delayed), 0);
	cr_assert_str_eq(listed("", 10), "");
	expect(SPOOL_SHOW, "a.msul1", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_NOT_FOUND);
}

Test(spool_ask, a_list_has_all_places_in_order)
{
	put_text("b.msul1", "b\n", 0);
	put_text("a.nsdl2", "a\n", 1);
	put_text("c.msul1", "c\n", 2);
	put_text("d.msul1", "d\n", 3);
	put_text("e.nsdl2", "e\n", 4);
	put_text("nobodys.file", "x\n", 5);
	put_text(".hidden.msul1", "x\n", 6);
	cr_assert_eq(mkdir(delayed_path("directory.msul1"), 0700), 0);
	expect(SPOOL_HOLD, "c.msul1", SPOOL_OUTCOME_DONE);
	expect(SPOOL_DROP, "d.msul1", SPOOL_OUTCOME_DONE);
	const char *all = "a.nsdl2=waiting b.msul1=waiting e.nsdl2=waiting c.msul1=held "
			  "d.msul1=bad";
	for (size_t page = 1; page < 8; page++)
		cr_assert_str_eq(listed("", page), all, "pages of %zu: %s", page, listed("", page));
	cr_assert_str_eq(listed("msul1", 1), "b.msul1=waiting c.msul1=held d.msul1=bad");
	cr_assert_str_eq(listed("nsdl2", 10), "a.nsdl2=waiting e.nsdl2=waiting");
	cr_assert_str_eq(listed("sul1", 10), "");
}

/* Whoever may write there may also set any time. */
Test(spool_ask, times_beyond_all_clocks)
{
	const struct timespec late = { .tv_sec = 10000000000 };
	const struct timespec times[2] = { late, late };

	put_text("a.msul1", "a\n", 0);
	cr_assert_eq(utimensat(AT_FDCWD, delayed_path("a.msul1"), times, 0), 0);
	expect(SPOOL_SHOW, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_eq(view->messages[0].age_ms, 0);
}

Test(spool_ask, what_is_said_of_a_message)
{
	uint64_t token;

	put_text("a.msul1", "first\nsecond\n", 0);
	expect(SPOOL_SHOW, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_eq(view->count, 1);
	cr_assert_eq(view->line_len, 5);
	cr_assert_eq(memcmp(view->line, "first", 5), 0);
	cr_assert_str_eq(view->messages[0].host, "msul1");
	cr_assert_eq(view->messages[0].bytes, 13);
	cr_assert_eq(view->messages[0].age_ms, 100000u * 1000);
	cr_assert_eq(view->messages[0].attempts, 0);

	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
	cr_assert_str_eq(listed("", 1), "a.msul1=sending");
	cr_assert_eq(spool_fail(spool, token, now), 0);
	now.monotonic_ms += 1000;
	cr_assert_str_eq(listed("", 1), "a.msul1=backoff");
	cr_assert_eq(view->messages[0].attempts, 1);
	cr_assert_eq(view->messages[0].next_ms, SPOOL_BACKOFF_MIN_MS - 1000);
	now.monotonic_ms += SPOOL_BACKOFF_MIN_MS;
	cr_assert_str_eq(listed("", 1), "a.msul1=waiting");
	cr_assert_eq(view->messages[0].attempts, 1);
	cr_assert_eq(view->messages[0].next_ms, 0);
	expect(SPOOL_SHOW, "b.msul1", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_SHOW, "bad", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_SHOW, "../delayed/a.msul1", SPOOL_OUTCOME_NOT_FOUND);
	expect(SPOOL_SHOW, "", SPOOL_OUTCOME_NOT_FOUND);
}

Test(spool_ask, a_long_line_is_shown_in_part)
{
	size_t len = SPOOL_SHOW_MAX + 100;
	char *bytes = malloc(len);

	memset(bytes, 'x', len);
	put_bytes("a.msul1", bytes, len, 0);
	free(bytes);
	expect(SPOOL_SHOW, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_eq(view->line_len, SPOOL_SHOW_MAX);
	cr_assert_eq(view->messages[0].bytes, len);
	cr_assert_eq(mkfifo(delayed_path("fifo.msul1"), 0600), 0);
	expect(SPOOL_SHOW, "fifo.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_eq(view->line_len, 0);
	cr_assert_eq(symlink("/etc/hostname", delayed_path("link.msul1")), 0);
	expect(SPOOL_SHOW, "link.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_eq(view->line_len, 0);
}

Test(spool_ask, what_is_held_is_not_sent_also_after_a_restart)
{
	uint64_t token;

	put_text("a.msul1", "a\n", 0);
	put_text("b.msul1", "b\n", 1);
	scan(); /* it is in the list already */
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_eq(view->to, "a.msul1");
	assert_file(delayed_path("held/a.msul1"), "a\n");
	cr_assert_not(path_exists(delayed_path("a.msul1")));
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_ALREADY);
	open_spool(COUNT_OF(table));
	cr_assert_str_eq(listed("", 10), "b.msul1=waiting a.msul1=held");
	cr_assert_str_eq(next_name(HOST_A, &token), "b.msul1");
	cr_assert_eq(spool_done(spool, token), 0);
	cr_assert_str_eq(next_name(HOST_A, &token), "");

	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_DONE);
	assert_file(delayed_path("a.msul1"), "a\n");
	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
}

Test(spool_ask, nothing_is_put_over_another)
{
	uint64_t token;

	put_text("a.msul1", "first\n", 0);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
	put_text("a.msul1", "second\n", 1);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_neq(view->to, "a.msul1");
	cr_assert_eq(strncmp(view->to, "a.", 2), 0);
	char held[NAME_MAX + 1];
	memcpy(held, view->to, sizeof held);
	put_text("a.msul1", "third\n", 2);

	/* The name that it gets is still one of a message for the host. */
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_neq(view->to, "a.msul1");
	assert_file(delayed_path(view->to), "first\n");
	expect(SPOOL_FREE, held, SPOOL_OUTCOME_DONE);
	cr_assert_str_eq(view->to, held);
	assert_file(delayed_path(held), "second\n");
	assert_file(delayed_path("a.msul1"), "third\n");
	for (int i = 0; i < 3; i++) {
		cr_assert_str_neq(next_name(HOST_A, &token), "");
		cr_assert_eq(spool_done(spool, token), 0);
	}
	cr_assert_str_eq(listed("", 10), "");

	/* A name without room for more. */
	char longest[NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	memcpy(longest + NAME_MAX - 6, ".msul1", 7);
	put_text(longest, "long\n", 0);
	expect(SPOOL_HOLD, longest, SPOOL_OUTCOME_DONE);
	put_text(longest, "longer\n", 0);
	expect(SPOOL_HOLD, longest, SPOOL_OUTCOME_DONE);
	cr_assert_str_neq(view->to, longest);
	cr_assert_str_eq(view->to + strlen(view->to) - 6, ".msul1");
}

Test(spool_ask, what_is_sent_is_left_alone)
{
	uint64_t token;

	put_text("a.msul1", "a\n", 0);
	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_SENDING);
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_SENDING);
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_ALREADY);
	cr_assert_eq(spool_done(spool, token), 0);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_NOT_FOUND);
	/* Another message of the name, that has come since. */
	put_text("b.msul1", "b\n", 0);
	cr_assert_str_eq(next_name(HOST_A, &token), "b.msul1");
	cr_assert_eq(unlink(delayed_path("b.msul1")), 0);
	put_text("b.msul1", "another\n", 1);
	expect(SPOOL_HOLD, "b.msul1", SPOOL_OUTCOME_DONE);
	assert_file(delayed_path("held/b.msul1"), "another\n");
	cr_assert_eq(spool_done(spool, token), 0);
	assert_file(delayed_path("held/b.msul1"), "another\n");
}

Test(spool_ask, what_is_being_written_is_left_alone)
{
	put_text("a.msul1", "a\n", 0);
	now.real_ms = (int64_t)SITE_TIME * 1000 + SPOOL_SETTLE_MS - 1;
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_WRITING);
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_WRITING);
	now.real_ms++;
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
}

Test(spool_ask, a_backoff_ends)
{
	uint64_t token;

	put_text("a.msul1", "a\n", 0);
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_ALREADY);
	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
	cr_assert_eq(spool_fail(spool, token, now), 0);
	cr_assert_str_eq(next_name(HOST_A, &token), "");
	ask.dry_run = true;
	snprintf(ask.name, sizeof ask.name, "a.msul1");
	ask.verb = SPOOL_FREE;
	cr_assert_eq(do_ask(), SPOOL_OUTCOME_DONE);
	cr_assert_str_eq(next_name(HOST_A, &token), "");
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_eq(view->to, "");
	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
	/* As long as before the next time. */
	cr_assert_eq(spool_fail(spool, token, now), 0);
	/* Also by way of held/. */
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_eq(next_name(HOST_A, &token), "a.msul1");
}

Test(spool_ask, nothing_is_deleted)
{
	put_text("a.msul1", "a\n", 0);
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_DONE);
	assert_file(delayed_path("bad/a.msul1"), "a\n");
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_ALREADY);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_BAD);
	expect(SPOOL_FREE, "a.msul1", SPOOL_OUTCOME_BAD);
	put_text("a.msul1", "again\n", 0);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_DONE);
	expect(SPOOL_DROP, "a.msul1", SPOOL_OUTCOME_DONE);
	cr_assert_str_neq(view->to, "a.msul1");
	char below[300];
	snprintf(below, sizeof below, "bad/%s", view->to);
	assert_file(delayed_path(below), "again\n");
	assert_file(delayed_path("bad/a.msul1"), "a\n");
	/* It is still known whose it was. */
	cr_assert_neq(strcmp(listed("msul1", 10), "a.msul1=bad"), 0);
	cr_assert_eq(view->count, 2);
}

Test(spool_ask, a_dry_run_moves_nothing)
{
	put_text("a.msul1", "a\n", 0);
	for (int verb = SPOOL_HOLD; verb <= SPOOL_DROP; verb++) {
		order((enum spool_verb)verb, "none.msul1");
		cr_assert_eq(view->outcome, SPOOL_OUTCOME_NOT_FOUND);
		ask.dry_run = true;
		snprintf(ask.name, sizeof ask.name, "a.msul1");
		cr_assert_eq(do_ask(),
			     verb == SPOOL_FREE ? SPOOL_OUTCOME_ALREADY : SPOOL_OUTCOME_DONE);
		assert_file(delayed_path("a.msul1"), "a\n");
	}
	cr_assert_not(path_exists(delayed_path("held")));
	cr_assert_not(path_exists(delayed_path("bad")));
}

/* The host has left the table: what is held for it can be looked at and dropped. */
Test(spool_ask, a_held_one_outlives_its_host)
{
	put_text("a.nsdl2", "a\n", 0);
	expect(SPOOL_HOLD, "a.nsdl2", SPOOL_OUTCOME_DONE);
	open_spool(1);
	cr_assert_str_eq(listed("", 10), "a.nsdl2=held");
	cr_assert_str_eq(view->messages[0].host, "");
	expect(SPOOL_FREE, "a.nsdl2", SPOOL_OUTCOME_NO_HOST);
	assert_file(delayed_path("held/a.nsdl2"), "a\n");
	expect(SPOOL_DROP, "a.nsdl2", SPOOL_OUTCOME_DONE);
	assert_file(delayed_path("bad/a.nsdl2"), "a\n");
}

Test(spool_ask, what_cannot_be_moved_stays)
{
	put_text("a.msul1", "a\n", 0);
	put_text("held", "in the way\n", 0);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_ERROR);
	cr_assert_lt(view->error, 0);
	assert_file(delayed_path("a.msul1"), "a\n");
	cr_assert_str_eq(listed("", 10), "a.msul1=waiting");
	cr_assert_eq(unlink(delayed_path("held")), 0);
	cr_assert_eq(symlink("/tmp", delayed_path("held")), 0);
	expect(SPOOL_HOLD, "a.msul1", SPOOL_OUTCOME_ERROR);
	assert_file(delayed_path("a.msul1"), "a\n");
}

/* ---- killed at any moment ---- */

enum {
	MESSAGES = 6,
	KILLS = 60
};

/* Moves messages to and fro, whatever they are called by now, until it is killed. */
static void
move_for_ever(unsigned seed)
{
	for (;;) {
		ask = (struct spool_ask){ .verb = SPOOL_LIST, .page = MESSAGES };
		if (do_ask() != SPOOL_OUTCOME_DONE || view->count != MESSAGES)
			_exit(1);
		const struct spool_message *message =
		    &view->messages[(unsigned)rand_r(&seed) % MESSAGES];
		ask = (struct spool_ask){
			.verb = message->place == SPOOL_PLACE_HELD ? SPOOL_FREE : SPOOL_HOLD,
		};
		memcpy(ask.name, message->name, sizeof ask.name);
		if (do_ask() != SPOOL_OUTCOME_DONE)
			_exit(2);
	}
}

/* Each message is in one place, and whole. */
static void
expect_all(void)
{
	static const char *const places[] = { "", "held", "bad" };
	unsigned seen[MESSAGES] = { 0 };
	unsigned number;

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		DIR *stream = opendir(delayed_path(places[i]));
		const struct dirent *entry;
		while (stream != NULL && (entry = readdir(stream)) != NULL) {
			char name[NAME_MAX + 10];
			if (entry->d_type == DT_DIR)
				continue;
			snprintf(name, sizeof name, "%s/%.*s", places[i], NAME_MAX, entry->d_name);
			char *text = read_file(delayed_path(name), NULL);
			cr_assert_eq(sscanf(text, "message %u of msul1", &number), 1, "%s", name);
			free(text);
			cr_assert_lt(number, MESSAGES);
			seen[number]++;
			size_t len = strlen(name);
			cr_assert(len > 6 && strcmp(name + len - 6, ".msul1") == 0, "%s", name);
		}
		if (stream != NULL)
			closedir(stream);
	}
	for (unsigned i = 0; i < MESSAGES; i++)
		cr_assert_eq(seen[i], 1, "message %u is there %u times", i, seen[i]);
}

Test(spool_ask, no_message_is_lost_by_a_kill, .timeout = 120)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < MESSAGES; i++) {
		char name[20];
		char text[40];
		snprintf(name, sizeof name, "%u.msul1", i);
		snprintf(text, sizeof text, "message %u of msul1\n", i);
		put_text(name, text, (int)i);
	}
	for (unsigned kills = 0; kills < KILLS; kills++) {
		struct timespec moment = { .tv_nsec = (long)(kills * 97 % 2000 + 50) * 1000 };
		int status;
		pid_t pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0)
			move_for_ever(kills);
		nanosleep(&moment, NULL);
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status), "it ended by itself: %d", status);
		expect_all();
		moved += path_exists(delayed_path("held"));
	}
	cr_assert_gt(moved, 0);
}
