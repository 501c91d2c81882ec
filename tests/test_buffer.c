/*
 * test_buffer.c - the byte queue against a naive one, within a budget.
 */
#include "relay/buffer.h"

#include <criterion/criterion.h>
#include <string.h>

#define SEED      UINT64_C(19991231)
#define STEPS     30000
#define BUDGET    (128u * 1024)
#define MODEL_MAX (1u << 20)

/* The queue as nobody would build it. */
struct model {
	size_t len;
	uint8_t bytes[MODEL_MAX];
};

static struct memory memory;
static struct model model;
static uint64_t state = SEED;

static void
set_up(void)
{
	memory_init(&memory, BUDGET);
}

static void
tear_down(void)
{
	cr_assert_eq(memory.used, 0);
	memory_fini(&memory);
}

static uint64_t
random_below(uint64_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % below;
}

static void
model_append(const uint8_t *bytes, size_t n)
{
	cr_assert_leq(model.len + n, MODEL_MAX);
	memcpy(model.bytes + model.len, bytes, n);
	model.len += n;
}

static void
model_consume(size_t n)
{
	model.len -= n;
	memmove(model.bytes, model.bytes + n, model.len);
}

static void
check(const struct buffer *buffer, int step)
{
	cr_assert_eq(buffer_len(buffer), model.len, "seed %lu, step %d", SEED, step);
	cr_assert(model.len == 0 || memcmp(buffer_at(buffer), model.bytes, model.len) == 0,
		  "seed %lu, step %d", SEED, step);
	cr_assert_leq(buffer->tail, buffer->cap);
	cr_assert_eq(memory.used, buffer->cap);
	cr_assert_leq(memory.used, BUDGET);
}

static void
append(struct buffer *buffer)
{
	static uint8_t bytes[40000];
	size_t n = random_below(random_below(20) == 0 ? sizeof bytes : 700);
	bool roomy = random_below(2) == 0;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)random_below(256);
	if (!roomy || n == 0) {
		if (buffer_append(buffer, &memory, bytes, n))
			model_append(bytes, n);
		else
			cr_assert_gt(n, buffer->cap - buffer_len(buffer), "there was room");
		return;
	}
	uint8_t *room = buffer_room(buffer, &memory, n);
	if (room == NULL) {
		cr_assert_gt(n, buffer->cap - buffer_len(buffer), "there was room");
		return;
	}
	n -= random_below(n); /* fewer may come than there was room for */
	memcpy(room, bytes, n);
	buffer_grow(buffer, n);
	model_append(bytes, n);
}

static void
consume(struct buffer *buffer)
{
	size_t len = buffer_len(buffer);
	size_t n = random_below(60) == 0 ? len : random_below((len < 1500 ? len : 1500) + 1);

	buffer_consume(buffer, n);
	model_consume(n);
}

TestSuite(buffer, .init = set_up, .fini = tear_down);

Test(buffer, random_operations)
{
	struct buffer buffers[2] = { { NULL, 0, 0, 0 }, { NULL, 0, 0, 0 } };
	struct buffer *buffer = &buffers[0], *other = &buffers[1];

	cr_log_info("seed %lu", SEED);
	for (int step = 0; step < STEPS; step++) {
		uint64_t what = random_below(1000);
		if (what < 600) {
			append(buffer);
		} else if (what < 990) {
			consume(buffer);
		} else if (what < 993) {
			buffer_release(buffer, &memory);
			model.len = 0;
		} else {
			buffer_take(other, buffer, &memory);
			cr_assert_null(buffer->data);
			cr_assert_eq(buffer->cap, 0);
			struct buffer *swap = buffer;
			buffer = other;
			other = swap;
		}
		check(buffer, step);
	}
	cr_assert_gt(memory.refused, 0, "the budget was never reached");
	buffer_release(buffer, &memory);
}

Test(buffer, empty_has_no_memory)
{
	struct buffer buffer = { NULL, 0, 0, 0 };

	cr_assert(buffer_append(&buffer, &memory, "", 0));
	cr_assert_eq(memory.used, 0);
	cr_assert(buffer_append(&buffer, &memory, "abc", 3));
	cr_assert_gt(memory.used, 0);
	buffer_release(&buffer, &memory);
	cr_assert_eq(memory.used, 0);
	cr_assert_null(buffer.data);
	buffer_release(&buffer, &memory);
}

Test(buffer, starts_at_the_front_when_it_ran_empty)
{
	struct buffer buffer = { NULL, 0, 0, 0 };

	for (int i = 0; i < 10000; i++) {
		cr_assert(buffer_append(&buffer, &memory, "0123456789", 10));
		buffer_consume(&buffer, 4);
		buffer_consume(&buffer, 6);
	}
	cr_assert_eq(buffer.cap, MEMORY_BLOCK_MIN);
	buffer_release(&buffer, &memory);
}

/* Something always stays in it: the consumed part must be won back, or the memory would grow
 * without end. */
Test(buffer, stays_small_although_never_empty)
{
	struct buffer buffer = { NULL, 0, 0, 0 };

	cr_assert(buffer_append(&buffer, &memory, "0123456789", 10));
	for (int i = 0; i < 100000; i++) {
		cr_assert(buffer_append(&buffer, &memory, "0123456789", 10));
		buffer_consume(&buffer, 10);
		cr_assert_eq(memcmp(buffer_at(&buffer), "0123456789", 10), 0);
	}
	cr_assert_leq(buffer.cap, 2 * MEMORY_BLOCK_MIN);
	buffer_release(&buffer, &memory);
}

Test(buffer, fills_the_budget_to_the_last_byte)
{
	static uint8_t bytes[BUDGET];
	struct buffer buffer = { NULL, 0, 0, 0 };

	cr_assert(buffer_append(&buffer, &memory, bytes, BUDGET - 1000));
	cr_assert(buffer_append(&buffer, &memory, bytes, 999));
	cr_assert(buffer_append(&buffer, &memory, "x", 1));
	cr_assert_not(buffer_append(&buffer, &memory, "y", 1));
	cr_assert_eq(buffer_len(&buffer), BUDGET, "a refusal appends nothing");
	cr_assert_eq(buffer_at(&buffer)[BUDGET - 1], 'x');
	/* A little is consumed: too little to move for, were there more memory. */
	buffer_consume(&buffer, 10);
	cr_assert(buffer_append(&buffer, &memory, "0123456789", 10));
	cr_assert_eq(buffer_len(&buffer), BUDGET);
	cr_assert_eq(memcmp(buffer_at(&buffer) + BUDGET - 11, "x0123456789", 11), 0);
	cr_assert_not(buffer_append(&buffer, &memory, "z", 1));
	buffer_release(&buffer, &memory);
}

Test(buffer, grows_by_what_is_needed_when_doubling_is_too_much)
{
	static uint8_t bytes[BUDGET];
	struct buffer buffer = { NULL, 0, 0, 0 };

	cr_assert(buffer_append(&buffer, &memory, bytes, BUDGET / 4 * 3));
	cr_assert(buffer_append(&buffer, &memory, bytes, 100));
	cr_assert_leq(buffer.cap, BUDGET);
	buffer_release(&buffer, &memory);
}

Test(buffer, absurd_sizes_are_refused)
{
	struct buffer buffer = { NULL, 0, 0, 0 };

	cr_assert_null(buffer_room(&buffer, &memory, SIZE_MAX));
	cr_assert_null(buffer_room(&buffer, &memory, SIZE_MAX / 4 + 1));
	cr_assert(buffer_append(&buffer, &memory, "abc", 3));
	cr_assert_null(buffer_room(&buffer, &memory, SIZE_MAX));
	cr_assert_null(buffer_room(&buffer, &memory, SIZE_MAX / 4));
	cr_assert_eq(buffer_len(&buffer), 3);
	buffer_release(&buffer, &memory);
}
