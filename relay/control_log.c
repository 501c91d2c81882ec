/*
 * control_log.c - what the processes say, on standard error and in the legacy files.  Writing is
 * the storage thread's.
 */
#include "relay/control.h"
#include "relay/legacy_log.h"
#include "relay/log.h"
#include "relay/storage.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Room for one row of the status file. */
#define STATUS_ROW_MAX (HOST_ID_MAX + 2 * CONTROL_TEXT_MAX + 128)

void
control_set_text(struct control_text *to, const char *text)
{
	to->at = time(NULL);
	snprintf(to->text, sizeof to->text, "%s", text);
}

static struct legacy_log_text
legacy_text(const struct control_text *text)
{
	return (struct legacy_log_text){ .at = text->at, .text = text->text };
}

void
control_log(struct control *control, const char *who, pid_t pid, enum log_level level,
	    const char *host, const char *text)
{
	char line[LEGACY_LOG_LINE_MAX];
	struct control_host *about = NULL;

	if (host != NULL && host[0] != '\0')
		about = control_host_by_id(control, host);
	control_set_text(about != NULL ? &about->last_log : &control->last_log, text);
	if (who != NULL)
		log_write(who, level, host, text);
	if (control->daemons_dir == NULL)
		return;
	const struct control_text *status = about != NULL ? &about->status : &control->status;
	size_t len =
	    legacy_log_line(line, sizeof line, time(NULL), pid,
			    about != NULL ? about->id : "PARENT", legacy_text(status), text);
	storage_log(control->storage, line, len); /* what finds no room is counted there */
}

/* The worker that serves it first. */
static pid_t
pid_of(const struct control *control, const struct control_host *host)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (host->homes & (1ull << i))
			return control->workers[i].pid;
	}
	return 0;
}

void
control_write_status(struct control *control)
{
	char path[PATH_MAX];
	size_t rows = 1;
	time_t now = time(NULL);

	if (control->config.doc_root == NULL)
		return;
	for (uint32_t i = 0; i < control->hosts_cap; i++)
		rows += control->hosts[i] != NULL;
	size_t size = (rows + 1) * STATUS_ROW_MAX;
	char *text = malloc(size);
	if (text == NULL) {
		log_error(NULL, "no memory for the status file");
		return;
	}
	size_t len = legacy_log_status_head(text, size, now, control->options->keeper_pid);
	len +=
	    legacy_log_status_row(text + len, size - len, control->options->keeper_pid, "PARENT",
				  legacy_text(&control->status), legacy_text(&control->last_log));
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		const struct control_host *host = control->hosts[i];
		if (host != NULL)
			len += legacy_log_status_row(text + len, size - len, pid_of(control, host),
						     host->id, legacy_text(&host->status),
						     legacy_text(&host->last_log));
	}
	snprintf(path, sizeof path, "%s/lon-status/loncstatus.txt", control->config.doc_root);
	int error = storage_replace(control->storage, path, text, len);
	if (error == 0)
		return; /* the text went with it */
	free(text);
	log_error(NULL, "the status file cannot be written: %s", strerror(-error));
}
