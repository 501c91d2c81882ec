/*
 * test_resolver.c - questions go to a thread and come back as answers, each once, with their
 * tokens; a queue that is full says so.  Only literals and a name that every machine knows are
 * asked for.
 */
#include "relay/resolver.h"
#include "relay/resolve.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct resolver *resolver;

static void
set_up(void)
{
	resolver = resolver_new();
	cr_assert_not_null(resolver);
}

/* Waits as long as it takes: a test that hangs is ended from outside. */
static struct resolver_answer
next_answer(void)
{
	struct pollfd readable = { .fd = resolver_fd(resolver), .events = POLLIN };
	struct resolver_answer answer;

	while (!resolver_take(resolver, &answer))
		cr_assert_eq(poll(&readable, 1, -1), 1);
	return answer;
}

static uint16_t
port_of(const struct resolver_answer *answer)
{
	cr_assert_eq(answer->addresses.count, 1u);
	cr_assert_eq(answer->addresses.address[0].any.sa_family, AF_INET);
	return ntohs(answer->addresses.address[0].v4.sin_port);
}

TestSuite(resolver, .init = set_up);

Test(resolver, answers_have_their_tokens)
{
	cr_assert(resolver_ask(resolver, 0x123456789abcdef0u, "127.0.0.1", 5663));
	struct resolver_answer answer = next_answer();
	cr_assert_eq(answer.token, 0x123456789abcdef0u);
	cr_assert_eq(answer.error, 0);
	cr_assert_eq(port_of(&answer), 5663);
}

Test(resolver, failures_are_answers_too)
{
	cr_assert(resolver_ask(resolver, 7, "a..b", 1));
	cr_assert(resolver_ask(resolver, 8, "127.0.0.1", 2));
	struct resolver_answer answer = next_answer();
	cr_assert_eq(answer.token, 7);
	cr_assert_neq(answer.error, 0);
	cr_assert_not_null(resolve_error_text(answer.error));
	answer = next_answer();
	cr_assert_eq(answer.token, 8);
	cr_assert_eq(answer.error, 0);
}

Test(resolver, in_order_and_each_once)
{
	struct pollfd readable = { .fd = resolver_fd(resolver), .events = POLLIN };
	struct resolver_answer answer;

	for (uint16_t i = 0; i < 1000; i++)
		cr_assert(resolver_ask(resolver, i, "127.0.0.1", (uint16_t)(i + 1)));
	for (uint16_t i = 0; i < 1000; i++) {
		answer = next_answer();
		cr_assert_eq(answer.token, i);
		cr_assert_eq(port_of(&answer), i + 1);
	}
	/* It may be called once more for what was taken already; then it is quiet. */
	while (poll(&readable, 1, 0) == 1)
		cr_assert_not(resolver_take(resolver, &answer));
}

Test(resolver, a_full_queue_says_so)
{
	uint64_t asked = 0;

	/* Answers that nobody takes count, too. */
	while (resolver_ask(resolver, asked, "127.0.0.1", 1))
		asked++;
	cr_assert_eq(asked, RESOLVER_QUEUE_MAX);
	cr_assert_eq(next_answer().token, 0);
	cr_assert(resolver_ask(resolver, asked, "127.0.0.1", 1), "there is room again");
	cr_assert_not(resolver_ask(resolver, asked + 1, "127.0.0.1", 1));
	for (uint64_t i = 1; i <= asked; i++)
		cr_assert_eq(next_answer().token, i);
}

Test(resolver, a_name_as_long_as_may_be)
{
	char name[RESOLVER_NAME_MAX + 1];

	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	cr_assert(resolver_ask(resolver, 1, name, 1));
	cr_assert_neq(next_answer().error, 0);
}
