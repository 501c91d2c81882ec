/*
 * control_apply.c - `hosts diff` and `hosts apply`: a table of hosts that the operator sent.
 *
 *   checked -> the table is on the disk -> so is the note that it was accepted -> in force -> told
 *
 * The storage thread writes, whole files only: whenever the process ends, the old or the new table
 * is there, and the new one is answered for only when a restart would take it too.  One is under
 * way at a time; it goes on when its caller leaves.  What then is not taken over after all is taken
 * back from the disk.  Owns a copy of the table, and of the applied one before, until then.
 */
#include "relay/control_apply.h"

#include "relay/control_changes.h"
#include "relay/control_load.h"
#include "relay/hosts_table.h"
#include "relay/log.h"
#include "relay/storage.h"
#include "relay/text_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What findings call a table that was sent. */
#define SENT "the table"

struct control_apply {
	struct control_call *call; /* NULL: it left */
	char *bytes;
	size_t len;
	uint64_t if_generation;         /* 0: any */
	struct text_file before;        /* the applied table that is written over; may be empty */
	struct hosts_accepted accepted; /* before anything could be read: what the note said */
};

/* --- looking ---------------------------------------------------------------------------------- */

static void
make_reply(struct control_call *call, Relay__Control__Reply *reply, const struct report *report,
	   Relay__Control__Changes *changes)
{
	relay__control__reply__init(reply);
	control_add_findings(call, reply, report);
	reply->changes = changes;
	if (changes != NULL)
		reply->body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
}

/*
 * A table without any host is one that was cut off on its way, or the wrong file: what was sent
 * does not end every host.  That takes an empty hosts_file, which somebody has to write.
 */
static bool
read_table(struct control *control, const void *bytes, size_t len,
	   struct control_candidate *candidate, struct report *report)
{
	struct config_table table = { .bytes = bytes, .len = len, .name = SENT };

	if (!control_read(control, &table, candidate, report))
		return false;
	if (candidate->next.host_count > 0)
		return true;
	control_candidate_fini(candidate);
	report_add(report, REPORT_FATAL, SENT, 0, "it has no usable host");
	return false;
}

/* Answers with what the table would change.  False: it is refused, and that was answered. */
static bool
check(struct control_call *call, bool answer)
{
	static struct report report;
	static struct control_candidate candidate;
	const ProtobufCBinaryData *body = &call->request->body;
	Relay__Control__Reply reply;

	memset(&report, 0, sizeof report);
	bool good = read_table(call->control, body->data, body->len, &candidate, &report);
	if (good && answer) {
		make_reply(call, &reply, &report, control_changes(call, &candidate));
		control_answer(call, &reply);
	} else if (!good) {
		control_answer_refused(call, &report);
	}
	if (good)
		control_candidate_fini(&candidate);
	report_fini(&report);
	return good;
}

void
control_do_hosts_diff(struct control_call *call)
{
	check(call, true);
}

/* --- applying --------------------------------------------------------------------------------- */

static void
apply_end(struct control *control)
{
	struct control_apply *apply = control->apply;

	if (apply->call != NULL) {
		apply->call->gone = NULL;
		apply->call->due = NULL;
		apply->call->state = NULL;
	}
	free(apply->bytes);
	text_file_free(&apply->before);
	free(apply);
	control->apply = NULL;
}

/* Of a copy: the storage frees what it writes. */
static int
save(struct control *control, enum control_save token, const char *path, const void *bytes,
     size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, bytes, len);
	int error = storage_save(control->storage, token, path, copy, len);
	if (error != 0)
		free(copy);
	return error;
}

/*
 * The next start is to take what is in force now, not what was sent.  Nobody waits for it: to end
 * before it is written is to end a moment earlier.
 */
static void
put_back(struct control *control)
{
	struct control_apply *apply = control->apply;
	const char *dir = control->options->started->relay.state_dir;
	const struct hosts_accepted *in_force =
	    control->loaded ? &control->config.accepted : &apply->accepted;
	char path[PATH_MAX];
	int error = 0;

	if (in_force->applied && apply->before.data != NULL &&
	    hosts_table_path(path, dir, HOSTS_TABLE_APPLIED)) {
		error =
		    save(control, CONTROL_SAVE_BACK, path, apply->before.data, apply->before.len);
		if (error == 0) {
			control->apply_back = apply->before;
			apply->before.data = NULL;
		}
	}
	if (error == 0 && !hosts_accepted_same(in_force, &control->accepted_saved))
		error = control_save_accepted(control, CONTROL_SAVE_NOTE, in_force);
	if (error != 0)
		control_on_note_saved(control, error);
}

const struct text_file *
control_apply_covers(const struct control *control)
{
	if (control->apply_back.data != NULL)
		return &control->apply_back;
	return control->apply != NULL && control->apply->before.data != NULL
		   ? &control->apply->before
		   : NULL;
}

static void
apply_failed(struct control *control, const char *what, int error)
{
	struct control_call *call = control->apply->call;

	log_error(NULL, "hosts apply: %s: %s; the table in force stays", what, strerror(-error));
	apply_end(control);
	if (call != NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "nothing was changed: %s: %s", what, strerror(-error));
}

static void
on_gone(struct control_call *call)
{
	struct control_apply *apply = call->state;

	apply->call = NULL;
}

/* It goes on; its caller asked not to wait so long. */
static void
on_due(struct control_call *call)
{
	on_gone(call);
	call->gone = NULL;
	control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
			     "the table is still being written");
}

/* Whether hosts_file is what would be written: the two tables must be two files. */
static bool
is_hosts_file(const struct control *control, const char *state_dir)
{
	char dir[PATH_MAX];
	struct stat a;
	struct stat b;

	if (control->config.relay.hosts_file == NULL)
		return false; /* nothing could be read yet */
	snprintf(dir, sizeof dir, "%s", control->config.relay.hosts_file);
	char *slash = strrchr(dir, '/');
	if (slash == NULL || strcmp(slash + 1, HOSTS_TABLE_APPLIED) != 0)
		return false;
	*slash = '\0';
	return stat(dir[0] == '\0' ? "/" : dir, &a) == 0 && stat(state_dir, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* False: answered. */
static bool
check_place(struct control_call *call, char path[static PATH_MAX])
{
	const struct control *control = call->control;
	const char *dir = control->options->started->relay.state_dir;

	if (dir == NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "there is no directory to keep the table in: set "
				     "relay.state_dir (or $STATE_DIRECTORY)");
	else if (is_hosts_file(control, dir))
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "relay.state_dir is the directory of relay.hosts_file, which "
				     "would be written over: set another one");
	else if (!hosts_table_path(path, dir, HOSTS_TABLE_APPLIED))
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "relay.state_dir is too long");
	else if (control->apply != NULL || control->apply_back.data != NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "another table is being applied");
	else
		return true;
	return false;
}

static struct control_apply *
apply_new(struct control_call *call)
{
	struct control_apply *apply = calloc(1, sizeof *apply);

	if (apply == NULL)
		return NULL;
	apply->call = call;
	apply->len = call->request->body.len;
	apply->bytes = malloc(apply->len + 1);
	if (apply->bytes == NULL) {
		free(apply);
		return NULL;
	}
	if (apply->len > 0)
		memcpy(apply->bytes, call->request->body.data, apply->len);
	apply->if_generation = call->request->if_generation;
	apply->accepted = call->control->accepted_saved;
	call->state = apply;
	call->gone = on_gone;
	call->due = on_due;
	return apply;
}

/* What is there now, if a start would take it. */
static void
keep_before(struct control *control, const char *path)
{
	struct report report = { .count = 0 };
	bool applied =
	    control->loaded ? control->config.accepted.applied : control->accepted_saved.applied;

	if (applied)
		(void)text_file_read(&control->apply->before, path, &report);
	report_fini(&report);
}

void
control_do_hosts_apply(struct control_call *call)
{
	struct control *control = call->control;
	char path[PATH_MAX];
	bool dry_run = call->request->dry_run;

	if (!check_place(call, path) || !check(call, dry_run) || dry_run)
		return; /* answered: the call is gone */
	control->apply = apply_new(call);
	if (control->apply == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	keep_before(control, path);
	int error =
	    save(control, CONTROL_SAVE_APPLIED, path, control->apply->bytes, control->apply->len);
	if (error != 0)
		apply_failed(control, "the table cannot be written", error);
}

static void
take_conflict(struct control *control)
{
	struct control_call *call = control->apply->call;
	unsigned long long generation = control->generation;

	put_back(control);
	apply_end(control);
	if (call != NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__GENERATION_CONFLICT,
				     "the generation is %llu by now; nothing was done", generation);
}

/* Read once more: while it was written, other files may have changed. */
static void
take_table(struct control *control)
{
	static struct report report;
	static struct control_candidate candidate;
	struct control_apply *apply = control->apply;
	struct control_call *call = apply->call;
	Relay__Control__Changes *changes = NULL;
	Relay__Control__Reply reply;
	char path[PATH_MAX];
	char *kept = NULL;

	if (apply->if_generation != 0 && apply->if_generation != control->generation) {
		take_conflict(control);
		return;
	}
	memset(&report, 0, sizeof report);
	bool good = read_table(control, apply->bytes, apply->len, &candidate, &report);
	if (good &&
	    hosts_table_path(path, control->options->started->relay.state_dir, HOSTS_TABLE_APPLIED))
		kept = strdup(path);
	if (kept != NULL) {
		free(candidate.next.hosts_path);
		candidate.next.hosts_path = kept;
	}
	if (good && call != NULL)
		changes = control_changes(call, &candidate);
	if (good) {
		control_take(control, &candidate);
		control_count_load(control, true);
	} else {
		log_error(NULL, "hosts apply: by now the rest of the configuration is broken: "
				"nothing was changed");
		put_back(control);
	}
	apply_end(control);
	if (call != NULL && !good)
		control_answer_refused(call, &report);
	if (changes != NULL)
		changes->applied = true;
	if (call != NULL && good) {
		make_reply(call, &reply, &report, changes);
		control_answer_when_told(call, &reply);
	}
	report_fini(&report);
}

static void
note_failed(struct control *control, int error)
{
	put_back(control);
	apply_failed(control, "the note of it cannot be written", error);
}

static void
on_table_saved(struct control *control, int error)
{
	struct hosts_accepted accepted = { .applied = true, .file = control->config.accepted.file };

	if (error != 0) {
		apply_failed(control, "the table cannot be written", error);
		return;
	}
	if (hosts_accepted_same(&accepted, &control->accepted_saved)) {
		take_table(control);
		return;
	}
	error = control_save_accepted(control, CONTROL_SAVE_APPLIED_NOTE, &accepted);
	if (error != 0)
		note_failed(control, error);
}

static void
on_applied_note_saved(struct control *control, int error)
{
	control_on_note_saved(control, error);
	if (error != 0)
		note_failed(control, error);
	else
		take_table(control);
}

void
control_on_saved(struct control *control, uint64_t token, int error)
{
	switch ((enum control_save)token) {
	case CONTROL_SAVE_STATUS:
		if (error != 0)
			log_error(NULL, "the status file cannot be written: %s", strerror(-error));
		break;
	case CONTROL_SAVE_NOTE:
		control_on_note_saved(control, error);
		break;
	case CONTROL_SAVE_BACK:
		text_file_free(&control->apply_back);
		if (error != 0)
			log_error(NULL,
				  "hosts apply: the table before cannot be written again: %s; the "
				  "next start may take the one that was sent",
				  strerror(-error));
		break;
	case CONTROL_SAVE_APPLIED:
		on_table_saved(control, error);
		break;
	case CONTROL_SAVE_APPLIED_NOTE:
		on_applied_note_saved(control, error);
		break;
	}
}
