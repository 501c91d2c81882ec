/*
 * stats_words.c - see stats_words.h.
 */
#include "relay/stats_words.h"

/* A reader that meets a change this often takes what it gets. */
#define READ_TRIES 8

/* --- the writer ------------------------------------------------------------------------------- */

void
stats_words_clear(_Atomic uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		stats_set(&words[i], 0);
}

void
stats_words_bury(_Atomic uint64_t *ends, size_t count, size_t at, uint64_t began)
{
	histogram_bump(&ends[at], began - stats_words_sum(ends, count));
}

void
stats_change_begin(_Atomic uint64_t *sequence)
{
	stats_set(sequence, stats_get(sequence) | 1);
	atomic_thread_fence(memory_order_release);
}

void
stats_change_end(_Atomic uint64_t *sequence)
{
	atomic_store_explicit(sequence, stats_get(sequence) + 1, memory_order_release);
}

/* --- readers ---------------------------------------------------------------------------------- */

uint64_t
stats_words_sum(const _Atomic uint64_t *words, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += stats_get(&words[i]);
	return sum;
}

void
stats_words_add(_Atomic uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		histogram_bump(&to[i], stats_get(&from[i]));
}

bool
stats_read(struct stats_reading *reading)
{
	atomic_thread_fence(memory_order_acquire);
	reading->whole = reading->tries > 0 && (reading->began & 1) == 0 &&
			 stats_get(reading->sequence) == reading->began;
	if (reading->whole || reading->tries == READ_TRIES)
		return false;
	reading->tries++;
	reading->began = atomic_load_explicit(reading->sequence, memory_order_acquire);
	return true;
}
