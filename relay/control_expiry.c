/*
 * control_expiry.c - see control_expiry.h.
 *
 * Asks no worker: what a peer has shown is in the statistics.  Own certificates are as they were
 * when the configuration was read, whatever has become of their files.  Owns nothing.
 */
#include "relay/control_expiry.h"

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/stats.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
	LOOK_MS = 5000,
	TEXT_MAX = PATH_MAX + 100,
};

static const uint64_t second_us = 1000000;
static const uint64_t day_us = UINT64_C(86400) * 1000000;

/* Whether that is soon, and what to say then. */
static bool
describe(const struct control *control, const char *whose, uint64_t expires_us, char text[TEXT_MAX])
{
	uint64_t early_us = control->config.relay.tls_expiry_warn_ms * 1000;
	uint64_t now_us = control_now_us();

	if (early_us == 0 || expires_us > now_us + early_us)
		return false;
	if (expires_us <= now_us)
		snprintf(text, TEXT_MAX, "%s has expired", whose);
	else if (expires_us - now_us < day_us)
		snprintf(text, TEXT_MAX, "%s expires within a day", whose);
	else
		snprintf(text, TEXT_MAX, "%s expires in %" PRIu64 " days", whose,
			 (expires_us - now_us) / day_us);
	return true;
}

/* The same file may belong to several sets. */
static bool
is_first(const struct config *config, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(config->credentials[i].paths[TLS_FILE_CERT],
			   config->credentials[at].paths[TLS_FILE_CERT]) == 0)
			return false;
	return true;
}

static bool
describe_own(const struct control *control, size_t at, char text[TEXT_MAX])
{
	const struct config_credentials *set = &control->config.credentials[at];
	int64_t after = set->found.not_after;
	char whose[PATH_MAX + 20];

	if (!is_first(&control->config, at))
		return false;
	snprintf(whose, sizeof whose, "certificate %s", set->paths[TLS_FILE_CERT]);
	return describe(control, whose, after > 0 ? (uint64_t)after * second_us : 0, text);
}

static bool
describe_peer(const struct control *control, const struct control_host *host, char text[TEXT_MAX])
{
	uint64_t last = 0;
	uint64_t last_seen = 0;

	if (host->settings.tls == HOST_TLS_OFF)
		return false;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;
		uint64_t seen = 0;
		uint64_t expires =
		    stats == NULL ? 0 : stats_peer_expiry(stats, host->index, host->id, &seen);

		if (expires == 0 || seen < last_seen)
			continue;
		last = expires;
		last_seen = seen;
	}
	return last != 0 &&
	       describe(control, "the certificate of its peer", last * second_us, text);
}

void
control_expiry_each(const struct control *control, control_expiry_say *say, void *context)
{
	char text[TEXT_MAX];

	for (size_t i = 0; i < control->config.credential_count; i++) {
		if (describe_own(control, i, text))
			say(context, NULL, text);
	}
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		const struct control_host *host = control->hosts[i];

		if (host != NULL && describe_peer(control, host, text))
			say(context, host->id, text);
	}
}

/* --- once a day ------------------------------------------------------------------------------- */

static void
say_it(struct control *control, const char *host, const char *text)
{
	if (host != NULL)
		log_warning(host, "%s: %s", host, text);
	else
		log_warning(NULL, "%s", text);
	control_event(control, "certificate", host, "%s", text);
}

/* Of the own ones it was said last when the configuration was read, if not since. */
static bool
is_due(uint64_t *said_ms, uint64_t now_ms)
{
	if (*said_ms != 0 && now_ms - *said_ms < day_us / 1000)
		return false;
	*said_ms = now_ms;
	return true;
}

void
control_expiry_run(struct control *control, uint64_t now_ms)
{
	char text[TEXT_MAX];

	if (now_ms < control_expiry_deadline(control))
		return;
	control->expiry.look_at = now_ms + LOOK_MS;
	if (is_due(&control->expiry.own_said_at, now_ms)) {
		for (size_t i = 0; i < control->config.credential_count; i++) {
			if (describe_own(control, i, text))
				say_it(control, NULL, text);
		}
	}
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		struct control_host *host = control->hosts[i];

		if (host != NULL && describe_peer(control, host, text) &&
		    is_due(&host->expiry_said_at, now_ms))
			say_it(control, host->id, text);
	}
}

uint64_t
control_expiry_deadline(const struct control *control)
{
	return control->config.credential_count == 0 ? UINT64_MAX : control->expiry.look_at;
}
