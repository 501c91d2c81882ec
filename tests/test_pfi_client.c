/*
 * test_pfi_client.c - what a prefork-interp service answers, in any pieces.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "wire/pfi_client.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The greeting and the status of exit code 7, as they were seen. */
static const uint8_t answer[] = { 0x50, 0x46, 0x49, 0x0a, 0, 0, 0, 0, 0x00, 0x00, 0x07, 0x00 };

/* What was said up to an end of `len` bytes, and where. */
struct heard {
	size_t greeted_at, status_at, bad_at; /* 0: not at all */
	uint32_t status;
	enum pfi_fault end;
};

/* In reads of sizes[0], sizes[1], ..., and from the front again, each a copy of its own size. */
static struct heard
hear(const uint8_t *data, size_t len, const size_t *sizes, size_t count)
{
	struct heard heard = { .greeted_at = 0 };
	struct pfi_client client;
	enum pfi_client_event event = PFI_ANSWER_MORE;
	size_t at = 0;

	pfi_client_init(&client);
	for (size_t i = 0; at < len && event != PFI_ANSWER_BAD; i++) {
		size_t n = len - at < sizes[i % count] ? len - at : sizes[i % count];
		uint8_t *copy = malloc(n);
		struct wire_span bytes = wire_span(copy, n);

		cr_assert_not_null(copy);
		memcpy(copy, data + at, n);
		do {
			event = pfi_client_next(&client, &bytes);
			size_t place = at + n - bytes.len;
			if (event == PFI_ANSWER_GREETED)
				heard.greeted_at = place;
			if (event == PFI_ANSWER_STATUS)
				heard.status_at = place;
			if (event == PFI_ANSWER_BAD)
				heard.bad_at = place;
		} while (event != PFI_ANSWER_MORE && event != PFI_ANSWER_BAD);
		cr_assert(event == PFI_ANSWER_BAD || bytes.len == 0);
		at += n;
		free(copy);
	}
	heard.status = client.status;
	heard.end = pfi_client_end(&client);
	return heard;
}

static const size_t byte_by_byte[] = { 1 };

Test(pfi_client, answer_at_every_two_split_points)
{
	for (size_t first = 1; first <= sizeof answer; first++) {
		for (size_t second = 1; second <= sizeof answer; second++) {
			size_t sizes[] = { first, second, sizeof answer };
			struct heard heard = hear(answer, sizeof answer, sizes, COUNT(sizes));

			cr_assert_eq(heard.greeted_at, 8);
			cr_assert_eq(heard.status_at, 12);
			cr_assert_eq(heard.bad_at, 0);
			cr_assert_eq(heard.status, 0x700);
			cr_assert_eq(heard.end, PFI_FINE);
		}
	}
	struct heard heard = hear(answer, sizeof answer, byte_by_byte, 1);
	cr_assert_eq(heard.greeted_at, 8);
	cr_assert_eq(heard.status_at, 12);
	cr_assert_eq(heard.end, PFI_FINE);
}

/* Before the greeting nobody has taken the call; after it somebody has. */
Test(pfi_client, end_at_every_byte)
{
	for (size_t len = 0; len < sizeof answer; len++) {
		struct heard heard = hear(answer, len, byte_by_byte, 1);

		cr_assert_eq(heard.end, len < 8 ? PFI_NO_GREETING : PFI_NO_STATUS);
		cr_assert_eq(heard.greeted_at, len < 8 ? 0 : 8);
		cr_assert_eq(heard.status_at, 0);
	}
}

/* Every byte of the greeting changed to every other value. */
Test(pfi_client, other_greetings)
{
	for (size_t at = 0; at < PFI_GREETING_SIZE; at++) {
		for (int value = 0; value < 256; value++) {
			uint8_t other[sizeof answer];
			struct heard heard;

			if (value == answer[at])
				continue;
			memcpy(other, answer, sizeof answer);
			other[at] = (uint8_t)value;
			heard = hear(other, sizeof other, (size_t[]){ sizeof other }, 1);
			cr_assert_eq(heard.end, at < 4 ? PFI_BAD_MAGIC : PFI_EXTRA_DATA);
			cr_assert_eq(heard.greeted_at, 0);
			cr_assert_eq(heard.status_at, 0);
			/* bad_at is the place of the byte: 0 for the first one, too. */
			cr_assert_eq(heard.bad_at, at);
			heard = hear(other, sizeof other, byte_by_byte, 1);
			cr_assert_eq(heard.bad_at, at);
		}
	}
}

/* One byte announced, in the byte order of the protocol and in that of the original's machine. */
Test(pfi_client, extra_data_in_either_byte_order)
{
	static const uint8_t big[] = { 0x50, 0x46, 0x49, 0x0a, 0, 0, 0, 1, 'x' };
	static const uint8_t little[] = { 0x50, 0x46, 0x49, 0x0a, 1, 0, 0, 0, 'x' };

	cr_assert_eq(hear(big, sizeof big, byte_by_byte, 1).end, PFI_EXTRA_DATA);
	cr_assert_eq(hear(little, sizeof little, byte_by_byte, 1).end, PFI_EXTRA_DATA);
}

Test(pfi_client, bytes_behind_the_status)
{
	uint8_t more[sizeof answer + 1];
	struct heard heard;

	memcpy(more, answer, sizeof answer);
	more[sizeof answer] = 0;
	heard = hear(more, sizeof more, (size_t[]){ sizeof more }, 1);
	cr_assert_eq(heard.status_at, 12);
	cr_assert_eq(heard.bad_at, 12);
	cr_assert_eq(heard.status, 0x700, "known all the same");
	cr_assert_eq(heard.end, PFI_EXTRA_BYTES);
}

/* What a client makes of the words that a service may send in place of 7. */
Test(pfi_client, status_words)
{
	static const struct {
		uint8_t bytes[PFI_STATUS_SIZE];
		struct pfi_outcome outcome;
	} seen[] = {
		{ { 0, 0, 7, 0 }, { PFI_EXITED, 7, 0, false } },
		{ { 0, 0, 255, 0 }, { PFI_EXITED, 255, 0, false } },
		{ { 0, 0, 0, 9 }, { PFI_KILLED, 127, 9, false } },
		{ { 0, 0, 0, 15 }, { PFI_KILLED, 127, 15, false } },
		{ { 0, 0, 0, 11 }, { PFI_CRASHED, 127, 11, false } },
		{ { 0, 0, 0, 10 }, { PFI_CRASHED, 127, 10, false } },
		{ { 0, 0, 0, 0x8f }, { PFI_CRASHED, 127, 15, true } },
		{ { 0x80, 0, 0, 0 }, { PFI_GARBLED, 127, 0, false } },
		{ { 0xff, 0xff, 0xff, 0xff }, { PFI_GARBLED, 127, 0, false } },
	};

	for (size_t i = 0; i < COUNT(seen); i++) {
		uint8_t bytes[sizeof answer];
		struct pfi_outcome outcome;
		struct heard heard;

		memcpy(bytes, answer, PFI_GREETING_SIZE);
		memcpy(bytes + PFI_GREETING_SIZE, seen[i].bytes, PFI_STATUS_SIZE);
		heard = hear(bytes, sizeof bytes, byte_by_byte, 1);
		cr_assert_eq(heard.end, PFI_FINE);
		outcome = pfi_outcome(heard.status);
		cr_assert_eq(outcome.kind, seen[i].outcome.kind, "row %zu", i);
		cr_assert_eq(outcome.exit_code, seen[i].outcome.exit_code, "row %zu", i);
		cr_assert_eq(outcome.signal, seen[i].outcome.signal, "row %zu", i);
		cr_assert_eq(outcome.core, seen[i].outcome.core, "row %zu", i);
	}
}

Test(pfi_client, a_fault_is_for_ever)
{
	static const uint8_t wrong = 'x';
	struct pfi_client client;
	struct wire_span bytes = wire_span(&wrong, 1), right = wire_span(answer, sizeof answer);

	pfi_client_init(&client);
	cr_assert_eq(pfi_client_next(&client, &bytes), PFI_ANSWER_BAD);
	cr_assert_eq(pfi_client_next(&client, &right), PFI_ANSWER_BAD);
	cr_assert_eq(right.len, sizeof answer);
	cr_assert_eq(pfi_client_end(&client), PFI_BAD_MAGIC);

	pfi_client_init(&client);
	cr_assert_eq(pfi_client_end(&client), PFI_NO_GREETING);
	cr_assert_eq(pfi_client_next(&client, &right), PFI_ANSWER_BAD);
}

Test(pfi_client, states_have_names)
{
	cr_assert_str_eq(pfi_client_state_text(PFI_CLIENT_GREETING), "greeting");
	cr_assert_str_eq(pfi_client_state_text(PFI_CLIENT_FAILED), "failed");
	cr_assert_str_eq(pfi_client_state_text((enum pfi_client_state)(PFI_CLIENT_FAILED + 1)),
			 "unknown state");
}
