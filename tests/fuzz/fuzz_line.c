/*
 * fuzz_line.c - line framing does not depend on how the input is cut, and flattening makes one
 * line.
 *
 * Input: a byte for the bound (0 to 255), a byte for the size of a piece, then the stream.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* The length of the first line of the input, found the slow way; `have` if it has no LF. */
static size_t
reference(const uint8_t *at, size_t have)
{
	size_t len = 0;

	while (len < have && at[len] != '\n')
		len++;
	return len;
}

/* One call, checked against the reference; `scanned` only saves work. */
static enum wire_status
step(const uint8_t **src, const uint8_t *end, size_t scanned, size_t max)
{
	const uint8_t *before = *src;
	size_t have = (size_t)(end - before);
	size_t len = reference(before, have);
	struct wire_span line = { NULL, 0 };
	enum wire_status status = line_next(&line, src, end, scanned, max);

	if (len > max) {
		must(status == WIRE_BAD_LONG);
	} else if (len == have) {
		must(status == WIRE_MORE);
	} else {
		must(status == WIRE_OK);
		must(line.data == before && line.len == len);
		must(*src == before + len + 1);
	}
	must(status == WIRE_OK || (*src == before && line.data == NULL));
	return status;
}

/* The stream in pieces; returns where reading stopped, and whether a line was too long. */
static enum wire_status
feed(size_t *used, const uint8_t *stream, size_t size, size_t piece, size_t max)
{
	const uint8_t *src = stream;
	enum wire_status status = WIRE_MORE;
	size_t arrived = 0;

	while (arrived < size && status == WIRE_MORE) {
		size_t scanned = arrived - (size_t)(src - stream);
		arrived = piece < size - arrived ? arrived + piece : size;
		while ((status = step(&src, stream + arrived, scanned, max)) == WIRE_OK)
			scanned = 0;
	}
	*used = (size_t)(src - stream);
	return status;
}

static void
check_flatten(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	if (copy == NULL)
		return;
	if (len > 0)
		memcpy(copy, bytes, len);

	size_t flat = line_flatten(copy, len);
	must(flat == len || (flat + 1 == len && bytes[flat] == '\n'));
	must(len == 0 || bytes[len - 1] != '\n' || flat + 1 == len);
	for (size_t i = 0; i < flat; i++)
		must(copy[i] == (bytes[i] == '\n' ? ' ' : bytes[i]));
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;

	size_t max = data[0];
	size_t piece = (size_t)data[1] + 1;
	size_t whole_used, pieces_used;
	enum wire_status whole = feed(&whole_used, data + 2, size - 2, size, max);
	enum wire_status pieces = feed(&pieces_used, data + 2, size - 2, piece, max);
	must(whole == pieces && whole_used == pieces_used);
	check_flatten(data + 2, size - 2);
	return 0;
}
