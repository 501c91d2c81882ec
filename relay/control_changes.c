/*
 * control_changes.c - findings and changes of a configuration as parts of a reply.
 *
 * All of it lives in the call's memory, and is bounded: what is over is counted.
 */
#include "relay/control_changes.h"

#include <string.h>

/* Bytes of the lines of an answer. */
#define LINES_MAX (1024u * 1024)

static Relay__Control__Finding *
finding_of(struct control_call *call, const struct report_entry *entry)
{
	Relay__Control__Finding *finding = control_alloc(call, sizeof *finding);

	if (finding == NULL)
		return NULL;
	relay__control__finding__init(finding);
	finding->severity = control_clean(call, report_severity_text(entry->severity));
	finding->file = control_clean(call, entry->file == NULL ? "" : entry->file);
	finding->line = entry->line;
	finding->text = control_clean(call, entry->text == NULL ? "out of memory" : entry->text);
	return finding->severity == NULL || finding->file == NULL || finding->text == NULL
		   ? NULL
		   : finding;
}

void
control_add_findings(struct control_call *call, Relay__Control__Reply *reply,
		     const struct report *report)
{
	struct report_entry more = { .severity = REPORT_WARNING };
	Relay__Control__Finding **findings =
	    control_alloc(call, (report->count + 1) * sizeof *findings);
	size_t count = 0;

	if (findings == NULL)
		return;
	for (size_t i = 0; i < report->count; i++) {
		findings[count] = finding_of(call, &report->entries[i]);
		count += findings[count] != NULL;
	}
	if (report->dropped > 0) {
		more.text = control_text(call, "and %zu more", report->dropped);
		findings[count] = finding_of(call, &more);
		count += findings[count] != NULL;
	}
	reply->findings = findings;
	reply->n_findings = count;
}

/* As many lines as there is room for. */
static void
add_lines(struct control_call *call, Relay__Control__Changes *changes,
	  const struct control_candidate *candidate)
{
	const struct config_diff *diff = &candidate->diff;
	static char text[CONFIG_DIFF_TEXT_MAX];
	size_t wanted = diff->count - diff->counts[CONFIG_DIFF_UNCHANGED];
	char **lines = control_alloc(call, (wanted + 2) * sizeof *lines);
	size_t room = LINES_MAX;
	size_t count = 0;

	for (size_t i = 0; i < diff->count && lines != NULL && count < wanted; i++) {
		if (diff->entries[i].kind == CONFIG_DIFF_UNCHANGED)
			continue;
		config_diff_text(diff, i, text, sizeof text);
		size_t size = strlen(text) + 1;
		if (size > room)
			break;
		room -= size;
		lines[count] = control_text(call, "%s", text);
		if (lines[count] == NULL)
			break;
		count++;
	}
	if (lines == NULL)
		return;
	if (count < wanted) {
		lines[count] = control_text(call, "and %zu more", wanted - count);
		count += lines[count] != NULL;
	}
	if (candidate->restart[0] != '\0') {
		lines[count] =
		    control_text(call, "%s; until then the old value stays", candidate->restart);
		count += lines[count] != NULL;
	}
	changes->line = lines;
	changes->n_line = count;
}

Relay__Control__Changes *
control_changes(struct control_call *call, const struct control_candidate *candidate)
{
	const struct config_diff *diff = &candidate->diff;
	Relay__Control__Changes *changes = control_alloc(call, sizeof *changes);

	if (changes == NULL)
		return NULL;
	relay__control__changes__init(changes);
	changes->added = diff->counts[CONFIG_DIFF_ADDED];
	changes->removed = diff->counts[CONFIG_DIFF_REMOVED];
	changes->changed = diff->counts[CONFIG_DIFF_CHANGED];
	changes->unchanged = diff->counts[CONFIG_DIFF_UNCHANGED];
	add_lines(call, changes, candidate);
	return changes;
}

static char *
refusal(struct control_call *call, const struct report_entry *fatal)
{
	const char *nothing = "refused; nothing was changed";
	char *text;

	if (fatal == NULL || fatal->text == NULL)
		return control_text(call, "%s", nothing);
	if (fatal->file == NULL)
		text = control_text(call, "%s: %s", nothing, fatal->text);
	else if (fatal->line == 0)
		text = control_text(call, "%s: %s: %s", nothing, fatal->file, fatal->text);
	else
		text = control_text(call, "%s: %s:%u: %s", nothing, fatal->file, fatal->line,
				    fatal->text);
	return text == NULL ? NULL : control_clean(call, text);
}

/* What is wrong, and where: the first thing that was fatal; the rest is in the findings. */
void
control_answer_refused(struct control_call *call, const struct report *report)
{
	Relay__Control__Reply reply;
	const struct report_entry *fatal = NULL;

	for (size_t i = 0; i < report->count && fatal == NULL; i++) {
		if (report->entries[i].severity == REPORT_FATAL)
			fatal = &report->entries[i];
	}
	relay__control__reply__init(&reply);
	control_add_findings(call, &reply, report);
	reply.code = RELAY__CONTROL__CODE__FAILED;
	reply.error = refusal(call, fatal);
	control_answer(call, &reply);
}
