/*
 * control_gateways_verbs.c - gateways list, and what `stats` and `health` say of gateways.
 *
 * Reads the workers' memory, asks none of them.  Owns nothing: all is memory of the call.
 */
#include "relay/control_gateways.h"

#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/control_call.h"
#include "relay/control_stats.h"
#include "relay/resolve.h"
#include "relay/setting_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static size_t
open_doors(const struct control_gateway *gateway)
{
	size_t open = 0;

	for (uint32_t i = 0; i < gateway->doors_count; i++)
		open += gateway->doors[i].fd >= 0;
	return open;
}

static const char *
state_of(const struct control_gateway *gateway)
{
	size_t open = open_doors(gateway);

	if (open == 0)
		return "closed";
	if (gateway->resolved.count == 0)
		return "unresolved";
	return open < gateway->doors_count ? "partly open" : "open";
}

static char *
resolved_text(struct control_call *call, const struct control_gateway *gateway)
{
	char text[RESOLVE_ADDRESSES_MAX * (RESOLVE_TEXT_MAX + 1)] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < gateway->resolved.count; i++) {
		if (i > 0)
			text[at++] = ' ';
		resolve_text(&gateway->resolved.address[i].any, text + at);
		at += strlen(text + at);
	}
	return control_clean(call, text);
}

/* All of it, also what never happened: whoever draws a line knows where it began. */
static void
fill_ends(struct control_call *call, const struct stats_gateway *sum, Relay__Control__Gateway *row)
{
	row->ends = control_alloc(call, TUNNEL_END_COUNT * sizeof *row->ends);
	for (size_t i = 0; row->ends != NULL && i < TUNNEL_END_COUNT; i++) {
		Relay__Control__Reason *reason = control_alloc(call, sizeof *reason);

		if (reason == NULL)
			return;
		relay__control__reason__init(reason);
		reason->reason = control_clean(call, tunnel_end_text((enum tunnel_end)i));
		reason->count = stats_get(&sum->ends[i]);
		row->ends[row->n_ends++] = reason;
		if (i != TUNNEL_FINISHED)
			row->failed += reason->count;
	}
}

static void
fill_numbers(struct control_call *call, const struct control_gateway *gateway,
	     Relay__Control__Gateway *row)
{
	const struct control *control = call->control;
	struct stats_gateway sum = { .accepted = 0 };

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;

		if (stats != NULL)
			(void)stats_gateway_add(&stats->gateways, gateway->name, &sum);
	}
	fill_ends(call, &sum, row);
	row->accepted = stats_get(&sum.accepted);
	row->handshakes = histogram_total(&sum.handshake);
	row->resumed = stats_get(&sum.resumed);
	row->bytes_in = stats_get(&sum.bytes_in);
	row->bytes_out = stats_get(&sum.bytes_out);
	row->open = stats_get(&sum.open);
}

/* The certificate that is shown to whoever comes now. */
static uint64_t
expires_of(const struct control *control, const struct config_gateway *config)
{
	int64_t after;

	if (config->credentials >= control->config.credential_count)
		return 0;
	after = control->config.credentials[config->credentials].found.not_after;
	return after > 0 ? (uint64_t)after * 1000000 : 0;
}

static Relay__Control__Gateway *
make_row(struct control_call *call, const struct control_gateway *gateway)
{
	Relay__Control__Gateway *row = control_alloc(call, sizeof *row);
	char listen[SETTINGS_GATEWAY_LISTEN_MAX * 130];
	size_t at = 0;

	if (row == NULL)
		return NULL;
	relay__control__gateway__init(row);
	listen[0] = '\0';
	for (char **one = gateway->config->settings.listen; *one != NULL && at < sizeof listen;
	     one++)
		at += (size_t)snprintf(listen + at, sizeof listen - at, "%s%s", at > 0 ? " " : "",
				       *one);
	row->name = control_clean(call, gateway->name);
	row->state = control_clean(call, state_of(gateway));
	row->listen = control_clean(call, listen);
	row->connect = control_clean(call, gateway->config->settings.connect);
	row->resolved = resolved_text(call, gateway);
	row->expires = expires_of(call->control, gateway->config);
	fill_numbers(call, gateway, row);
	return row;
}

size_t
control_gateways_rows(struct control_call *call, Relay__Control__Gateway ***rows)
{
	const struct control *control = call->control;
	size_t count = 0;

	*rows = control_alloc(call, GATEWAYS_MAX * sizeof **rows);
	for (size_t i = 0; *rows != NULL && i < control->config.gateway_count; i++) {
		for (size_t k = 0; k < GATEWAYS_MAX; k++) {
			const struct control_gateway *gateway = &control->gateways.table[k];
			Relay__Control__Gateway *row = NULL;

			if (gateway->config == &control->config.gateways[i])
				row = make_row(call, gateway);
			if (row != NULL)
				(*rows)[count++] = row;
		}
	}
	return count;
}

void
control_do_gateways_list(struct control_call *call)
{
	Relay__Control__Reply reply;
	Relay__Control__Gateways gateways;

	relay__control__reply__init(&reply);
	relay__control__gateways__init(&gateways);
	gateways.n_gateway = control_gateways_rows(call, &gateways.gateway);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_GATEWAYS;
	reply.gateways = &gateways;
	control_answer(call, &reply);
}
