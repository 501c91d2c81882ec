/*
 * datagram_window.c - a window over the numbers of a session, and the requests that are open in it.
 *
 * Never allocates; takes the same time whatever the numbers are, but for a jump, which clears at
 * most the whole window once.  Owns nothing outside the structures.
 */
#include "wire/datagram_window.h"

#include <assert.h>

#define WORDS (DATAGRAM_WINDOW / 64)

static_assert(DATAGRAM_WINDOW % 64 == 0 && (DATAGRAM_WINDOW & (DATAGRAM_WINDOW - 1)) == 0,
	      "a number's place stays its place when numbers wrap");
static_assert(DATAGRAM_OPEN_MAX <= 64, "one bit for each slot");

/* --- the window */

static bool
has(const struct datagram_window *window, uint64_t number)
{
	return (window->bits[number / 64 % WORDS] >> (number % 64) & 1) != 0;
}

enum datagram_age
datagram_window_judge(const struct datagram_window *window, uint64_t number)
{
	if (number == 0)
		return DATAGRAM_TOO_OLD;
	if (number > window->top)
		return DATAGRAM_NEWEST;
	if (window->top - number >= DATAGRAM_WINDOW)
		return DATAGRAM_TOO_OLD;
	return has(window, number) ? DATAGRAM_SEEN : DATAGRAM_FRESH;
}

/* Moves the window up: the places of the numbers between are those of numbers that left it. */
static void
advance(struct datagram_window *window, uint64_t top)
{
	if (top - window->top >= DATAGRAM_WINDOW) {
		memset(window->bits, 0, sizeof window->bits);
		window->top = top;
		return;
	}
	while (window->top < top) {
		window->top++;
		window->bits[window->top / 64 % WORDS] &= ~(UINT64_C(1) << (window->top % 64));
	}
}

enum datagram_age
datagram_window_mark(struct datagram_window *window, uint64_t number)
{
	enum datagram_age age = datagram_window_judge(window, number);

	if (age == DATAGRAM_TOO_OLD)
		return age;
	if (age == DATAGRAM_NEWEST)
		advance(window, number);
	window->bits[number / 64 % WORDS] |= UINT64_C(1) << (number % 64);
	return age;
}

static uint64_t
reversed(uint64_t x)
{
	x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
	x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
	x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(x);
}

/* Every datagram says this: words, not numbers one by one. */
struct datagram_seen
datagram_window_show(const struct datagram_window *window, uint64_t number)
{
	struct datagram_seen seen = { .top = number != 0 ? number : window->top };
	uint64_t above = window->top - seen.top;
	uint64_t known = above < DATAGRAM_WINDOW ? DATAGRAM_WINDOW - 1 - above : 0;
	uint64_t at = seen.top % 64;

	if (seen.top == 0)
		return seen;
	if (known > seen.top - 1)
		known = seen.top - 1;
	/* The 64 numbers below top, ascending: of the word before its own, and of its own. */
	uint64_t bits = window->bits[(seen.top / 64 + WORDS - 1) % WORDS] >> at;
	if (at > 0)
		bits |= window->bits[seen.top / 64 % WORDS] << (64 - at);
	seen.bits = reversed(bits);
	if (known < 64)
		seen.bits &= (UINT64_C(1) << known) - 1;
	return seen;
}

/* --- at most once */

static bool
slot_of(const struct datagram_once *once, uint64_t number, unsigned *slot)
{
	for (uint64_t taken = once->running | once->answered; taken != 0; taken &= taken - 1) {
		unsigned i = (unsigned)__builtin_ctzll(taken);

		if (once->numbers[i] == number) {
			*slot = i;
			return true;
		}
	}
	return false;
}

static bool
free_slot(const struct datagram_once *once, unsigned open_max, unsigned *slot)
{
	uint64_t room = ~(once->running | once->answered);

	if (open_max < 64)
		room &= (UINT64_C(1) << open_max) - 1;
	if (room == 0)
		return false;
	*slot = (unsigned)__builtin_ctzll(room);
	return true;
}

enum datagram_turn
datagram_once_begin(struct datagram_once *once, uint64_t number, unsigned open_max, unsigned *slot)
{
	enum datagram_age age = datagram_window_judge(&once->window, number);

	assert(open_max <= DATAGRAM_OPEN_MAX);
	/* Also if its number has left the window meanwhile. */
	if (slot_of(once, number, slot))
		return once->running >> *slot & 1 ? DATAGRAM_RUNNING : DATAGRAM_ANSWERED;
	if (age == DATAGRAM_SEEN || age == DATAGRAM_TOO_OLD)
		return DATAGRAM_GONE;
	if (!free_slot(once, open_max, slot))
		return DATAGRAM_NO_SLOT;
	(void)datagram_window_mark(&once->window, number);
	once->running |= UINT64_C(1) << *slot;
	once->numbers[*slot] = number;
	return DATAGRAM_RUN;
}

void
datagram_once_answer(struct datagram_once *once, unsigned slot)
{
	uint64_t bit = UINT64_C(1) << slot;

	assert(slot < DATAGRAM_OPEN_MAX && (once->running & bit) != 0);
	once->running &= ~bit;
	once->answered |= bit;
}

void
datagram_once_forget(struct datagram_once *once, unsigned slot)
{
	uint64_t bit = UINT64_C(1) << slot;

	assert(slot < DATAGRAM_OPEN_MAX && ((once->running | once->answered) & bit) != 0);
	once->running &= ~bit;
	once->answered &= ~bit;
	once->numbers[slot] = 0;
}
