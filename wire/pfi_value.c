/*
 * pfi_value.c - reads and writes the value of PREFORK_INTERP.
 *
 * Numbers are taken only as the original writes them: no sign, no white space, and no leading zero
 * in a descriptor, which that library does not know for a number either.  Owns nothing.
 */
#include "wire/pfi_value.h"

#include <limits.h>

#define NANOSECOND_DIGITS 9

const char *
pfi_value_fault_text(enum pfi_value_fault fault)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		PFI_VALUE_FAULTS(X)
#undef X
	};
	size_t index = (size_t)fault;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown fault";
}

/* --- reading */

/* What is before the next `separator`, or all; false if nothing is left, not even an empty part. */
static bool
take_part(struct wire_span *part, struct wire_span *rest, char separator)
{
	const uint8_t *end;

	if (rest->data == NULL)
		return false;
	end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
	*part = *rest;
	if (end == NULL) {
		*rest = wire_span(NULL, 0);
		return true;
	}
	part->len = (size_t)(end - rest->data);
	*rest = wire_span(end + 1, rest->len - part->len - 1);
	return true;
}

/* Digits and nothing else, up to `max`. */
static bool
take_number(struct wire_span text, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)text.data[i] - '0';
		if (text.data[i] < '0' || digit > 9 || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*number = n;
	return true;
}

static bool
take_time(struct pfi_value *value, struct wire_span text)
{
	struct wire_span seconds;
	uint64_t nanoseconds;

	if (!take_part(&seconds, &text, '.') || text.len != NANOSECOND_DIGITS ||
	    !take_number(seconds, INT64_MAX, &value->seconds) ||
	    !take_number(text, UINT32_MAX, &nanoseconds))
		return false;
	value->nanoseconds = (uint32_t)nanoseconds;
	return true;
}

static bool
take_fd(int *fd, struct wire_span text)
{
	uint64_t number;

	if (!take_number(text, INT_MAX, &number) || (text.data[0] == '0' && text.len > 1))
		return false;
	*fd = (int)number;
	return true;
}

static enum pfi_value_fault
take_fds(struct pfi_value *value, struct wire_span word)
{
	struct wire_span item;

	for (int i = 0; i < PFI_VALUE_FDS; i++) {
		if (!take_part(&item, &word, ','))
			return PFI_VALUE_FEW_FDS;
		if (!take_fd(&value->fds[i], item))
			return PFI_VALUE_BAD_FD;
		for (int j = 0; j < i; j++)
			if (value->fds[j] == value->fds[i])
				return PFI_VALUE_SAME_FD;
	}
	return PFI_VALUE_FINE;
}

static bool
has_item(struct wire_span items, const char *wanted)
{
	struct wire_span item;

	while (take_part(&item, &items, ','))
		if (wire_span_equal(item, wire_span_str(wanted)))
			return true;
	return false;
}

enum pfi_value_fault
pfi_value_parse(struct pfi_value *value, struct wire_span text)
{
	struct pfi_value found;
	struct wire_span first, second, item;
	enum pfi_value_fault fault;

	if (!take_part(&first, &text, ' ') || !take_part(&item, &first, ',') ||
	    !wire_span_equal(item, wire_span_str("v1")))
		return PFI_VALUE_NOT_V1;
	if (!take_part(&item, &first, ',') || !take_time(&found, item))
		return PFI_VALUE_BAD_TIME;
	found.extended = has_item(first, PFI_VALUE_EXTENDED);
	if (!take_part(&second, &text, ' '))
		return PFI_VALUE_ONE_WORD;
	fault = take_fds(&found, second);
	if (fault == PFI_VALUE_FINE)
		*value = found;
	return fault;
}

/* --- writing */

/* In decimal, with zeros in front up to `digits_min`. */
static void
put_number(struct wire_out *out, uint64_t number, size_t digits_min)
{
	uint8_t digits[20]; /* of UINT64_MAX */
	size_t at = sizeof digits;

	do {
		digits[--at] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (sizeof digits - at < digits_min)
		digits[--at] = '0';
	wire_out_bytes(out, digits + at, sizeof digits - at);
}

void
pfi_value_put(struct wire_out *out, const struct pfi_value *value)
{
	wire_out_bytes(out, "v1,", 3);
	put_number(out, value->seconds, 1);
	wire_out_bytes(out, ".", 1);
	put_number(out, value->nanoseconds, NANOSECOND_DIGITS);
	if (value->extended) {
		wire_out_bytes(out, ",", 1);
		wire_out_bytes(out, PFI_VALUE_EXTENDED, strlen(PFI_VALUE_EXTENDED));
	}
	for (int i = 0; i < PFI_VALUE_FDS; i++) {
		wire_out_bytes(out, i == 0 ? " " : ",", 1);
		put_number(out, (uint64_t)value->fds[i], 1);
	}
}
