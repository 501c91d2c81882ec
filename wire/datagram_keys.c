/*
 * datagram_keys.c - takes the text of the key file apart and sorts what it says.
 *
 * Never reads a file, never keeps a key: the caller wipes the text, and keys[] when it is done with
 * them.  Owns nothing.
 */
#include "wire/datagram_keys.h"

#include "wire/hex.h"

#define ID_DIGITS  16
#define KEY_DIGITS (2 * DATAGRAM_KEY_SIZE)

const char *
datagram_keys_fault_text(enum datagram_keys_fault fault)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		DATAGRAM_KEYS_FAULTS(X)
#undef X
	};
	size_t index = (size_t)fault;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown fault";
}

/* --- lines */

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct wire_span
take_word(struct wire_span *rest)
{
	struct wire_span word;
	size_t len = 0;

	while (rest->len > 0 && is_blank(rest->data[0]))
		*rest = wire_span(rest->data + 1, rest->len - 1);
	while (len < rest->len && !is_blank(rest->data[len]))
		len++;
	word = wire_span(rest->data, len);
	*rest = wire_span(rest->data + len, rest->len - len);
	return word;
}

static bool
is_hex(struct wire_span word, size_t digits)
{
	return word.len == digits && hex_span(word.data, word.len) == digits;
}

static enum datagram_keys_fault
parse_line(struct datagram_key *key, struct wire_span id_word, struct wire_span rest)
{
	struct wire_span key_word = take_word(&rest);
	uint8_t id[ID_DIGITS / 2];
	uint8_t any = 0;

	if (key_word.len == 0 || take_word(&rest).len > 0)
		return DATAGRAM_KEYS_BAD_LINE;
	if (!is_hex(id_word, ID_DIGITS))
		return DATAGRAM_KEYS_BAD_ID;
	if (!is_hex(key_word, KEY_DIGITS))
		return DATAGRAM_KEYS_BAD_KEY;
	hex_get(id, id_word.data, ID_DIGITS);
	key->client = datagram_get_u64(id);
	if (key->client == 0)
		return DATAGRAM_KEYS_ZERO_ID;
	hex_get(key->secret, key_word.data, KEY_DIGITS);
	for (size_t i = 0; i < DATAGRAM_KEY_SIZE; i++)
		any |= key->secret[i];
	return any == 0 ? DATAGRAM_KEYS_ZERO_KEY : DATAGRAM_KEYS_FINE;
}

static struct wire_span
take_line(struct wire_span *text)
{
	const uint8_t *lf = memchr(text->data, '\n', text->len);
	size_t len = lf != NULL ? (size_t)(lf - text->data) : text->len;
	size_t skip = lf != NULL ? len + 1 : len;
	struct wire_span line = wire_span(text->data, len);

	*text = wire_span(text->data + skip, text->len - skip);
	return line;
}

static enum datagram_keys_fault
parse_lines(struct datagram_key *keys, size_t max, size_t *count, struct wire_span text,
	    uint32_t *line)
{
	enum datagram_keys_fault fault = DATAGRAM_KEYS_FINE;

	while (text.len > 0 && fault == DATAGRAM_KEYS_FINE) {
		struct wire_span rest = take_line(&text);
		struct wire_span word = take_word(&rest);

		(*line)++;
		if (word.len == 0 || word.data[0] == '#')
			continue;
		if (*count == max)
			return DATAGRAM_KEYS_MANY;
		keys[*count].line = *line;
		fault = parse_line(&keys[(*count)++], word, rest);
	}
	return fault;
}

/* --- order */

static bool
is_before(const struct datagram_key *a, const struct datagram_key *b)
{
	return a->client != b->client ? a->client < b->client : a->line < b->line;
}

static void
swap(struct datagram_key *a, struct datagram_key *b)
{
	struct datagram_key kept = *a;

	*a = *b;
	*b = kept;
	explicit_bzero(&kept, sizeof kept);
}

/* Lets keys[at] sink to its place in the heap of `count`. */
static void
sink(struct datagram_key *keys, size_t at, size_t count)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && is_before(&keys[child], &keys[child + 1]))
			child++;
		if (!is_before(&keys[at], &keys[child]))
			return;
		swap(&keys[at], &keys[child]);
	}
}

/* A heap: no memory, and no order of lines that makes it slow. */
static void
sort(struct datagram_key *keys, size_t count)
{
	for (size_t at = count / 2; at > 0; at--)
		sink(keys, at - 1, count);
	for (size_t left = count; left > 1; left--) {
		swap(&keys[0], &keys[left - 1]);
		sink(keys, 0, left - 1);
	}
}

/* The first line of the text whose id was there before; 0: none. */
static uint32_t
first_repeat(const struct datagram_key *keys, size_t count)
{
	uint32_t line = 0;

	for (size_t i = 1; i < count; i++)
		if (keys[i].client == keys[i - 1].client && (line == 0 || keys[i].line < line))
			line = keys[i].line;
	return line;
}

enum datagram_keys_fault
datagram_keys_parse(struct datagram_key *keys, size_t max, size_t *count, struct wire_span text,
		    uint32_t *line)
{
	enum datagram_keys_fault fault = DATAGRAM_KEYS_LONG;
	size_t taken = 0;

	*line = 0;
	*count = 0;
	if (text.len <= DATAGRAM_KEYS_TEXT_MAX)
		fault = parse_lines(keys, max, &taken, text, line);
	if (fault == DATAGRAM_KEYS_FINE) {
		sort(keys, taken);
		*line = first_repeat(keys, taken);
		if (*line != 0)
			fault = DATAGRAM_KEYS_TWICE;
	}
	if (fault == DATAGRAM_KEYS_FINE)
		*count = taken;
	else if (taken > 0)
		explicit_bzero(keys, taken * sizeof *keys);
	return fault;
}

const struct datagram_key *
datagram_keys_find(const struct datagram_key *keys, size_t count, uint64_t client)
{
	size_t from = 0, to = count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (keys[middle].client == client)
			return &keys[middle];
		if (keys[middle].client < client)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}
