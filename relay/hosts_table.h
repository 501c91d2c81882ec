/*
 * hosts_table.h - which table of hosts is in force: that of hosts_file (hosts.tab), or one that was
 * applied over the control socket and is kept in state_dir.
 *
 * It is the one that was accepted last, also across restarts.  <state_dir>/hosts.accepted says
 * which that was, and what hosts_file held when it was accepted last: hosts_file counts as newer
 * only if its text differs from that.  So a table that is written again unchanged, or touched, does
 * not displace an applied one.  Who removes <state_dir>/hosts.tab returns to hosts_file.
 */
#ifndef RELAY_HOSTS_TABLE_H
#define RELAY_HOSTS_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "relay/config.h"
#include "relay/text_file.h"

/* Below state_dir. */
#define HOSTS_TABLE_APPLIED  "hosts.tab"
#define HOSTS_TABLE_ACCEPTED "hosts.accepted"

/* Room for what hosts_accepted_format() writes. */
#define HOSTS_ACCEPTED_MAX 256

/*
 * Fills hosts, host_count, hosts_path and accepted of an otherwise prepared configuration from the
 * table that is to be in force (or from source->table, as an applied one).  False: there are fatal
 * entries.  A hosts_file that is missing or broken is no fault while an applied table is in force:
 * that one stays.
 */
bool hosts_table_load(struct config *config, const struct config_source *source,
		      struct report *report);

struct hosts_mark hosts_mark_of(const struct text_file *file);

/* Whether it is the same text. */
bool hosts_mark_same(const struct hosts_mark *a, const struct hosts_mark *b);

bool hosts_accepted_same(const struct hosts_accepted *a, const struct hosts_accepted *b);

/* The contents of hosts.accepted; their length. */
size_t hosts_accepted_format(char text[static HOSTS_ACCEPTED_MAX],
			     const struct hosts_accepted *accepted);
/* False: it is not one. */
bool hosts_accepted_parse(struct hosts_accepted *accepted, const char *text);

/* Of `dir`; all zero if there is none, or none that can be read (a warning). */
void hosts_accepted_read(struct hosts_accepted *accepted, const char *dir, struct report *report);

/* "hosts_file" or "applied". */
const char *hosts_accepted_source(const struct hosts_accepted *accepted);

/* <dir>/<name>; false if that is too long. */
bool hosts_table_path(char out[static PATH_MAX], const char *dir, const char *name);

#endif
