/*
 * pfi.c - messages and status words of the prefork-interp protocol.
 *
 * Never copies what it reads, never believes a length: it is given the bytes that are there.  Owns
 * nothing; a message is checked in whatever pieces it comes, and taken apart only when whole.
 */
#include "wire/pfi.h"

#include <signal.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* How wait(2) packs a status: the signal, 0 for an exit, 0x7f for a process that was stopped. */
#define STATUS_SIGNAL  0x7fu
#define STATUS_CORE    0x80u
#define STATUS_STOPPED 0x7fu
/* An int when it was sent: a negative one is no status. */
#define STATUS_MAX 0x7fffffffu

const char *
pfi_fault_text(enum pfi_fault fault)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		PFI_FAULTS(X)
#undef X
	};
	size_t index = (size_t)fault;

	return index < COUNT(texts) ? texts[index] : "unknown fault";
}

void
pfi_put_greeting(uint8_t bytes[static PFI_GREETING_SIZE])
{
	memcpy(bytes, "PFI\n\0\0\0\0", PFI_GREETING_SIZE);
}

/* --- checking a message */

/* The first `byte` of the span, or its end. */
static const uint8_t *
find(const uint8_t *at, const uint8_t *end, uint8_t byte)
{
	const uint8_t *found = at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;

	return found != NULL ? found : end;
}

/*
 * Goes on to where the state changes.  Returns behind the last byte that was taken; the same place
 * if that byte cannot stand there.
 */
static const uint8_t *
scan_step(struct pfi_scan *scan, const uint8_t *at, const uint8_t *end)
{
	const uint8_t *stop;

	switch (scan->state) {
	case PFI_AT_SETTING:
		if (*at == '\0') {
			scan->state = PFI_AT_ARGUMENT;
			return at + 1;
		}
		scan->state = PFI_IN_NAME;
		return at;
	case PFI_IN_NAME:
		stop = find(at, end, '\0');
		at = find(at, stop, '=');
		if (at < stop) {
			scan->state = PFI_IN_VALUE;
			return at + 1;
		}
		return stop;
	case PFI_IN_VALUE:
		stop = find(at, end, '\0');
		if (stop == end)
			return end;
		scan->state = PFI_AT_SETTING;
		scan->settings++;
		return stop + 1;
	case PFI_AT_ARGUMENT:
	case PFI_IN_ARGUMENT:
		stop = find(at, end, '\0');
		scan->state = stop == end ? PFI_IN_ARGUMENT : PFI_AT_ARGUMENT;
		if (stop == end)
			return end;
		scan->arguments++;
		return stop + 1;
	}
	return end;
}

static bool
between_strings(const struct pfi_scan *scan)
{
	return scan->state == PFI_AT_SETTING || scan->state == PFI_AT_ARGUMENT;
}

size_t
pfi_scan(struct pfi_scan *scan, struct wire_span bytes, bool is_last, enum pfi_fault *fault)
{
	const uint8_t *at = bytes.data;
	const uint8_t *end;

	if (bytes.len == 0)
		return 0;
	end = at + bytes.len;
	while (at < end) {
		at = scan_step(scan, at, end);
		if (scan->state == PFI_IN_NAME && at < end && *at == '\0') {
			*fault = PFI_NO_EQUALS;
			return (size_t)(at - bytes.data);
		}
	}
	if (is_last && !between_strings(scan)) {
		*fault = PFI_NO_NUL;
		return bytes.len - 1;
	}
	return bytes.len;
}

/* --- taking a message apart */

enum pfi_fault
pfi_message_open(struct pfi_message *message, struct wire_span bytes)
{
	struct pfi_scan scan = { .state = PFI_AT_SETTING };
	enum pfi_fault fault = PFI_FINE;
	struct wire_span settings = bytes, setting;

	if (bytes.len == 0)
		return PFI_EMPTY;
	if (bytes.len > UINT32_MAX)
		return PFI_TOO_LONG;
	if (pfi_scan(&scan, bytes, true, &fault) < bytes.len)
		return fault;

	for (uint32_t i = 0; i < scan.settings; i++)
		(void)pfi_string_next(&setting, &settings);
	settings.len = (size_t)(settings.data - bytes.data);
	settings.data = bytes.data;
	*message = (struct pfi_message){
		.settings_bytes = settings,
		.settings = scan.settings,
		.arguments = scan.arguments,
	};
	/* The empty string, if it is there, belongs to neither. */
	message->argument_bytes = wire_span(bytes.data + bytes.len, 0);
	if (settings.len < bytes.len)
		message->argument_bytes =
		    wire_span(bytes.data + settings.len + 1, bytes.len - settings.len - 1);
	return PFI_FINE;
}

bool
pfi_string_next(struct wire_span *string, struct wire_span *rest)
{
	const uint8_t *nul = rest->len > 0 ? memchr(rest->data, '\0', rest->len) : NULL;

	if (nul == NULL)
		return false;
	*string = wire_span(rest->data, (size_t)(nul - rest->data));
	*rest = wire_span(nul + 1, rest->len - string->len - 1);
	return true;
}

bool
pfi_setting_split(struct wire_span setting, struct wire_span *name, struct wire_span *value)
{
	const uint8_t *equals = setting.len > 0 ? memchr(setting.data, '=', setting.len) : NULL;

	if (equals == NULL)
		return false;
	*name = wire_span(setting.data, (size_t)(equals - setting.data));
	*value = wire_span(equals + 1, setting.len - name->len - 1);
	return true;
}

/* --- making a message */

static bool
is_setting(const char *text)
{
	return memchr(text, '=', strlen(text)) != NULL;
}

size_t
pfi_message_size(char *const *environment, char *const *arguments)
{
	size_t size = 1;

	for (; *environment != NULL; environment++)
		if (is_setting(*environment))
			size += strlen(*environment) + 1;
	for (; *arguments != NULL; arguments++)
		size += strlen(*arguments) + 1;
	return size;
}

enum pfi_fault
pfi_put_message(struct wire_out *out, char *const *environment, char *const *arguments,
		uint32_t message_max)
{
	size_t size = pfi_message_size(environment, arguments);
	uint8_t length[PFI_LENGTH_SIZE];

	if (size > message_max)
		return PFI_TOO_LONG;
	/* All or nothing: half a message is worse than none. */
	if (out->cap - out->len < sizeof length + size) {
		out->overflow = true;
		return PFI_FINE;
	}
	pfi_put_word(length, (uint32_t)size);
	wire_out_bytes(out, length, sizeof length);
	for (; *environment != NULL; environment++)
		if (is_setting(*environment))
			wire_out_bytes(out, *environment, strlen(*environment) + 1);
	wire_out_bytes(out, "", 1);
	for (; *arguments != NULL; arguments++)
		wire_out_bytes(out, *arguments, strlen(*arguments) + 1);
	return PFI_FINE;
}

/* --- status words */

const char *
pfi_outcome_text(enum pfi_outcome_kind kind)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		PFI_OUTCOMES(X)
#undef X
	};
	size_t index = (size_t)kind;

	return index < COUNT(texts) ? texts[index] : "unknown outcome";
}

/* Signals that look the same to who started the client, whether the service or the client died. */
static bool
is_passed_on(int number)
{
	return number == SIGHUP || number == SIGINT || number == SIGKILL || number == SIGPIPE ||
	       number == SIGTERM;
}

struct pfi_outcome
pfi_outcome(uint32_t status)
{
	struct pfi_outcome outcome = { .kind = PFI_GARBLED, .exit_code = PFI_EXIT_FAILED };
	unsigned number = status & STATUS_SIGNAL;

	if (status > STATUS_MAX || number == STATUS_STOPPED)
		return outcome;
	if (number == 0) {
		outcome.kind = PFI_EXITED;
		outcome.exit_code = (int)(status >> 8 & 0xff);
		return outcome;
	}
	outcome.signal = (int)number;
	outcome.core = (status & STATUS_CORE) != 0;
	outcome.kind = is_passed_on(outcome.signal) && !outcome.core ? PFI_KILLED : PFI_CRASHED;
	return outcome;
}

uint32_t
pfi_status_exited(uint8_t code)
{
	return (uint32_t)code << 8;
}

uint32_t
pfi_status_killed(unsigned number, bool core)
{
	return (number & STATUS_SIGNAL) | (core ? STATUS_CORE : 0);
}
