/*
 * test_control_ask.c - questions to workers over a real channel: their answers, their ends, their
 * bounds; and the numbers that operators write.
 */
#include "relay/control_ask.h"

#include <criterion/criterion.h>
#include <stddef.h>

#include "relay/child.h"
#include "relay/control.h"

static struct control control;
static struct channel *worker;

struct question {
	struct control_ask ask;
	unsigned answered;
	bool message; /* there was one */
	uint32_t known;
	struct question *again; /* asked when this one is answered */
};

static void
set_up(void)
{
	int fds[2];

	control = (struct control){ 0 };
	LIST_INIT(&control.asks);
	cr_assert_eq(channel_pair(fds), 0);
	control.workers[3].channel = channel_new(fds[0]);
	worker = channel_new(fds[1]);
	cr_assert_not_null(control.workers[3].channel);
	cr_assert_not_null(worker);
}

static void
tear_down(void)
{
	channel_free(control.workers[3].channel);
	channel_free(worker);
}

TestSuite(control_ask, .init = set_up, .fini = tear_down);

static void on_answer(struct control_ask *ask, const struct channel_message *message);

static bool
put(struct question *question, uint64_t for_ms)
{
	struct channel_message message = { .type = CHANNEL_ASK_HOST, .ask = { .index = 7 } };

	return control_ask(&control, &question->ask, 3, &message, -1, for_ms, on_answer);
}

static void
on_answer(struct control_ask *ask, const struct channel_message *message)
{
	struct question *question =
	    (struct question *)(void *)((char *)ask - offsetof(struct question, ask));

	question->answered++;
	question->message = message != NULL;
	question->known = message == NULL ? 0 : message->host_is.known;
	if (question->again != NULL)
		put(question->again, 1000);
}

/* What the worker got. */
static struct channel_message
taken(void)
{
	struct channel_message message;
	int fd;

	cr_assert_eq(channel_receive(worker, &message, &fd), 1);
	cr_assert_eq(fd, -1);
	return message;
}

static void
answer(uint32_t from, uint64_t token)
{
	struct channel_message message = { .type = CHANNEL_HOST_IS,
					   .host_is = { .token = token, .known = 5 } };

	control_on_answer(&control, from, &message);
}

Test(control_ask, answer_finds_its_question)
{
	struct question first = { 0 };
	struct question second = { 0 };

	cr_assert(put(&first, 1000));
	cr_assert(put(&second, 1000));
	struct channel_message a = taken();
	struct channel_message b = taken();
	cr_assert_eq(a.ask.index, 7);
	cr_assert_neq(a.ask.token, b.ask.token);

	answer(3, b.ask.token);
	cr_assert_eq(first.answered, 0);
	cr_assert_eq(second.answered, 1);
	cr_assert(second.message);
	cr_assert_eq(second.known, 5);
	answer(3, b.ask.token);
	cr_assert_eq(second.answered, 1, "it was answered already");
	answer(2, a.ask.token);
	cr_assert_eq(first.answered, 0, "another worker was not asked");
	answer(3, a.ask.token);
	cr_assert_eq(first.answered, 1);
	cr_assert_eq(control.asks_count, 0);
}

Test(control_ask, dropped_is_not_answered)
{
	struct question question = { 0 };

	cr_assert(put(&question, 1000));
	control_ask_drop(&question.ask);
	control_ask_drop(&question.ask);
	answer(3, taken().ask.token);
	control_asks_worker_gone(&control, 3);
	cr_assert_eq(question.answered, 0);
	cr_assert_eq(control.asks_count, 0);
	cr_assert_eq(control_asks_deadline(&control), UINT64_MAX);
}

Test(control_ask, worker_that_ends_answers_nothing)
{
	struct question questions[3] = { 0 };
	struct question other = { 0 };

	for (int i = 0; i < 3; i++)
		cr_assert(put(&questions[i], 1000));
	cr_assert(control_ask_later(&control, &other.ask, 1000, on_answer));
	/* Asked again at once: there is nobody. */
	questions[1].again = &questions[2];
	channel_free(control.workers[3].channel);
	control.workers[3].channel = NULL;
	control_asks_worker_gone(&control, 3);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(questions[i].answered, 1);
		cr_assert(!questions[i].message);
	}
	cr_assert_eq(other.answered, 0);
	cr_assert(!put(&questions[0], 1000));
	cr_assert_eq(control.asks_count, 1);
}

Test(control_ask, time_ends)
{
	struct question soon = { 0 };
	struct question late = { 0 };
	uint64_t now = child_clock_ms();

	cr_assert(put(&soon, 50));
	cr_assert(put(&late, UINT64_MAX));
	uint64_t due = control_asks_deadline(&control);
	cr_assert_geq(due, now + 50);
	control_asks_run(&control, due - 1);
	cr_assert_eq(soon.answered, 0);
	control_asks_run(&control, due);
	cr_assert_eq(soon.answered, 1);
	cr_assert(!soon.message);
	cr_assert_eq(late.answered, 0);
	answer(3, taken().ask.token);
	cr_assert_eq(soon.answered, 1, "too late");
}

Test(control_ask, bounded)
{
	static struct question questions[CONTROL_ASKS_MAX + 1];

	for (uint32_t i = 0; i < CONTROL_ASKS_MAX; i++)
		cr_assert(put(&questions[i], 1000));
	cr_assert(!put(&questions[CONTROL_ASKS_MAX], 1000));
	cr_assert(!control_ask_later(&control, &questions[CONTROL_ASKS_MAX].ask, 1, on_answer));
	cr_assert_eq(questions[CONTROL_ASKS_MAX].answered, 0);
	control_ask_drop(&questions[5].ask);
	cr_assert(put(&questions[CONTROL_ASKS_MAX], 1000));
}

/* One that takes nothing: what was asked of it in vain must not use up the room of what it has to
 * be told. */
Test(control_ask, worker_that_stands_still_can_be_told)
{
	struct channel_message change = { .type = CHANNEL_HOST_CHANGE };
	struct question question = { 0 };
	uint32_t asked = 0;

	while (asked < 100000 && put(&question, 1000)) {
		control_ask_drop(&question.ask);
		asked++;
	}
	cr_assert_gt(asked, CONTROL_ASKS_MAX);
	cr_assert_lt(asked, 100000);
	cr_assert_eq(control.asks_count, 0);
	cr_assert_eq(channel_send(control.workers[3].channel, &change, -1), 0);
}

Test(control_ask, ids)
{
	static const char *const wrong[] = { "",
					     "1",
					     "1.",
					     ".1",
					     "a.1",
					     "1.a",
					     "1.1 ",
					     " 1.1",
					     "+1.1",
					     "1.-1",
					     "64.1",
					     "1.1.1",
					     "1,1",
					     "99999999999999999999.1",
					     "1.18446744073709551616" };
	uint32_t number;
	uint64_t id;

	cr_assert(control_parse_id("0.1", &number, &id));
	cr_assert(number == 0 && id == 1);
	cr_assert(control_parse_id("63.18446744073709551615", &number, &id));
	cr_assert(number == 63 && id == UINT64_MAX);
	cr_assert(control_parse_id("007.010", &number, &id));
	cr_assert(number == 7 && id == 10);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		cr_assert(!control_parse_id(wrong[i], &number, &id), "%s", wrong[i]);
}
