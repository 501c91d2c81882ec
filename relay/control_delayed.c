/*
 * control_delayed.c - delayed messages between the storage thread, which knows the files, and the
 * workers, which know the peers.  One per host at a time.
 *
 *   scan -> a host has something due and is up -> next -> its line goes to a worker -> answered:
 * done | not: fail
 */
#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_apply.h"
#include "relay/control_delayed_verbs.h"
#include "relay/legacy_log.h"
#include "relay/log.h"
#include "relay/storage.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SCAN_EVERY_MS = 60000,
	SCAN_AGAIN_MS = 1000
};

bool
control_delayed_init(struct control *control)
{
	const struct config *started = control->options->started;
	char delayed[PATH_MAX];
	char lonc_log[PATH_MAX];
	char perm_log[PATH_MAX];
	char messages[PATH_MAX];
	struct storage_options options = {
		.delayed_dir = delayed,
		.perm_line = legacy_log_perm_line,
		.messages_bounds = message_bounds_default,
	};

	snprintf(delayed, sizeof delayed, "%s/delayed", started->relay.socket_dir);
	if (started->daemons_dir != NULL) {
		snprintf(lonc_log, sizeof lonc_log, "%s/logs/lonc.log", started->daemons_dir);
		snprintf(perm_log, sizeof perm_log, "%s/logs/lonnet.perm.log",
			 started->daemons_dir);
		options.lonc_log = lonc_log;
		options.perm_log = perm_log;
	}
	if (started->relay.datagram_listen != NULL) {
		snprintf(messages, sizeof messages, "%s/messages.db", started->relay.state_dir);
		options.messages_db = messages;
	}
	return storage_new(&control->storage, &options) == 0;
}

/* --- what the storage knows ------------------------------------------------------------------- */

void
control_delayed_hosts_changed(struct control *control)
{
	control->delayed_hosts_changed = true;
}

static void
send_table(struct control *control)
{
	size_t count = 0;
	struct spool_host *hosts = calloc(control->hosts_cap + 1u, sizeof *hosts);

	if (hosts == NULL)
		return;
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		const struct control_host *host = control->hosts[i];
		if (host == NULL)
			continue;
		hosts[count++] = (struct spool_host){
			.id = host->id,
			.index = host->index,
			.line_max = host->settings.line_max,
		};
	}
	if (storage_hosts(control->storage, hosts, count) == 0) {
		control->delayed_hosts_changed = false;
		control->scan_at = 0;
	}
	free(hosts);
}

void
control_delayed_run(struct control *control, uint64_t now_ms)
{
	if (control->delayed_hosts_changed && control->listed)
		send_table(control);
	if (control->scanning || now_ms < control->scan_at || !control->listed)
		return;
	control->scanning = storage_scan(control->storage) == 0;
	control->scan_at = now_ms + (control->scanning ? SCAN_EVERY_MS : SCAN_AGAIN_MS);
}

uint64_t
control_delayed_deadline(const struct control *control)
{
	return control->scanning || !control->listed ? UINT64_MAX : control->scan_at;
}

/* Another scan may find more after this long. */
static void
scan_within(struct control *control, uint64_t wait_ms)
{
	uint64_t wait = wait_ms < SCAN_AGAIN_MS ? SCAN_AGAIN_MS : wait_ms;
	uint64_t at = child_clock_ms() + (wait < SCAN_EVERY_MS ? wait : SCAN_EVERY_MS);

	if (at < control->scan_at)
		control->scan_at = at;
}

/* --- one host's messages ---------------------------------------------------------------------- */

static void
ask_next(struct control *control, struct control_host *host)
{
	if (host->delayed.state == CONTROL_DELAYED_NONE && host->up != 0 &&
	    !control_host_held(host) && storage_next(control->storage, host->index) == 0)
		host->delayed.state = CONTROL_DELAYED_ASKED;
}

void
control_delayed_host_up(struct control *control, struct control_host *host)
{
	(void)host;
	control->scan_at = 0;
}

/* To the first of its workers that has the peer. */
static bool
send_line(struct control *control, struct control_host *host, const struct spool_entry *entry)
{
	struct channel_message message = {
		.type = CHANNEL_DELAYED,
		.delayed = { .index = host->index, .token = entry->token, .length = entry->len },
	};

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		struct control_worker *worker = &control->workers[i];
		if (!(host->up & (1ull << i)) || worker->channel == NULL ||
		    channel_send(worker->channel, &message, entry->fd) != 0)
			continue;
		host->delayed.state = CONTROL_DELAYED_SENDING;
		host->delayed.worker = i;
		host->delayed.token = entry->token;
		return true;
	}
	return false;
}

/* The index may have become another host's since the storage was asked.  The name is that of the
 * log: made printable. */
static bool
is_for(const struct control_host *host, const char *name)
{
	size_t id_len = strlen(host->id);
	size_t len = strlen(name);

	if (len <= id_len || name[len - id_len - 1] != '.')
		return false;
	for (size_t i = 0; i < id_len; i++) {
		unsigned char c = (unsigned char)host->id[i];
		if (name[len - id_len + i] != (c < 0x20 || c == 0x7f ? '?' : host->id[i]))
			return false;
	}
	return true;
}

static void
on_next(struct control *control, const struct storage_result *result)
{
	const struct spool_entry *entry = &result->next.entry;
	struct control_host *host = control_host_at(control, result->host);

	if (host != NULL && host->delayed.state == CONTROL_DELAYED_ASKED)
		host->delayed.state = CONTROL_DELAYED_NONE;
	switch (result->next.answer) {
	case SPOOL_ENTRY:
		if (host == NULL || host->delayed.state != CONTROL_DELAYED_NONE ||
		    control_host_held(host) || !is_for(host, entry->name) ||
		    !send_line(control, host, entry))
			storage_release(control->storage, entry->token);
		return;
	case SPOOL_SET_ASIDE:
		log_error(host == NULL ? NULL : host->id, "delayed message %s set aside: %s",
			  entry->name, spool_verdict_text(entry->verdict));
		break;
	case SPOOL_TROUBLE:
		log_error(host == NULL ? NULL : host->id, "delayed message %s: %s: %s", entry->name,
			  spool_verdict_text(entry->verdict), strerror(-entry->error));
		break;
	case SPOOL_NONE:
		scan_within(control, entry->wait_ms);
		return;
	case SPOOL_BUSY:
		return; /* asked again when that ends, or after a scan */
	}
	if (host != NULL)
		ask_next(control, host);
}

void
control_on_delayed_done(struct control *control, const struct channel_delayed *message)
{
	struct control_host *host = control_host_at(control, message->index);

	if (host == NULL || host->delayed.state != CONTROL_DELAYED_SENDING ||
	    host->delayed.token != message->token)
		return; /* it was given up in the meantime */
	if (message->answered) {
		/* Its file goes; STORAGE_ENDED asks for the next. */
		host->delayed.state = CONTROL_DELAYED_ENDING;
		storage_done(control->storage, message->token, time(NULL));
		log_info(host->id, "Delayed message delivered");
		return;
	}
	host->delayed.state = CONTROL_DELAYED_NONE;
	storage_fail(control->storage, message->token);
	log_warning(host->id, "Delayed message not answered: it stays and is tried again later");
	ask_next(control, host);
}

/* Whether its bytes reached the peer nobody knows: it stays, and is sent again. */
void
control_delayed_give_up(struct control *control, struct control_host *host)
{
	if (host->delayed.state == CONTROL_DELAYED_SENDING) {
		storage_fail(control->storage, host->delayed.token);
		log_warning(host->id, "Delayed message given up with its worker: it stays and is "
				      "tried again later");
	}
	host->delayed.state = CONTROL_DELAYED_NONE;
}

void
control_delayed_worker_gone(struct control *control, uint32_t worker)
{
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		struct control_host *host = control->hosts[i];
		if (host != NULL && host->delayed.state == CONTROL_DELAYED_SENDING &&
		    host->delayed.worker == worker)
			control_delayed_give_up(control, host);
	}
}

/* --- results ---------------------------------------------------------------------------------- */

static void
count_files(struct control *control, const struct spool_scan *scan)
{
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		if (control->hosts[i] != NULL)
			control->hosts[i]->delayed.files = 0;
	}
	for (size_t i = 0; i < scan->files_count; i++) {
		struct control_host *host = control_host_at(control, scan->files[i].host);
		if (host != NULL)
			host->delayed.files = scan->files[i].files;
	}
}

static void
on_scanned(struct control *control, const struct storage_result *result)
{
	control->scanning = false;
	scan_within(control, result->scan.wait_ms); /* sooner if a host came up meanwhile */
	if (result->error == 0)
		count_files(control, &result->scan);
	for (size_t i = 0; i < result->scan.ready_count; i++) {
		struct control_host *host = control_host_at(control, result->scan.ready[i]);
		if (host != NULL)
			ask_next(control, host);
	}
}

static void
on_notice(const struct storage_result *result)
{
	const char *thing = storage_thing_text(result->notice.thing);
	const char *text = result->notice.text;
	const char *fault = text != NULL ? text : strerror(-result->error);
	const char *state = result->error == 0 ? "in order again" : fault;
	unsigned long long lost = result->notice.lost;
	enum log_level level = result->error == 0 ? LOG_WARNING : LOG_ERROR;

	if (lost > 0)
		log_line(level, NULL, "%s: %s; %llu lines were lost", thing, state, lost);
	else
		log_line(level, NULL, "%s: %s", thing, state);
}

void
control_on_storage(struct control *control)
{
	struct storage_result result;
	struct control_host *host;

	while (storage_take(control->storage, &result)) {
		switch (result.type) {
		case STORAGE_SCANNED:
			on_scanned(control, &result);
			break;
		case STORAGE_NEXT:
			on_next(control, &result);
			break;
		case STORAGE_ENDED:
			host = control_host_at(control, result.host);
			if (host != NULL && host->delayed.state == CONTROL_DELAYED_ENDING) {
				host->delayed.state = CONTROL_DELAYED_NONE;
				if (result.error == 0 && host->delayed.files > 0)
					host->delayed.files--;
				ask_next(control, host);
			}
			break;
		case STORAGE_REPLACED:
			control_on_saved(control, result.token, result.error);
			break;
		case STORAGE_VIEW:
			control_on_delayed_view(control, result.token, result.view);
			break;
		case STORAGE_MESSAGE:
			control_messages_on_view(control, result.token, result.message);
			break;
		case STORAGE_NOTICE:
			on_notice(&result);
			break;
		}
		storage_result_fini(&result);
	}
}
