/*
 * metrics_gateways.c - see metrics_gateways.h.  Owns nothing but its labels, while it writes.
 */
#include "relay/metrics_gateways.h"

#include "relay/channel_gateway.h"
#include "relay/metrics_family.h"
#include "relay/metrics_table.h"
#include "relay/tunnel_end.h"

#include <assert.h>
#include <stddef.h>

static_assert(GATEWAYS_MAX <= METRICS_TABLE_MAX && GATEWAY_NAME_MAX <= METRICS_TABLE_NAME,
	      "each gateway has its row");

static const struct metrics_member members[] = {

#define NUMBER(name, type, member, help)                                           \
	{                                                                          \
		name, type, help, offsetof(Relay__Control__Gateway, member), false \
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
write_ends(struct metrics_text *text, const struct metrics_table *table)
{
	static const char name[] = "relay_gateway_link_ends_total";
	static const char *const words[] = {
#define X(end, word) word,
		TUNNEL_ENDS(X)
#undef X
	};
	static_assert(TUNNEL_END_COUNT <= METRICS_SET_MAX, "all ends are told");

	metrics_family(text, name, "counter", "Links of other relays that ended, by reason.");
	for (size_t i = 0; i < table->count; i++) {
		const Relay__Control__Gateway *gateway = table->row[i].of;

		metrics_table_set(text, table, &table->row[i], name, "reason", words,
				  TUNNEL_END_COUNT, gateway->ends, gateway->n_ends);
	}
}

void
metrics_gateways_write(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	struct metrics_table table;

	if (stats->n_gateway == 0)
		return;
	metrics_table_init(&table);
	for (size_t i = 0; i < stats->n_gateway && i < GATEWAYS_MAX; i++)
		metrics_table_add(&table, "gateway", stats->gateway[i]->name, stats->gateway[i]);
	metrics_table_write(text, &table, members, sizeof members / sizeof members[0]);
	write_ends(text, &table);
	text->full |= table.labels.full;
	metrics_table_fini(&table);
}
