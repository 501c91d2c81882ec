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

/*
 * Reads it all, what it would change and what is wrong with it.  False: it is refused, and that was
 * answered.
 */
static bool
check_configuration(struct control_call *call, Relay__Control__Reply *reply)
{
	static struct report report;
	static struct control_candidate candidate;

	memset(&report, 0, sizeof report);
	bool good = control_read(call->control, NULL, &candidate, &report);
	if (good) {
		control_add_findings(call, reply, &report);
		reply->changes = control_changes(call, &candidate);
		if (reply->changes != NULL)
			reply->body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
		control_candidate_fini(&candidate);
	} else {
		control_answer_refused(call, &report);
	}
	report_fini(&report);
	return good;
}

/* --- config ----------------------------------------------------------------------------------- */

void
control_do_config_check(struct control_call *call)
{
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	if (check_configuration(call, &reply))
		control_answer(call, &reply);
}

void
control_do_config_reload(struct control_call *call)
{
	struct control *control = call->control;
	bool dry_run = call->request->dry_run;
	Relay__Control__Reply reply;
	static char refused[] = "the configuration was refused; the one in force stays";

	relay__control__reply__init(&reply);
	if (!check_configuration(call, &reply)) {
		/* That belongs into the log, and to who listens to events. */
		if (!dry_run)
			control_load(control);
		return;
	}
	if (!dry_run) {
		bool applied = control_load(control);
		if (reply.changes != NULL)
			reply.changes->applied = applied;
		reply.code = applied ? RELAY__CONTROL__CODE__OK : RELAY__CONTROL__CODE__FAILED;
		reply.error = applied ? reply.error : refused;
		if (applied) {
			control_answer_when_told(call, &reply);
			return;
		}
	}
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
