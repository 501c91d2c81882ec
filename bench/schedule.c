/*
 * schedule.c - the rhythm of an open loop.  No state but what the caller holds.
 */
#include "bench/schedule.h"

#include "bench/clock.h"

#include <assert.h>

void
schedule_init(struct schedule *s, uint64_t begin_ns, uint64_t rate)
{
	assert(rate > 0);
	*s = (struct schedule){ .begin_ns = begin_ns, .rate = rate };
}

uint64_t
schedule_at_ns(const struct schedule *s, uint64_t i)
{
	/* Whole seconds apart, so that no product overflows. */
	return s->begin_ns + i / s->rate * NS_PER_S + i % s->rate * NS_PER_S / s->rate;
}

uint64_t
schedule_next_ns(const struct schedule *s)
{
	return schedule_at_ns(s, s->taken);
}

bool
schedule_take(struct schedule *s, uint64_t now_ns, uint64_t *meant_ns)
{
	uint64_t at_ns = schedule_next_ns(s);

	if (at_ns > now_ns)
		return false;
	*meant_ns = at_ns;
	s->taken++;
	return true;
}

uint64_t
schedule_behind(const struct schedule *s, uint64_t now_ns)
{
	if (now_ns <= s->begin_ns)
		return 0;
	uint64_t past_ns = now_ns - s->begin_ns;
	uint64_t due = past_ns / NS_PER_S * s->rate + past_ns % NS_PER_S * s->rate / NS_PER_S;
	/* The division may be one short: a request is due from its very nanosecond on. */
	while (schedule_at_ns(s, due) < now_ns)
		due++;
	return due > s->taken ? due - s->taken : 0;
}
