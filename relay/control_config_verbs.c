/*
 * control_config_verbs.c - the verbs of the configuration and of the relay as a whole: config
 * check, show and reload, log level, stop.
 */
#include "relay/control_call.h"

#include "relay/config.h"
#include "relay/control.h"
#include "relay/control_apply.h"
#include "relay/control_changes.h"
#include "relay/control_server.h"
#include "relay/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHOW_MAX = 3 * 1024 * 1024 + 512 * 1024, /* bytes: a frame takes them */
};

/* What was read, what it changes and what is wrong with it. */
static void
describe(struct control_call *call, const struct control_candidate *candidate,
	 const struct report *report, Relay__Control__Reply *reply)
{
	relay__control__reply__init(reply);
	control_add_findings(call, reply, report);
	reply->changes = control_changes(call, candidate);
	if (reply->changes != NULL)
		reply->body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
}

/*
 * Reads the configuration once, and answers for what was read: files that change meanwhile are not
 * looked at again.
 */
static void
read_configuration(struct control_call *call, bool take)
{
	static struct report report;
	static struct control_candidate candidate;
	struct control *control = call->control;
	Relay__Control__Reply reply;

	memset(&report, 0, sizeof report);
	bool good = control_read(control, NULL, &candidate, &report);
	if (good)
		describe(call, &candidate, &report, &reply);
	if (take)
		control_load_end(control, good ? &candidate : NULL, &report);
	else if (good)
		control_candidate_fini(&candidate);
	if (good && take && reply.changes != NULL)
		reply.changes->applied = true;
	if (!good)
		control_answer_refused(call, &report);
	else if (take)
		control_answer_when_told(call, &reply);
	else
		control_answer(call, &reply);
	report_fini(&report);
}

/* --- config ----------------------------------------------------------------------------------- */

void
control_do_config_check(struct control_call *call)
{
	read_configuration(call, false);
}

void
control_do_config_reload(struct control_call *call)
{
	read_configuration(call, !call->request->dry_run);
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

	if (!call->control->loaded) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "nothing could be read since the control process was started "
				     "again: config check says why");
		return;
	}
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

	if (!call->request->dry_run && channel_send(call->control->keeper, &message, -1) != 0) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "the keeper cannot be told now");
		return;
	}
	/* Who waits is answered at the end (control_calls_stop()). */
	if (call->request->dry_run || call->request->wait_ms == 0)
		control_answer_ok(call);
}
