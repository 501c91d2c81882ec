/*
 * control_config_verbs.c - the verbs of the configuration and of the relay as a whole: config
 * check, show and reload, log level, stop.
 */
#include "relay/control_call.h"

#include "relay/config.h"
#include "relay/config_diff.h"
#include "relay/control.h"
#include "relay/control_server.h"
#include "relay/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINES_MAX = 1000,                        /* of what would change */
	SHOW_MAX = 3 * 1024 * 1024 + 512 * 1024, /* bytes: a frame takes them */
};

/* --- what was found --------------------------------------------------------------------------- */

static void
fill_findings(struct control_call *call, const struct report *report, Relay__Control__Reply *reply)
{
	Relay__Control__Finding **list = control_alloc(call, report->count * sizeof(void *));

	reply->findings = list;
	for (size_t i = 0; list != NULL && i < report->count; i++) {
		const struct report_entry *entry = &report->entries[i];
		Relay__Control__Finding *finding = control_alloc(call, sizeof *finding);
		if (finding == NULL)
			return;
		relay__control__finding__init(finding);
		finding->severity = control_clean(call, report_severity_text(entry->severity));
		finding->file = control_clean(call, entry->file);
		finding->line = entry->line;
		finding->text =
		    control_clean(call, entry->text == NULL ? "out of memory" : entry->text);
		list[reply->n_findings++] = finding;
	}
}

static void
fill_changes(struct control_call *call, const struct config_diff *diff,
	     Relay__Control__Changes *changes)
{
	char text[CONFIG_DIFF_TEXT_MAX];
	size_t lines = 0;

	changes->added = diff->counts[CONFIG_DIFF_ADDED];
	changes->removed = diff->counts[CONFIG_DIFF_REMOVED];
	changes->changed = diff->counts[CONFIG_DIFF_CHANGED];
	changes->unchanged = diff->counts[CONFIG_DIFF_UNCHANGED];
	changes->line = control_alloc(call, LINES_MAX * sizeof(void *));
	for (size_t i = 0; changes->line != NULL && i < diff->count; i++) {
		if (diff->entries[i].kind == CONFIG_DIFF_UNCHANGED || ++lines >= LINES_MAX)
			continue;
		config_diff_text(diff, i, text, sizeof text);
		char *line = control_clean(call, text);
		if (line != NULL)
			changes->line[changes->n_line++] = line;
	}
	if (changes->line != NULL && lines >= LINES_MAX)
		changes->line[changes->n_line++] =
		    control_text(call, "and %zu more", lines - (LINES_MAX - 1));
}

/* Reads it all and says what is wrong with it and what it would change. */
static void
check_configuration(struct control_call *call, Relay__Control__Reply *reply,
		    Relay__Control__Changes *changes)
{
	static struct report report;
	static char refused[] = "the configuration would be refused";
	struct config next = { 0 };
	struct config_diff diff = { 0 };

	memset(&report, 0, sizeof report);
	bool good = config_load(&next, call->control->options->source, &report);
	fill_findings(call, &report, reply);
	report_fini(&report);
	if (!good) {
		reply->code = RELAY__CONTROL__CODE__FAILED;
		reply->error = refused;
		return;
	}
	if (config_diff_make(&diff, &call->control->config, &next)) {
		fill_changes(call, &diff, changes);
		reply->body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
		reply->changes = changes;
	}
	config_diff_free(&diff);
	config_free(&next);
}

/* --- config ----------------------------------------------------------------------------------- */

void
control_do_config_check(struct control_call *call)
{
	Relay__Control__Reply reply;
	Relay__Control__Changes changes;

	relay__control__reply__init(&reply);
	relay__control__changes__init(&changes);
	check_configuration(call, &reply, &changes);
	control_answer(call, &reply);
}

void
control_do_config_reload(struct control_call *call)
{
	Relay__Control__Reply reply;
	Relay__Control__Changes changes;
	static char refused[] = "the configuration was refused; the one in force stays";

	relay__control__reply__init(&reply);
	relay__control__changes__init(&changes);
	check_configuration(call, &reply, &changes);
	if (!call->request->dry_run && reply.code == RELAY__CONTROL__CODE__OK) {
		changes.applied = control_load(call->control);
		reply.code =
		    changes.applied ? RELAY__CONTROL__CODE__OK : RELAY__CONTROL__CODE__FAILED;
	}
	if (reply.code != RELAY__CONTROL__CODE__OK)
		reply.error = refused;
	control_answer(call, &reply);
}

/* As much as a frame takes, in whole lines. */
static size_t
cut(const char *text, size_t len)
{
	if (len <= SHOW_MAX)
		return len;
	for (len = SHOW_MAX; len > 0 && text[len - 1] != '\n'; len--)
		;
	return len;
}

void
control_do_config_show(struct control_call *call)
{
	Relay__Control__Reply reply;
	Relay__Control__Text text;
	char *printed = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len);

	relay__control__reply__init(&reply);
	relay__control__text__init(&text);
	if (out == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED, "no memory");
		return;
	}
	config_print(out, &call->control->config);
	if (fclose(out) != 0) {
		free(printed);
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED, "no memory");
		return;
	}
	text.text.data = (uint8_t *)printed;
	text.text.len = cut(printed, len);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_TEXT;
	reply.text = &text;
	if (text.text.len < len)
		reply.error = control_text(call, "%zu bytes are left out", len - text.text.len);
	control_answer(call, &reply);
	free(printed);
}

/* --- the relay as a whole --------------------------------------------------------------------- */

static void
answer_text(struct control_call *call, const char *line)
{
	Relay__Control__Reply reply;
	Relay__Control__Text text;
	char *copy = control_alloc(call, strlen(line) + 2);

	relay__control__reply__init(&reply);
	relay__control__text__init(&text);
	if (copy != NULL) {
		memcpy(copy, line, strlen(line));
		copy[strlen(line)] = '\n';
		text.text.data = (uint8_t *)copy;
		text.text.len = strlen(line) + 1;
	}
	reply.body_case = RELAY__CONTROL__REPLY__BODY_TEXT;
	reply.text = &text;
	control_answer(call, &reply);
}

void
control_do_log_level(struct control_call *call)
{
	struct channel_message message = { .type = CHANNEL_LOG_LEVEL };
	struct control *control = call->control;
	int level = LOG_ERROR;

	if (call->request->n_arguments == 0) {
		answer_text(call, log_level_text(log_level()));
		return;
	}
	while (level <= LOG_DEBUG &&
	       strcmp(log_level_text((enum log_level)level), call->request->arguments[0]) != 0)
		level++;
	if (level > LOG_DEBUG) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "the levels are error, warning, info and debug");
		return;
	}
	if (!call->request->dry_run) {
		message.level.level = (enum log_level)level;
		log_set_level(message.level.level);
		channel_send(control->keeper, &message, -1);
		for (uint32_t i = 0; i < control->options->worker_count; i++) {
			if (control->workers[i].channel != NULL)
				channel_send(control->workers[i].channel, &message, -1);
		}
	}
	answer_text(call, log_level_text((enum log_level)level));
}

void
control_do_stop(struct control_call *call)
{
	struct channel_message message = { .type = CHANNEL_STOP };

	if (!call->request->dry_run)
		channel_send(call->control->keeper, &message, -1);
	/* Who waits is answered at the end (control_calls_stop()). */
	if (call->request->dry_run || call->request->wait_ms == 0)
		control_answer_ok(call);
}
