/*
 * test_storage_messages_kill.c - a process that puts and confirms messages is killed again and
 * again: whatever it was answered is so when the store is opened again.
 *
 * It says through a pipe what it asks for and what it was answered.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/storage.h"
#include "tests/message_site.h"

#define WAIT_MS      20000
#define KILLS        100
#define MESSAGES_MAX 60000u
/* Orders of one life that wait for their answers, at most: so that batches differ. */
#define IN_FLIGHT 40u

enum said {
	SAID_NOTHING,
	SAID_STORED,    /* put was answered */
	SAID_ASKED,     /* a confirm was asked for: either is right */
	SAID_CONFIRMED, /* it was answered */
};

struct news {
	uint32_t number;
	uint32_t said;
};

static unsigned char state[MESSAGES_MAX];
static unsigned next_number;
static unsigned seed;
static char path[600];
static int news_pipe[2];
static struct message_bounds bounds;

static void
set_up(void)
{
	const char *given = getenv("RELAY_TEST_SEED");

	seed = given != NULL ? (unsigned)strtoul(given, NULL, 10)
			     : (unsigned)time(NULL) ^ (unsigned)getpid();
	/* Shown by the runner if the test fails. */
	fprintf(stderr, "RELAY_TEST_SEED=%u\n", seed);
	temp_dir_make();
	snprintf(path, sizeof path, "%s", temp_path("messages.db"));
	bounds = message_bounds_default;
	bounds.client_count = bounds.sender_count = bounds.count = MESSAGES_MAX;
	cr_assert_eq(pipe(news_pipe), 0);
}

static void
tear_down(void)
{
	close(news_pipe[0]);
	close(news_pipe[1]);
	temp_dir_remove();
}

TestSuite(storage_messages_kill, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- the process that is killed ---- */

static void
require(bool fact)
{
	if (!fact)
		_exit(9);
}

static void
say(unsigned number, enum said said)
{
	struct news news = { .number = number, .said = said };

	require(write(news_pipe[1], &news, sizeof news) == (ssize_t)sizeof news);
}

static void
ask(struct storage *storage, unsigned number, bool confirm)
{
	struct message_order order = {
		.verb = confirm ? MESSAGE_CONFIRM : MESSAGE_PUT,
		.message = notice_of(number, CLIENT, "the text"),
		.now_ms = START_MS,
	};

	if (confirm)
		say(number, SAID_ASKED);
	require(storage_message(storage, number, &order) == 0);
}

static void
on_answer(struct storage *storage, const struct storage_result *result, unsigned *waiting)
{
	unsigned number = (unsigned)result->token;
	bool confirm = result->message->verb == MESSAGE_CONFIRM;

	require(result->message->status == MESSAGE_DONE);
	say(number, confirm ? SAID_CONFIRMED : SAID_STORED);
	--*waiting;
	/* Every third stays. */
	if (!confirm && number % 3 != 0) {
		ask(storage, number, true);
		++*waiting;
	}
}

static _Noreturn void
live(void)
{
	struct storage *storage;
	struct storage_result result;
	struct storage_options options = {
		.delayed_dir = temp_path("delayed"),
		.messages_db = path,
		.messages_bounds = bounds,
	};
	unsigned waiting = 0;

	require(storage_new(&storage, &options) == 0);
	for (;;) {
		struct pollfd poll_fd = { .fd = storage_fd(storage), .events = POLLIN };
		while (waiting < IN_FLIGHT && next_number < MESSAGES_MAX) {
			ask(storage, next_number++, false);
			waiting++;
		}
		require(poll(&poll_fd, 1, -1) == 1);
		while (storage_take(storage, &result)) {
			require(result.type == STORAGE_MESSAGE);
			on_answer(storage, &result, &waiting);
			storage_result_fini(&result);
		}
	}
}

/* ---- who kills and looks ---- */

/* All that it said; how many answers.  Numbers that it may have used are not used again. */
static unsigned
hear(void)
{
	struct pollfd poll_fd = { .fd = news_pipe[0], .events = POLLIN };
	struct news news;
	unsigned answered = 0;

	while (poll(&poll_fd, 1, 0) == 1) {
		cr_assert_eq(read(news_pipe[0], &news, sizeof news), (ssize_t)sizeof news);
		cr_assert_lt(news.number, MESSAGES_MAX);
		state[news.number] = (unsigned char)news.said;
		answered += news.said != SAID_ASKED;
		if (news.number >= next_number)
			next_number = news.number + 1;
	}
	next_number += IN_FLIGHT;
	return answered;
}

static void
check(void)
{
	static unsigned char there[MESSAGES_MAX];
	struct message_store *store = message_store_new(path, &bounds);
	struct message_list list = { .max = MESSAGE_PAGE_MAX };
	struct message_totals totals;
	struct message_page page;
	uint64_t count = 0;
	bool more;

	memset(there, 0, sizeof there);
	assert_status(message_store_begin(store), MESSAGE_DONE);
	do {
		assert_status(message_store_list(store, &list, &page), MESSAGE_DONE);
		for (size_t i = 0; i < page.count; i++) {
			unsigned number;
			memcpy(&number, page.messages[i].id, sizeof number);
			cr_assert_lt(number, MESSAGES_MAX);
			there[number] = 1;
		}
		count += page.count;
		more = page.more;
		list.cursor = page.cursor;
		message_page_fini(&page);
	} while (more);
	assert_status(message_store_totals(store, &totals), MESSAGE_DONE);
	assert_status(message_store_commit(store), MESSAGE_DONE);
	message_store_free(store);
	cr_assert_eq(totals.count, count);
	for (unsigned i = 0; i < MESSAGES_MAX; i++) {
		cr_assert(state[i] != SAID_STORED || there[i], "message %u was lost", i);
		cr_assert(state[i] != SAID_CONFIRMED || !there[i], "message %u came back", i);
	}
}

/* Most lives are killed while they work, however slow the machine is; the others as they begin. */
static void
wait_a_while(unsigned life)
{
	struct pollfd poll_fd = { .fd = news_pipe[0], .events = POLLIN };

	if (life % 4 != 0)
		cr_assert_eq(poll(&poll_fd, 1, WAIT_MS), 1, "nothing happened in life %u", life);
	long us = rand_r(&seed) % 20000;
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

Test(storage_messages_kill, what_was_answered_holds)
{
	unsigned stored = 0;

	for (unsigned life = 0; life < KILLS; life++) {
		int status;
		pid_t child = fork();
		cr_assert_geq(child, 0);
		if (child == 0)
			live();
		wait_a_while(life);
		cr_assert_eq(kill(child, SIGKILL), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status), "life %u ended by itself", life);
		stored += hear();
		check();
	}
	cr_assert_gt(stored, KILLS, "hardly anything was answered");
	cr_assert_lt(next_number, MESSAGES_MAX, "it ran out of numbers");
}
