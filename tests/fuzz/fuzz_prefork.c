/*
 * fuzz_prefork.c - what librelay-prefork reads of others, a call's message and the value of
 * PREFORK_INTERP, is judged as the relay's own codec judges it, and taken apart alike.
 *
 * Input: a byte that says which, and the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/prefork/handover.h"
#include "relay/prefork/message.h"
#include "wire/pfi.h"
#include "wire/pfi_value.h"

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* The same strings, in the same places. */
static void
compare(char *const *strings, uint32_t count, struct wire_span rest)
{
	struct wire_span string;

	for (uint32_t i = 0; i < count; i++) {
		must(pfi_string_next(&string, &rest));
		must((const uint8_t *)strings[i] == string.data);
	}
	must(strings[count] == NULL && rest.len == 0);
}

static void
fuzz_message(const uint8_t *data, size_t size)
{
	struct prefork_message ours;
	struct pfi_message theirs;
	/* Exactly as long, so that a read behind it is seen. */
	char *bytes = malloc(size == 0 ? 1 : size);

	must(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	bool taken = prefork_message_decode(bytes, size, &ours) == 0;
	must(taken == (pfi_message_open(&theirs, wire_span(bytes, size)) == PFI_FINE));
	if (taken) {
		compare(ours.environment, theirs.settings, theirs.settings_bytes);
		must(ours.argc >= 0 && (uint32_t)ours.argc == theirs.arguments);
		compare(ours.argv, theirs.arguments, theirs.argument_bytes);
		free(ours.environment);
	}
	free(bytes);
}

/* The library puts the caller's descriptors to 0, 1 and 2: nothing of its own can be there. */
static bool
usable(const struct pfi_value *value)
{
	for (int i = 0; i < PFI_VALUE_FDS; i++) {
		if (value->fds[i] <= STDERR_FILENO)
			return false;
	}
	return true;
}

static void
fuzz_value(const uint8_t *data, size_t size)
{
	struct prefork_handover ours;
	struct pfi_value theirs;
	char *text = malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	bool taken = prefork_handover_parse(text, &ours) == 0;
	bool fine = pfi_value_parse(&theirs, wire_span(text, strlen(text))) == PFI_VALUE_FINE;
	must(taken == (fine && usable(&theirs)));
	if (taken) {
		must((uint64_t)ours.fresh.tv_sec == theirs.seconds);
		must((uint64_t)ours.fresh.tv_nsec == theirs.nanoseconds);
		must(ours.listen == theirs.fds[PFI_LISTEN] && ours.call == theirs.fds[PFI_CALL]);
		must(ours.sentinel == theirs.fds[PFI_WATCHI]);
		must(ours.orders == theirs.fds[PFI_WATCHE]);
		must(ours.extended == theirs.extended);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		fuzz_value(data + 1, size - 1);
	else
		fuzz_message(data + 1, size - 1);
	return 0;
}
