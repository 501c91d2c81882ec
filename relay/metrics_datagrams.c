/*
 * metrics_datagrams.c - see metrics_datagrams.h.  Owns nothing.
 */
#include "relay/metrics_datagrams.h"

#include "relay/metrics.h"
#include "relay/metrics_family.h"

#include <string.h>

/* --- samples ---------------------------------------------------------------------------------- */

/* NAME, then {worker="N",LABEL="VALUE"} as far as there is any of it. */
static void
put_sample(struct metrics_text *text, const char *name, const uint32_t *worker, const char *label,
	   const char *value, uint64_t number)
{
	metrics_text_put(text, name);
	if (worker != NULL) {
		metrics_text_put(text, "{worker=\"");
		metrics_text_put_number(text, *worker);
		metrics_text_put(text, "\"");
	}
	if (label != NULL) {
		metrics_text_put(text, worker != NULL ? "," : "{");
		metrics_text_put_label(text, label, value);
	}
	metrics_text_put(text, worker != NULL || label != NULL ? "} " : " ");
	metrics_end_number(text, number);
}

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
put_reasons(struct metrics_text *text, const char *name, const uint32_t *worker, const char *label,
	    Relay__Control__Reason *const *reasons, size_t count)
{
	for (size_t i = 0; i < count && i < METRICS_REASONS_SHOWN; i++) {
		if (is_first_reason(reasons, i))
			put_sample(text, name, worker, label, reasons[i]->reason,
				   reasons[i]->count);
	}
}

/* --- by worker -------------------------------------------------------------------------------- */

static size_t
worker_count(const Relay__Control__Stats *stats)
{
	return stats->n_datagram < METRICS_WORKERS_MAX ? stats->n_datagram : METRICS_WORKERS_MAX;
}

static bool
is_first_worker(const Relay__Control__Stats *stats, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (stats->datagram[i]->worker == stats->datagram[at]->worker)
			return false;
	}
	return true;
}

struct number_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
};

#define NUMBER(name, type, message, member, help)           \
	{                                                   \
		name, type, help, offsetof(message, member) \
	}
#define WORKER(name, type, member, help) \
	NUMBER(name, type, Relay__Control__DatagramStats, member, help)
static const struct number_family worker_families[] = {
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
write_worker_family(struct metrics_text *text, const Relay__Control__Stats *stats,
		    const struct number_family *of)
{
	metrics_family(text, of->name, of->type, of->help);
	for (size_t i = 0; i < worker_count(stats); i++) {
		uint64_t number;

		if (!is_first_worker(stats, i))
			continue;
		memcpy(&number, (const char *)stats->datagram[i] + of->offset, sizeof number);
		put_sample(text, of->name, &stats->datagram[i]->worker, NULL, NULL, number);
	}
}

static void
write_workers(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	for (size_t i = 0; i < sizeof worker_families / sizeof worker_families[0]; i++)
		write_worker_family(text, stats, &worker_families[i]);
	metrics_family(text, "relay_datagrams_genuine_total", "counter",
		       "Datagrams of a session, and hellos, by kind.");
	for (size_t i = 0; i < worker_count(stats); i++) {
		const Relay__Control__DatagramStats *row = stats->datagram[i];
		if (is_first_worker(stats, i))
			put_reasons(text, "relay_datagrams_genuine_total", &row->worker, "kind",
				    row->kinds, row->n_kinds);
	}
	metrics_family(text, "relay_datagrams_dropped_total", "counter",
		       "Datagrams dropped, by reason.");
	for (size_t i = 0; i < worker_count(stats); i++) {
		const Relay__Control__DatagramStats *row = stats->datagram[i];
		if (is_first_worker(stats, i))
			put_reasons(text, "relay_datagrams_dropped_total", &row->worker, "reason",
				    row->dropped, row->n_dropped);
	}
}

/* --- webpager and store ----------------------------------------------------------------------- */

static void
write_webpager(struct metrics_text *text, const Relay__Control__WebpagerStats *webpager)
{
	metrics_family(text, "relay_webpager_taken_total", "counter",
		       "Notices that the webpager has taken.");
	put_sample(text, "relay_webpager_taken_total", NULL, NULL, NULL, webpager->taken);
	metrics_family(text, "relay_webpager_refused_total", "counter",
		       "Notices that the webpager has refused, by reason.");
	put_reasons(text, "relay_webpager_refused_total", NULL, "reason", webpager->refused,
		    webpager->n_refused);
}

#define STORE(name, type, member, help) NUMBER(name, type, Relay__Control__StoreStats, member, help)
static const struct number_family store_families[] = {
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
	for (size_t i = 0; i < sizeof store_families / sizeof store_families[0]; i++) {
		const struct number_family *of = &store_families[i];
		uint64_t number;

		memcpy(&number, (const char *)store + of->offset, sizeof number);
		metrics_family(text, of->name, of->type, of->help);
		put_sample(text, of->name, NULL, NULL, NULL, number);
	}
	metrics_family(text, "relay_store_refused_total", "counter",
		       "Messages that were not kept, by reason.");
	put_reasons(text, "relay_store_refused_total", NULL, "reason", store->refused,
		    store->n_refused);
	metrics_family(text, "relay_store_usable", "gauge", "Whether messages can be kept.");
	put_sample(text, "relay_store_usable", NULL, NULL, NULL, store->trouble[0] == '\0');
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
