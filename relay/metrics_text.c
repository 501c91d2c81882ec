/* metrics_text.c - see metrics_text.h. */
#include "relay/metrics_text.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096

void
metrics_text_init(struct metrics_text *text, size_t max)
{
	*text = (struct metrics_text){ .max = max };
}

void
metrics_text_fini(struct metrics_text *text)
{
	free(text->bytes);
	*text = (struct metrics_text){ 0 };
}

bool
metrics_text_make_room(struct metrics_text *text, size_t more)
{
	size_t cap = text->cap == 0 ? FIRST_CAP : text->cap;

	if (text->full || more > text->max - text->len) {
		text->full = true;
		return false;
	}
	while (cap < text->len + more)
		cap *= 2;
	if (cap > text->max)
		cap = text->max;
	if (cap <= text->cap)
		return true;
	char *bytes = realloc(text->bytes, cap);
	if (bytes == NULL) {
		text->full = true;
		return false;
	}
	text->bytes = bytes;
	text->cap = cap;
	return true;
}

void
metrics_text_clear(struct metrics_text *text)
{
	text->len = 0;
	text->full = false;
}

void
metrics_text_put_number(struct metrics_text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	/* Most are small, and 32-bit division is the faster one. */
	while (number > UINT32_MAX) {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	}
	uint32_t rest = (uint32_t)number;
	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest != 0);
	metrics_text_put_bytes(text, digits + at, sizeof(digits) - at);
}

void
metrics_text_put_seconds(struct metrics_text *text, uint64_t us)
{
	uint64_t rest = us % 1000000;
	char part[7] = ".000000";
	size_t len = sizeof(part);

	metrics_text_put_number(text, us / 1000000);
	if (rest == 0)
		return;
	for (size_t i = sizeof(part) - 1; i > 0; i--, rest /= 10)
		part[i] = (char)('0' + rest % 10);
	while (part[len - 1] == '0')
		len--;
	metrics_text_put_bytes(text, part, len);
}

void
metrics_text_put_label(struct metrics_text *text, const char *name, const char *value)
{
	metrics_text_put(text, name);
	metrics_text_put_bytes(text, "=\"", 2);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			metrics_text_put_bytes(text, "\\n", 2);
		else if (*value == '"' || *value == '\\')
			metrics_text_put_bytes(text, (const char[]){ '\\', *value }, 2);
		else
			metrics_text_put_bytes(text, value, 1);
	}
	metrics_text_put_bytes(text, "\"", 1);
}
