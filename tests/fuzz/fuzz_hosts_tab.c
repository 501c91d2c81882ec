/*
 * fuzz_hosts_tab.c - every line of a table is read once, alone or in the file, and no field leaves
 * its line.
 *
 * Input: the bytes of a file.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/hosts_tab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static bool
inside(struct wire_span field, const uint8_t *from, const uint8_t *to)
{
	return field.data >= from && field.data + field.len <= to;
}

static bool
holds_byte(struct wire_span s, uint8_t byte)
{
	return s.len > 0 && memchr(s.data, byte, s.len) != NULL;
}

static void
check_entry(const struct hosts_tab_entry *entry, enum wire_status status, struct wire_span line)
{
	const uint8_t *end = line.data + line.len;

	must(entry->id.data == line.data && inside(entry->id, line.data, end));
	must(entry->domain.data == entry->id.data + entry->id.len + 1);
	must(entry->role.data == entry->domain.data + entry->domain.len + 1);
	must(entry->name.data == entry->role.data + entry->role.len + 1);
	must(inside(entry->name, line.data, end));
	must(inside(entry->address, entry->name.data + entry->name.len + 1, end));
	must(!holds_byte(entry->id, ':') && !holds_byte(entry->name, ':'));
	must(entry->address.len > 0);
	must(!wire_span_equal(entry->address, wire_span_str("0")));
	must(!holds_byte(line, '\0'));

	enum wire_status id = hosts_tab_check_id(entry->id, 0);
	must((status == WIRE_BAD_ID) == (id == WIRE_BAD_ID));
	if (id == WIRE_OK)
		must(entry->id.len <= HOSTS_TAB_PATH_MAX - 1 && !holds_byte(entry->id, '/'));
}

/* The same line cut out of the file: the same answer, and nothing left. */
static void
check_alone(struct wire_span line, enum wire_status want, const struct hosts_tab_entry *entry)
{
	const uint8_t *src = line.data;
	const uint8_t *end = line.data + line.len;
	struct hosts_tab_entry alone = { 0 };
	enum wire_status status = hosts_tab_next(&alone, &src, end);

	if (line.len == 0) {
		must(status == WIRE_MORE && want == WIRE_SKIP);
		return;
	}
	must(status == want && src == end);
	must(alone.id.data == entry->id.data && alone.id.len == entry->id.len);
	must(alone.address.data == entry->address.data && alone.address.len == entry->address.len);
}

/* One call at *src; returns false at the end of what can be read. */
static bool
step(const uint8_t **src, const uint8_t *end)
{
	const uint8_t *before = *src;
	struct hosts_tab_entry entry = { 0 };
	enum wire_status status = hosts_tab_next(&entry, src, end);

	if (status == WIRE_MORE || status == WIRE_BAD_LONG) {
		must(*src == before);
		must(status == WIRE_BAD_LONG ? end - before > HOSTS_TAB_LINE_MAX : before == end);
		return false;
	}
	must(*src > before && *src <= end);
	bool lf = (*src)[-1] == '\n';
	must(lf || *src == end);
	struct wire_span line = wire_span(before, (size_t)(*src - before) - lf);
	must(line.len <= HOSTS_TAB_LINE_MAX && !holds_byte(line, '\n'));
	if (status == WIRE_OK || status == WIRE_BAD_ID)
		check_entry(&entry, status, line);
	else
		must((status == WIRE_SKIP || status == WIRE_BAD_FORM) && entry.id.data == NULL);
	check_alone(line, status, &entry);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *src = data;

	while (step(&src, data + size))
		;
	return 0;
}
