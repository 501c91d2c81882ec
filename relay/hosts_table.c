/*
 * hosts_table.c - chooses the table of hosts, and reads and writes the note of what was accepted.
 *
 * Reads files only; writing them is the storage thread's.  Owns nothing: hosts and path go to the
 * caller's struct config.
 */
#include "relay/hosts_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/hosts_file.h"
#include "relay/permissions.h"

enum outcome {
	OUTCOME_TAKEN,
	OUTCOME_KNOWN, /* the text is one that was accepted before */
	OUTCOME_ABSENT,
	OUTCOME_BROKEN,
};

/* --- marks and notes -------------------------------------------------------------------------- */

struct hosts_mark
hosts_mark_of(const struct text_file *file)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < file->len; i++)
		hash = (hash ^ file->data[i]) * 0x100000001b3u;
	return (struct hosts_mark){ .size = file->len, .hash = hash, .mtime_ns = file->mtime_ns };
}

bool
hosts_mark_same(const struct hosts_mark *a, const struct hosts_mark *b)
{
	return a->size == b->size && a->hash == b->hash;
}

bool
hosts_accepted_same(const struct hosts_accepted *a, const struct hosts_accepted *b)
{
	return a->applied == b->applied && hosts_mark_same(&a->file, &b->file);
}

const char *
hosts_accepted_source(const struct hosts_accepted *accepted)
{
	return accepted->applied ? "applied" : "hosts_file";
}

size_t
hosts_accepted_format(char text[static HOSTS_ACCEPTED_MAX], const struct hosts_accepted *accepted)
{
	int n = snprintf(text, HOSTS_ACCEPTED_MAX,
			 "# Written by relayd: the table of hosts that it accepted last, and what\n"
			 "# hosts_file held when that was accepted last.\n"
			 "table %s\nsize %" PRIu64 "\nmtime %" PRId64 "\nhash %016" PRIx64 "\n",
			 hosts_accepted_source(accepted), accepted->file.size,
			 accepted->file.mtime_ns, accepted->file.hash);

	return (size_t)n;
}

/* The rest of a line behind `key ` at *at, which moves on; NULL if another line is there. */
static const char *
value_of(const char **at, const char *key)
{
	size_t len = strlen(key);
	const char *value = *at + len + 1;

	if (strncmp(*at, key, len) != 0 || (*at)[len] != ' ')
		return NULL;
	const char *end = strchr(value, '\n');
	if (end == NULL)
		return NULL;
	*at = end + 1;
	return value;
}

static bool
number_of(const char **at, const char *key, int base, uint64_t *number)
{
	const char *value = value_of(at, key);
	char *end;

	if (value == NULL || value[0] < '0')
		return false;
	errno = 0;
	*number = strtoull(value, &end, base);
	return errno == 0 && end != value && *end == '\n';
}

/* A file may be older than 1970. */
static bool
time_of(const char **at, const char *key, int64_t *time_ns)
{
	const char *value = value_of(at, key);
	char *end;

	if (value == NULL || (value[0] < '0' && value[0] != '-'))
		return false;
	errno = 0;
	*time_ns = strtoll(value, &end, 10);
	return errno == 0 && end != value && *end == '\n';
}

bool
hosts_accepted_parse(struct hosts_accepted *accepted, const char *text)
{
	*accepted = (struct hosts_accepted){ .applied = false };
	while (*text == '#') {
		text = strchr(text, '\n');
		if (text == NULL)
			return false;
		text++;
	}
	const char *source = value_of(&text, "table");
	if (source == NULL)
		return false;
	accepted->applied = strncmp(source, "applied\n", 8) == 0;
	if ((!accepted->applied && strncmp(source, "hosts_file\n", 11) != 0) ||
	    !number_of(&text, "size", 10, &accepted->file.size) ||
	    !time_of(&text, "mtime", &accepted->file.mtime_ns) ||
	    !number_of(&text, "hash", 16, &accepted->file.hash)) {
		*accepted = (struct hosts_accepted){ .applied = false };
		return false;
	}
	return true;
}

bool
hosts_table_path(char out[static PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX;
}

/* What was found while something was tried; nothing of it is worse than `most`. */
static void
hand_on(struct report *to, struct report *from, enum report_severity most)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct report_entry *entry = &from->entries[i];
		report_add(to, entry->severity < most ? entry->severity : most, entry->file,
			   entry->line, "%s", entry->text == NULL ? "out of memory" : entry->text);
	}
	report_fini(from);
}

void
hosts_accepted_read(struct hosts_accepted *accepted, const char *dir, struct report *report)
{
	struct report found = { .count = 0 };
	struct text_file file;
	char path[PATH_MAX];

	*accepted = (struct hosts_accepted){ .applied = false };
	if (dir == NULL || !hosts_table_path(path, dir, HOSTS_TABLE_ACCEPTED))
		return;
	int error = text_file_read(&file, path, &found);
	if (error == 0 && !hosts_accepted_parse(accepted, (const char *)file.data))
		report_add(&found, REPORT_WARNING, path, 0,
			   "not understood: the hosts are taken from hosts_file");
	text_file_free(&file);
	hand_on(report, &found, REPORT_WARNING);
}

/* --- choosing --------------------------------------------------------------------------------- */

static bool
keep_path(struct config *config, const char *path, struct report *report)
{
	free(config->hosts_path);
	config->hosts_path = strdup(path);
	if (config->hosts_path == NULL)
		report_add(report, REPORT_FATAL, NULL, 0, "out of memory");
	return config->hosts_path != NULL;
}

static enum outcome
try_text(struct config *config, const struct text_file *file, const char *path,
	 struct report *report)
{
	bool good = keep_path(config, path, report) && hosts_file_parse(config, file, path, report);

	return good ? OUTCOME_TAKEN : OUTCOME_BROKEN;
}

/* Takes the file's hosts, unless it has the text that is known (NULL: take any). */
static enum outcome
try_file(struct config *config, const char *path, const struct hosts_mark *known,
	 struct hosts_mark *mark, struct report *report)
{
	struct text_file file;
	enum outcome outcome = OUTCOME_KNOWN;
	int error = text_file_read(&file, path, report);

	if (error != 0)
		return error == -ENOENT ? OUTCOME_ABSENT : OUTCOME_BROKEN;
	permissions_warn_mode(path, file.mode, S_IWGRP | S_IWOTH, report);
	*mark = hosts_mark_of(&file);
	if (known == NULL || !hosts_mark_same(mark, known))
		outcome = try_text(config, &file, path, report);
	text_file_free(&file);
	return outcome;
}

static bool
load_hosts_file(struct config *config, struct report *report)
{
	const char *path = config->relay.hosts_file;

	config->accepted.applied = false;
	enum outcome outcome = try_file(config, path, NULL, &config->accepted.file, report);
	if (outcome == OUTCOME_ABSENT)
		report_add(report, REPORT_FATAL, path, 0, "%s", strerror(ENOENT));
	return outcome == OUTCOME_TAKEN;
}

/* While an applied table is in force: whether hosts_file is a newer one, and good. */
static bool
load_newer(struct config *config, const struct hosts_accepted *accepted, struct report *report)
{
	struct report found = { .count = 0 };
	const char *path = config->relay.hosts_file;
	struct hosts_mark mark = { .size = 0 };
	enum outcome outcome = try_file(config, path, &accepted->file, &mark, &found);

	switch (outcome) {
	case OUTCOME_TAKEN:
		config->accepted = (struct hosts_accepted){ .file = mark };
		break;
	case OUTCOME_KNOWN:
		break;
	case OUTCOME_ABSENT:
		report_add(&found, REPORT_WARNING, path, 0,
			   "not there: the table that was applied stays");
		break;
	case OUTCOME_BROKEN:
		hosts_file_drop(config);
		report_add(&found, REPORT_ERROR, path, 0,
			   "refused: the table that was applied stays");
		break;
	}
	hand_on(report, &found, REPORT_ERROR);
	return outcome == OUTCOME_TAKEN;
}

/* The applied one, or a newer hosts_file. */
static bool
load_applied(struct config *config, const struct config_source *source, const char *dir,
	     const struct hosts_accepted *accepted, struct report *report)
{
	char path[PATH_MAX];
	struct hosts_mark mark;
	enum outcome outcome;

	if (load_newer(config, accepted, report))
		return true;
	if (!hosts_table_path(path, dir, HOSTS_TABLE_APPLIED)) {
		report_add(report, REPORT_FATAL, dir, 0, "state_dir: too long");
		return false;
	}
	outcome = source->applied != NULL ? try_text(config, source->applied, path, report)
					  : try_file(config, path, NULL, &mark, report);
	switch (outcome) {
	case OUTCOME_TAKEN:
		config->accepted = *accepted;
		return true;
	case OUTCOME_ABSENT:
		report_add(report, REPORT_WARNING, path, 0,
			   "the table that was applied is gone: back to hosts_file");
		return load_hosts_file(config, report);
	case OUTCOME_KNOWN:
	case OUTCOME_BROKEN:
		break;
	}
	return false;
}

static bool
load_given(struct config *config, const struct config_table *table,
	   const struct hosts_accepted *accepted, struct report *report)
{
	struct text_file file;

	if (text_file_copy(&file, table->bytes, table->len, table->name, report) != 0)
		return false;
	bool good = keep_path(config, table->name, report) &&
		    hosts_file_parse(config, &file, table->name, report);
	text_file_free(&file);
	config->accepted = (struct hosts_accepted){ .applied = true, .file = accepted->file };
	return good;
}

bool
hosts_table_load(struct config *config, const struct config_source *source, struct report *report)
{
	const char *dir = source->state_dir != NULL ? source->state_dir : config->relay.state_dir;
	struct hosts_accepted accepted;

	if (source->accepted != NULL)
		accepted = *source->accepted;
	else
		hosts_accepted_read(&accepted, dir, report);
	if (source->table != NULL)
		return load_given(config, source->table, &accepted, report);
	if (accepted.applied && dir != NULL)
		return load_applied(config, source, dir, &accepted, report);
	return load_hosts_file(config, report);
}
