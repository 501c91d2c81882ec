/*
 * metrics_datagrams.c - see metrics_datagrams.h.  Owns nothing but its labels, while it
 * writes.
 */
#include "relay/metrics_datagrams.h"

#include "relay/metrics.h"
#include "relay/metrics_family.h"
#include "relay/metrics_table.h"

#include <string.h>

/* --- samples ---------------------------------------------------------------------------------- */

/* No label is written twice, whatever the daemon says: the first counts. */
static bool
is_first_reason(Relay__Control__Reason *const *reasons, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (strcmp(reasons[i]->reason, reasons[at]->reason) == 0)
			return false;
	}
	return true;
}

static void
put_reasons(struct metrics_text *text, const struct metrics_table *table,
	    const struct metrics_table_row *row, const char *name, const char *label,
	    Relay__Control__Reason *const *reasons, size_t count)
{
	for (size_t i = 0; i < count && i < METRICS_REASONS_SHOWN; i++) {
		if (is_first_reason(reasons, i))
			metrics_table_sample(text, table, row, name, label, reasons[i]->reason,
					     reasons[i]->count);
	}
}

/* --- by worker -------------------------------------------------------------------------------- */

#define NUMBER(name, type, message, member, help)                  \
	{                                                          \
		name, type, help, offsetof(message, member), false \
	}
#define WORKER(name, type, member, help) \
	NUMBER(name, type, Relay__Control__DatagramStats, member, help)
static const struct metrics_member worker_members[] = {
	WORKER("relay_datagram_clients", "gauge", online, "UDP clients with a session."),
	WORKER("relay_datagram_requests_running", "gauge", running,
	       "Requests of UDP clients that are not answered."),
	WORKER("relay_datagram_outbox_messages", "gauge", outbox,
	       "Replies and notices that UDP clients have not confirmed."),
	WORKER("relay_datagram_outbox_bytes", "gauge", outbox_bytes, "Their bytes."),
	WORKER("relay_datagrams_received_total", "counter", received, "Datagrams received."),
	WORKER("relay_datagrams_sent_total", "counter", sent, "Datagrams sent."),
	WORKER("relay_datagram_parts_total", "counter", parts,
	       "Parts of replies and notices, each once."),
	WORKER("relay_datagram_parts_resent_total", "counter", resent,
	       "Parts sent again, because nobody confirmed them in time."),
	WORKER("relay_datagram_requests_total", "counter", requests,
	       "Requests of UDP clients that were taken."),
	WORKER("relay_datagram_replies_total", "counter", replies, "Replies to them."),
	WORKER("relay_datagram_busy_total", "counter", busy,
	       "Times that a UDP client was told to come later."),
	WORKER("relay_datagram_given_up_total", "counter", given_up,
	       "Replies and notices that nobody confirmed."),
	WORKER("relay_datagram_sessions_total", "counter", sessions, "Sessions begun."),
	WORKER("relay_datagram_sessions_silent_total", "counter", silent,
	       "Sessions that ended by silence."),
	WORKER("relay_datagram_notices_total", "counter", notices,
	       "Notices of UDP clients that are on the disk."),
	WORKER("relay_datagram_notices_refused_total", "counter", refused,
	       "Notices of UDP clients that were not taken there."),
	WORKER("relay_datagram_replies_stored_total", "counter", stored,
	       "Durable replies that went to the disk."),
	WORKER("relay_datagram_delivered_total", "counter", delivered,
	       "Messages from the disk that were confirmed."),
};
#undef WORKER

static void
write_worker_reasons(struct metrics_text *text, const struct metrics_table *table)
{
	static const char genuine[] = "relay_datagrams_genuine_total";
	static const char dropped[] = "relay_datagrams_dropped_total";

	metrics_family(text, genuine, "counter", "Datagrams of a session, and hellos, by kind.");
	for (size_t i = 0; i < table->count; i++) {
		const Relay__Control__DatagramStats *of = table->row[i].of;
		put_reasons(text, table, &table->row[i], genuine, "kind", of->kinds, of->n_kinds);
	}
	metrics_family(text, dropped, "counter", "Datagrams dropped, by reason.");
	for (size_t i = 0; i < table->count; i++) {
		const Relay__Control__DatagramStats *of = table->row[i].of;
		put_reasons(text, table, &table->row[i], dropped, "reason", of->dropped,
			    of->n_dropped);
	}
}

static void
write_workers(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	struct metrics_table table;

	metrics_table_init(&table);
	for (size_t i = 0; i < stats->n_datagram && i < METRICS_WORKERS_MAX; i++)
		metrics_table_add_worker(&table, stats->datagram[i]->worker, stats->datagram[i]);
	metrics_table_write(text, &table, worker_members,
			    sizeof worker_members / sizeof worker_members[0]);
	write_worker_reasons(text, &table);
	text->full |= table.labels.full;
	metrics_table_fini(&table);
}

/* --- webpager and store ----------------------------------------------------------------------- */

static void
write_webpager(struct metrics_text *text, const Relay__Control__WebpagerStats *webpager)
{
	static const char taken[] = "relay_webpager_taken_total";
	static const char refused[] = "relay_webpager_refused_total";
	struct metrics_table table;

	metrics_table_init(&table);
	metrics_table_add(&table, NULL, NULL, webpager);
	metrics_family(text, taken, "counter", "Notices that the webpager has taken.");
	metrics_table_sample(text, &table, &table.row[0], taken, NULL, NULL, webpager->taken);
	metrics_family(text, refused, "counter",
		       "Notices that the webpager has refused, by reason.");
	put_reasons(text, &table, &table.row[0], refused, "reason", webpager->refused,
		    webpager->n_refused);
	metrics_table_fini(&table);
}

#define STORE(name, type, member, help) NUMBER(name, type, Relay__Control__StoreStats, member, help)
static const struct metrics_member store_members[] = {
	STORE("relay_store_messages", "gauge", waiting, "Messages that wait on the disk."),
	STORE("relay_store_bytes", "gauge", bytes, "Their bytes."),
	STORE("relay_store_aside_messages", "gauge", aside,
	      "Of them those that are damaged and put aside."),
	STORE("relay_store_commits_total", "counter", commits, "Transactions of the store."),
	STORE("relay_store_notices_total", "counter", notices, "Notices kept."),
	STORE("relay_store_replies_total", "counter", replies, "Replies kept."),
	STORE("relay_store_repeats_total", "counter", repeats,
	      "Messages that were to be kept once more."),
	STORE("relay_store_confirmed_total", "counter", confirmed,
	      "Messages that ended because their client confirmed them."),
	STORE("relay_store_dropped_total", "counter", dropped, "Messages dropped by operators."),
	STORE("relay_store_expired_total", "counter", expired, "Messages that grew too old."),
};
#undef STORE
#undef NUMBER

static void
write_store(struct metrics_text *text, const Relay__Control__StoreStats *store)
{
	static const char refused[] = "relay_store_refused_total";
	static const char usable[] = "relay_store_usable";
	struct metrics_table table;

	metrics_table_init(&table);
	metrics_table_add(&table, NULL, NULL, store);
	metrics_table_write(text, &table, store_members,
			    sizeof store_members / sizeof store_members[0]);
	metrics_family(text, refused, "counter", "Messages that were not kept, by reason.");
	put_reasons(text, &table, &table.row[0], refused, "reason", store->refused,
		    store->n_refused);
	metrics_family(text, usable, "gauge", "Whether messages can be kept.");
	metrics_table_sample(text, &table, &table.row[0], usable, NULL, NULL,
			     store->trouble[0] == '\0');
	metrics_table_fini(&table);
}

void
metrics_datagrams_write(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	if (stats->n_datagram > 0)
		write_workers(text, stats);
	if (stats->webpager != NULL)
		write_webpager(text, stats->webpager);
	if (stats->store != NULL)
		write_store(text, stats->store);
}
