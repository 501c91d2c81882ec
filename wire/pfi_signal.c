/*
 * pfi_signal.c - the greeting that announces forwarded signals, and the bytes that stand for them.
 *
 * Never sends a signal: of <signal.h> it knows the numbers alone, which differ between machines and
 * so are not what is sent.  Owns nothing.
 */
#include "wire/pfi_signal.h"

#include <signal.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const int numbers[] = {
#define X(name, code, number) [code] = (number),
	PFI_SIGNALS(X)
#undef X
};

static const char *const texts[] = {
#define X(name, code, number) [code] = #number,
	PFI_SIGNALS(X)
#undef X
};

void
pfi_put_extended_greeting(uint8_t bytes[static PFI_EXTENDED_GREETING_SIZE])
{
	pfi_put_greeting(bytes);
	pfi_put_word(bytes + PFI_GREETING_SIZE - PFI_LENGTH_SIZE, PFI_EXTENSION_SIZE);
	memcpy(bytes + PFI_GREETING_SIZE, PFI_EXTENSION, PFI_EXTENSION_SIZE);
}

int
pfi_signal_number(uint8_t code)
{
	return code < COUNT(numbers) ? numbers[code] : 0;
}

uint8_t
pfi_signal_code(int number)
{
	for (size_t code = PFI_SIGNAL_NONE + 1; code < COUNT(numbers); code++)
		if (numbers[code] == number)
			return (uint8_t)code;
	return PFI_SIGNAL_NONE;
}

const char *
pfi_signal_text(uint8_t code)
{
	return code < COUNT(texts) && texts[code] != NULL ? texts[code] : "unknown signal";
}

bool
pfi_signal_is_final(uint8_t code)
{
	return code == PFI_SIGNAL_HUP || code == PFI_SIGNAL_INT || code == PFI_SIGNAL_QUIT ||
	       code == PFI_SIGNAL_TERM;
}
