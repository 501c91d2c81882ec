/*
 * metrics_table.c - see metrics_table.h.
 */
#include "relay/metrics_table.h"

#include "relay/metrics_family.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OTHER "other"
/* Each byte of a value may be escaped. */
#define LABEL_MAX (sizeof "certificate=\"\"" + 2 * (size_t)METRICS_TABLE_NAME)

/* --- rows ------------------------------------------------------------------------------------- */

void
metrics_table_init(struct metrics_table *table)
{
	metrics_text_init(&table->labels, METRICS_TABLE_MAX * LABEL_MAX);
	table->count = 0;
}

void
metrics_table_fini(struct metrics_table *table)
{
	metrics_text_fini(&table->labels);
}

static bool
has_label(const struct metrics_table *table, size_t at, size_t len)
{
	const char *bytes = table->labels.bytes;

	for (size_t i = 0; i < table->count; i++) {
		const struct metrics_table_row *row = &table->row[i];
		if (row->label_len == len && memcmp(bytes + row->label_at, bytes + at, len) == 0)
			return true;
	}
	return false;
}

void
metrics_table_add(struct metrics_table *table, const char *name, const char *value, const void *of)
{
	size_t at = table->labels.len;

	if (table->count == METRICS_TABLE_MAX ||
	    (name != NULL && strlen(value) > METRICS_TABLE_NAME))
		return;
	if (name != NULL)
		metrics_text_put_label(&table->labels, name, value);
	size_t len = table->labels.len - at;
	if (len > 0 && has_label(table, at, len))
		table->labels.len = at;
	else
		table->row[table->count++] =
		    (struct metrics_table_row){ .of = of, .label_at = at, .label_len = len };
}

void
metrics_table_add_worker(struct metrics_table *table, uint32_t number, const void *of)
{
	char text[sizeof "4294967295"];

	snprintf(text, sizeof text, "%" PRIu32, number);
	metrics_table_add(table, "worker", text, of);
}

/* --- samples ---------------------------------------------------------------------------------- */

static void
put_series(struct metrics_text *text, const struct metrics_table *table,
	   const struct metrics_table_row *row, const char *name, const char *label,
	   const char *value)
{
	metrics_text_put(text, name);
	if (row->label_len > 0) {
		metrics_text_put(text, "{");
		metrics_text_put_bytes(text, table->labels.bytes + row->label_at, row->label_len);
	}
	if (label != NULL) {
		metrics_text_put(text, row->label_len > 0 ? "," : "{");
		metrics_text_put_label(text, label, value);
	}
	metrics_text_put(text, row->label_len > 0 || label != NULL ? "} " : " ");
}

void
metrics_table_sample(struct metrics_text *text, const struct metrics_table *table,
		     const struct metrics_table_row *row, const char *name, const char *label,
		     const char *value, uint64_t number)
{
	put_series(text, table, row, name, label, value);
	metrics_end_number(text, number);
}

static void
write_member(struct metrics_text *text, const struct metrics_table *table,
	     const struct metrics_member *member)
{
	metrics_family(text, member->name, member->type, member->help);
	for (size_t i = 0; i < table->count; i++) {
		uint64_t number;

		memcpy(&number, (const char *)table->row[i].of + member->offset, sizeof number);
		put_series(text, table, &table->row[i], member->name, NULL, NULL);
		if (member->is_us)
			metrics_end_seconds(text, number);
		else
			metrics_end_number(text, number);
	}
}

void
metrics_table_write(struct metrics_text *text, const struct metrics_table *table,
		    const struct metrics_member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		write_member(text, table, &members[i]);
}

/* Its place; behind the last word: it is none of them. */
static size_t
find_word(const char *const *words, size_t count, const char *word)
{
	size_t at = 0;

	while (at < count && strcmp(words[at], word) != 0)
		at++;
	return at;
}

void
metrics_table_set(struct metrics_text *text, const struct metrics_table *table,
		  const struct metrics_table_row *row, const char *name, const char *label,
		  const char *const *words, size_t word_count,
		  Relay__Control__Reason *const *counts, size_t count)
{
	uint64_t numbers[METRICS_SET_MAX + 1] = { 0 };

	assert(word_count <= METRICS_SET_MAX);
	for (size_t i = 0; i < count; i++)
		numbers[find_word(words, word_count, counts[i]->reason)] += counts[i]->count;
	for (size_t i = 0; i < word_count; i++)
		metrics_table_sample(text, table, row, name, label, words[i], numbers[i]);
	metrics_table_sample(text, table, row, name, label, OTHER, numbers[word_count]);
}
