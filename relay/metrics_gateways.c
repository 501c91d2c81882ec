/*
 * metrics_gateways.c - see metrics_gateways.h.  Owns nothing; what the daemon sent is never trusted
 * to be bounded.
 */
#include "relay/metrics_gateways.h"

#include "relay/channel_gateway.h"
#include "relay/metrics_family.h"
#include "relay/tunnel_end.h"

#include <stddef.h>
#include <string.h>

#define OTHER "other"

/* No label is written twice, whatever the daemon says: the first counts. */
static bool
is_shown(const Relay__Control__Stats *stats, size_t at)
{
	if (strlen(stats->gateway[at]->name) > GATEWAY_NAME_MAX)
		return false;
	for (size_t i = 0; i < at; i++)
		if (strcmp(stats->gateway[i]->name, stats->gateway[at]->name) == 0)
			return false;
	return true;
}

static size_t
count_of(const Relay__Control__Stats *stats)
{
	return stats->n_gateway < GATEWAYS_MAX ? stats->n_gateway : GATEWAYS_MAX;
}

static void
put_sample(struct metrics_text *text, const char *name, const char *gateway, const char *reason,
	   uint64_t number)
{
	metrics_text_put(text, name);
	metrics_text_put(text, "{");
	metrics_text_put_label(text, "gateway", gateway);
	if (reason != NULL) {
		metrics_text_put(text, ",");
		metrics_text_put_label(text, "reason", reason);
	}
	metrics_text_put(text, "} ");
	metrics_end_number(text, number);
}

static const struct number_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
} number_families[] = {

#define NUMBER(name, type, member, help)                                    \
	{                                                                   \
		name, type, help, offsetof(Relay__Control__Gateway, member) \
	}
	NUMBER("relay_gateway_links", "gauge", open, "Links of other relays that are open."),
	NUMBER("relay_gateway_accepted_total", "counter", accepted, "Links that were accepted."),
	NUMBER("relay_gateway_handshakes_total", "counter", handshakes, "Links that were secured."),
	NUMBER("relay_gateway_resumed_total", "counter", resumed,
	       "Of these, those by a session of before."),
	NUMBER("relay_gateway_received_bytes_total", "counter", bytes_in,
	       "Plain bytes given to the local lond."),
	NUMBER("relay_gateway_sent_bytes_total", "counter", bytes_out,
	       "Plain bytes that came from it."),
#undef NUMBER
};

static void
write_numbers(struct metrics_text *text, const Relay__Control__Stats *stats,
	      const struct number_family *of)
{
	metrics_family(text, of->name, of->type, of->help);
	for (size_t i = 0; i < count_of(stats); i++) {
		uint64_t number;

		memcpy(&number, (const char *)stats->gateway[i] + of->offset, sizeof number);
		if (is_shown(stats, i))
			put_sample(text, of->name, stats->gateway[i]->name, NULL, number);
	}
}

/* Of one gateway; what is none of ours counts as OTHER, in the last place. */
static void
add_ends(uint64_t counts[TUNNEL_END_COUNT + 1], const Relay__Control__Gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_ends; i++) {
		int end = 0;

		while (end < TUNNEL_END_COUNT &&
		       strcmp(tunnel_end_text((enum tunnel_end)end), gateway->ends[i]->reason) != 0)
			end++;
		counts[end] += gateway->ends[i]->count;
	}
}

static void
write_ends(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	static const char name[] = "relay_gateway_link_ends_total";

	metrics_family(text, name, "counter", "Links of other relays that ended, by reason.");
	for (size_t i = 0; i < count_of(stats); i++) {
		const Relay__Control__Gateway *gateway = stats->gateway[i];
		uint64_t counts[TUNNEL_END_COUNT + 1] = { 0 };

		if (!is_shown(stats, i))
			continue;
		add_ends(counts, gateway);
		for (int end = 0; end < TUNNEL_END_COUNT; end++)
			put_sample(text, name, gateway->name, tunnel_end_text((enum tunnel_end)end),
				   counts[end]);
		put_sample(text, name, gateway->name, OTHER, counts[TUNNEL_END_COUNT]);
	}
}

void
metrics_gateways_write(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	if (stats->n_gateway == 0)
		return;
	for (size_t i = 0; i < sizeof number_families / sizeof number_families[0]; i++)
		write_numbers(text, stats, &number_families[i]);
	write_ends(text, stats);
}
