/*
 * line.c - finds the LF that ends a line, and makes decrypted bytes into one line.
 *
 * Never copies and never looks at any byte but for being a LF; owns nothing: a line is a view of
 * the input.
 *
 *   *src          *src + scanned        *src + window      end
 *    | no LF, known |  searched now       | beyond max       |
 *
 * The window is max + 1 bytes long: the byte behind the longest line may still be its LF.
 */
#include "wire/line.h"

enum wire_status
line_next(struct wire_span *line, const uint8_t **src, const uint8_t *end, size_t scanned,
	  size_t max)
{
	size_t have = (size_t)(end - *src);
	size_t window = have > max ? max + 1 : have;

	if (scanned < window) {
		const uint8_t *lf = memchr(*src + scanned, '\n', window - scanned);
		if (lf != NULL) {
			*line = wire_span(*src, (size_t)(lf - *src));
			*src = lf + 1;
			return WIRE_OK;
		}
	}
	return have > max ? WIRE_BAD_LONG : WIRE_MORE;
}

size_t
line_flatten(uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	if (bytes[len - 1] == '\n')
		len--;

	uint8_t *at = bytes;
	uint8_t *end = bytes + len;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL)
		*at++ = ' ';
	return len;
}
