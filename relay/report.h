/*
 * report.h - what was found wrong while the configuration was read: a bounded list that the caller
 * prints or sends.
 */
#ifndef RELAY_REPORT_H
#define RELAY_REPORT_H

#include <stddef.h>
#include <stdio.h>

/* Entries kept; what comes after them is only counted. */
#define REPORT_MAX 256
/* Bytes kept of one text. */
#define REPORT_TEXT_MAX 1024

#define REPORT_SEVERITIES(X)                                                     \
	X(REPORT_WARNING, "warning") /* taken as it is */                        \
	X(REPORT_ERROR, "error")     /* one host was left out; the others run */ \
	X(REPORT_FATAL, "fatal")     /* the configuration is refused */

enum report_severity {
#define X(name, text) name,
	REPORT_SEVERITIES(X)
#undef X
	REPORT_SEVERITY_COUNT,
};

struct report_entry {
	enum report_severity severity;
	unsigned line; /* from 1; 0 = none */
	char *file;    /* a path, `-o OPTION` or `$VARIABLE`; NULL = none */
	char *text;
};

/* Zeroed = empty. */
struct report {
	struct report_entry entries[REPORT_MAX];
	size_t count;
	size_t dropped;                       /* entries that found no room */
	size_t totals[REPORT_SEVERITY_COUNT]; /* dropped ones included */
};

const char *report_severity_text(enum report_severity severity);

/*
 * Adds an entry.  Control characters in file and text become '?', so that a hostile file cannot
 * speak to a terminal. When there is no room a fatal entry takes the place of the last that is not
 * fatal.
 */
void report_add(struct report *report, enum report_severity severity, const char *file,
		unsigned line, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* One line per entry: `FILE:LINE: severity: text`. */
void report_print(FILE *out, const struct report *report);

void report_fini(struct report *report);

#endif
