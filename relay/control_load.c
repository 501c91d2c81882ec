/*
 * control_load.c - one way for every change of the configuration: read all, compare, take over what
 * differs.  SIGHUP, watched files, `hosts diff` and `hosts apply` differ only in where the table of
 * hosts is from and in how far they go.
 *
 * What is refused changes nothing.  Owns nothing: the candidate is the caller's until it is taken.
 */
#include "relay/control_load.h"

#include "relay/control_server.h"
#include "relay/control_apply.h"
#include "relay/hosts_table.h"
#include "relay/log.h"
#include "relay/storage.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
keep_text(char **text, const char *started)
{
	free(*text);
	*text = started == NULL ? NULL : strdup(started);
	return *text != NULL || started == NULL;
}

/* What cannot change while running keeps the value that it was started with. */
static bool
keep_started(struct control *control, struct config *config)
{
	const struct config *started = control->options->started;

	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		if (!setting_section_is_single(setting->section) ||
		    setting->apply != SETTING_RESTART)
			continue;
		struct setting_value value = setting_load(setting, &started->relay);
		if (!setting_store(setting, &config->relay, value))
			return false;
	}
	return keep_text(&config->daemons_dir, started->daemons_dir);
}

static void
log_report(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct report_entry *entry = &report->entries[i];
		enum log_level level = entry->severity == REPORT_WARNING ? LOG_WARNING : LOG_ERROR;
		const char *file = entry->file == NULL ? "-" : entry->file;
		const char *text = entry->text == NULL ? "out of memory" : entry->text;
		if (entry->line != 0)
			log_line(level, NULL, "%s:%u: %s", file, entry->line, text);
		else
			log_line(level, NULL, "%s: %s", file, text);
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Against what was started, so that a setting that waits for a restart is named each time. */
static bool
name_restarts(struct control *control, struct control_candidate *candidate)
{
	struct config_diff diff = { 0 };

	if (!config_diff_make(&diff, control->options->started, &candidate->next))
		return false;
	config_diff_refusal(&diff, candidate->restart, sizeof candidate->restart);
	config_diff_free(&diff);
	return true;
}

/* What is bound stays bound: without keys it would be open to anybody until the restart. */
static bool
keeps_seal(const struct control *control, const struct config *next, struct report *report)
{
	const struct relay_settings *started = &control->options->started->relay;

	if (started->datagram_listen == NULL || started->datagram_keys == NULL ||
	    next->keys != NULL)
		return true;
	report_add(report, REPORT_FATAL, NULL, 0,
		   "datagram.keys: taking the keys away needs a restart");
	return false;
}

bool
control_read(struct control *control, const struct config_table *table,
	     struct control_candidate *candidate, struct report *report)
{
	const char *state_dir = control->options->started->relay.state_dir;
	struct config_source source = *control->options->source;

	memset(candidate, 0, sizeof *candidate);
	if (!control->loaded)
		hosts_accepted_read(&control->accepted_saved, state_dir, report);
	source.table = table;
	source.state_dir = state_dir;
	source.applied = control_apply_covers(control);
	source.accepted = control->loaded ? &control->config.accepted : &control->accepted_saved;
	if (!config_load(&candidate->next, &source, report))
		return false;
	if (!keeps_seal(control, &candidate->next, report)) {
		config_free(&candidate->next);
		return false;
	}
	if (name_restarts(control, candidate) && keep_started(control, &candidate->next) &&
	    config_diff_make(&candidate->diff, &control->config, &candidate->next))
		return true;
	config_free(&candidate->next);
	report_add(report, REPORT_FATAL, NULL, 0, "out of memory");
	return false;
}

void
control_candidate_fini(struct control_candidate *candidate)
{
	config_diff_free(&candidate->diff);
	config_free(&candidate->next);
}

/* --- taking over ------------------------------------------------------------------------------ */

/* The keeper's clock; it reads no configuration while it runs. */
static void
tell_stop_timeout(struct control *control)
{
	struct channel_message message = { .type = CHANNEL_STOP_TIMEOUT,
					   .stop = { control->config.relay.stop_timeout_ms } };

	channel_send(control->keeper, &message, -1);
}

/* The keeper remembers it for the control process after this one. */
static void
next_generation(struct control *control)
{
	struct channel_message message = { .type = CHANNEL_GENERATION,
					   .generation = { ++control->generation } };

	channel_send(control->keeper, &message, -1);
}

int
control_save_accepted(struct control *control, uint64_t token,
		      const struct hosts_accepted *accepted)
{
	char path[PATH_MAX];
	const char *dir = control->options->started->relay.state_dir;
	char *text = malloc(HOSTS_ACCEPTED_MAX);

	if (text == NULL)
		return -ENOMEM;
	int error = dir != NULL && hosts_table_path(path, dir, HOSTS_TABLE_ACCEPTED)
			? storage_save(control->storage, token, path, text,
				       hosts_accepted_format(text, accepted))
			: -ENAMETOOLONG;
	if (error == 0)
		control->accepted_saved = *accepted;
	else
		free(text);
	return error;
}

/*
 * Without a note hosts_file is taken, as ever: it is only needed since something was applied.  A
 * crash before it is written finds hosts_file changed and accepts it once more.
 */
static void
note_accepted(struct control *control)
{
	const struct hosts_accepted *now = &control->config.accepted;

	if ((!now->applied && !control->accepted_saved.applied) ||
	    hosts_accepted_same(now, &control->accepted_saved))
		return;
	int error = control_save_accepted(control, CONTROL_SAVE_NOTE, now);
	if (error != 0)
		control_on_note_saved(control, error);
}

void
control_on_note_saved(struct control *control, int error)
{
	if (error == 0)
		return;
	log_error(NULL, "%s/%s cannot be written: %s; the next start may take another table",
		  control->options->started->relay.state_dir, HOSTS_TABLE_ACCEPTED,
		  strerror(-error));
	/* No such note: the next change writes it again. */
	control->accepted_saved = (struct hosts_accepted){ .applied = true };
}

static void
log_taken(struct control *control, const struct config_diff *diff, bool source_changed)
{
	char text[CONFIG_DIFF_TEXT_MAX];

	if (control->loaded)
		config_diff_summary(diff, text, sizeof text);
	else
		snprintf(text, sizeof text, "%zu hosts", control->config.host_count);
	log_info(NULL, "configuration: %s", text);
	if (source_changed)
		log_info(NULL, "the table of hosts in force is %s (%s)", control->config.hosts_path,
			 hosts_accepted_source(&control->config.accepted));
}

void
control_take(struct control *control, struct control_candidate *candidate)
{
	struct config before = control->config;
	bool source_changed = candidate->next.accepted.applied != before.accepted.applied;

	if (candidate->restart[0] != '\0')
		log_error(NULL, "%s; until then the old value stays", candidate->restart);
	/* The diff refers to both as long as it is used. */
	candidate->diff.before = &before;
	control->config = candidate->next;
	if (!control->loaded || !config_diff_is_empty(&candidate->diff))
		next_generation(control);
	control->loaded_us = control_now_us();
	control_credentials_apply(control);
	control_tickets_apply(control);
	control_gateways_apply(control);
	control_hosts_apply(control, &candidate->diff);
	control_services_apply(control);
	control_messages_apply(control);
	control_credentials_settle(control);
	log_taken(control, &candidate->diff, source_changed);
	note_accepted(control);
	config_diff_free(&candidate->diff);
	config_free(&before);
	candidate->next = (struct config){ .hosts = NULL };
	tell_stop_timeout(control);
	control_server_configure(control->server, &control->config.relay);
	if (!control->loaded) {
		control->loaded = true;
		channel_send(control->keeper,
			     &(struct channel_message){ .type = CHANNEL_SYNC_BEGIN }, -1);
	}
	control_pump(control);
}

void
control_count_load(struct control *control, bool good)
{
	control->last_load_us = control_now_us();
	control->loads++;
	control->last_load_ok = good;
	control->loads_refused += !good;
	if (good)
		control_event(control, "reload", NULL, "generation %llu",
			      (unsigned long long)control->generation);
	else
		control_event(control, "refused", NULL, "the configuration was refused");
}

void
control_load_end(struct control *control, struct control_candidate *candidate,
		 const struct report *report)
{
	log_report(report);
	if (candidate != NULL)
		control_take(control, candidate);
	else
		log_error(NULL, "configuration refused; %s",
			  control->loaded ? "the one in force stays" : "nothing is served from it");
	control_count_load(control, candidate != NULL);
}

bool
control_load(struct control *control)
{
	static struct report report;
	static struct control_candidate candidate;

	memset(&report, 0, sizeof report);
	bool good = control_read(control, NULL, &candidate, &report);
	control_load_end(control, good ? &candidate : NULL, &report);
	report_fini(&report);
	return good;
}
