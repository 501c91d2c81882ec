/*
 * ctl_table.h - replies as people read them: aligned tables for lists, `name  value` lines for
 * single things.
 *
 * Columns and units come from the fields: names that end in _us are times, bytes and memory are
 * bytes, histograms are p50 / p90 / p99.  Nothing of the daemon's reaches the output uncleaned, but
 * for the bytes of a Text that goes into a file or pipe.
 */
#ifndef RELAY_CTL_TABLE_H
#define RELAY_CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "control.pb-c.h"

/*
 * The body of a reply to `verb`: `hosts show` shows as lines what `hosts list` shows as a table.
 * `width` is that of the terminal: what finds no room there is left out, and standard error says
 * so; 0 = a file or pipe, which gets all.
 */
void ctl_table_print(FILE *out, const Relay__Control__Reply *reply, const char *verb, size_t width);

/* One line for each, but for what the reply's error says itself. */
void ctl_table_findings(FILE *out, const Relay__Control__Reply *reply);
void ctl_table_event(FILE *out, const Relay__Control__Event *event);

#endif
