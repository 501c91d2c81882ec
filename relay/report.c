/*
 * report.c - collects findings about the configuration, in the order in which they were made.
 *
 * Never prints of its own accord and never fails: without memory for an entry it is still counted.
 * Owns the copies of file names and texts.
 */
#include "relay/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *
report_severity_text(enum report_severity severity)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		REPORT_SEVERITIES(X)
#undef X
	};
	return texts[severity];
}

static void
entry_free(struct report_entry *entry)
{
	free(entry->file);
	free(entry->text);
	*entry = (struct report_entry){ .severity = REPORT_WARNING };
}

/* A place for the entry, emptied, or NULL. */
static struct report_entry *
find_room(struct report *report, enum report_severity severity)
{
	if (report->count < REPORT_MAX)
		return &report->entries[report->count++];

	report->dropped++;
	if (severity != REPORT_FATAL)
		return NULL;
	for (size_t i = report->count; i-- > 0;) {
		if (report->entries[i].severity != REPORT_FATAL) {
			entry_free(&report->entries[i]);
			return &report->entries[i];
		}
	}
	return NULL;
}

static char *
printable_copy(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return copy;
}

void
report_add(struct report *report, enum report_severity severity, const char *file, unsigned line,
	   const char *format, ...)
{
	char text[REPORT_TEXT_MAX];
	va_list args;

	report->totals[severity]++;
	struct report_entry *entry = find_room(report, severity);
	if (entry == NULL)
		return;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	*entry = (struct report_entry){
		.severity = severity,
		.line = line,
		.file = file != NULL ? printable_copy(file) : NULL,
		.text = printable_copy(text),
	};
}

void
report_print(FILE *out, const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct report_entry *entry = &report->entries[i];

		if (entry->file != NULL)
			fprintf(out, "%s:", entry->file);
		if (entry->line != 0)
			fprintf(out, "%u:", entry->line);
		fprintf(out, "%s%s: %s\n", entry->file != NULL ? " " : "",
			report_severity_text(entry->severity),
			entry->text != NULL ? entry->text : "out of memory");
	}
	if (report->dropped > 0)
		fprintf(out, "and %zu more\n", report->dropped);
}

void
report_fini(struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		entry_free(&report->entries[i]);
	*report = (struct report){ .count = 0 };
}
