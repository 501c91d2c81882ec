/*
 * metrics_tls.c - see metrics_tls.h.  Owns nothing.
 */
#include "relay/metrics_tls.h"

#include "relay/metrics_family.h"

#include <string.h>

enum {
	CERTIFICATES_MAX = 256, /* as many as a daemon has; what says more is none */
};

/* Whole seconds from now; less than 0: it is over. */
static void
end_remaining(struct metrics_text *text, uint64_t expires, uint64_t now)
{
	bool over = expires < now;

	metrics_text_put(text, over ? "-" : "");
	metrics_end_number(text, (over ? now - expires : expires - now) / 1000000);
}

static size_t
certificate_count(const Relay__Control__Stats *stats)
{
	return stats->n_certificate < CERTIFICATES_MAX ? stats->n_certificate : CERTIFICATES_MAX;
}

/* Of two with the same name the first counts: no label is written twice. */
static bool
is_first(const Relay__Control__Stats *stats, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(stats->certificate[i]->file, stats->certificate[at]->file) == 0)
			return false;
	return true;
}

static void
write_own(struct metrics_text *text, const Relay__Control__Stats *stats, uint64_t now)
{
	static const char name[] = "relay_tls_certificate_expiry_seconds";

	if (stats->n_certificate == 0)
		return;
	metrics_family(text, name, "gauge",
		       "Until the relay's own certificate of this file expires.");
	for (size_t i = 0; i < certificate_count(stats); i++) {
		if (!is_first(stats, i))
			continue;
		metrics_text_put(text, name);
		metrics_text_put(text, "{");
		metrics_text_put_label(text, "file", stats->certificate[i]->file);
		metrics_text_put(text, "} ");
		end_remaining(text, stats->certificate[i]->expires, now);
	}
}

static void
write_peers(struct metrics_text *text, const struct metrics_hosts *hosts, uint64_t now)
{
	static const char name[] = "relay_tls_peer_certificate_expiry_seconds";
	bool begun = false;

	for (size_t i = 0; i < hosts->count; i++) {
		const struct metrics_row *row = &hosts->row[i];

		if (row->peer_expires == 0)
			continue;
		if (!begun)
			metrics_family(text, name, "gauge",
				       "Until the certificate that the peer showed last expires.");
		begun = true;
		metrics_text_put(text, name);
		metrics_text_put(text, "{");
		metrics_text_put_bytes(text, hosts->labels.bytes + row->label_at, row->label_len);
		metrics_text_put(text, "} ");
		end_remaining(text, row->peer_expires, now);
	}
}

void
metrics_tls_write(struct metrics_text *text, const struct metrics_hosts *hosts,
		  const Relay__Control__Stats *stats, uint64_t now)
{
	write_own(text, stats, now);
	write_peers(text, hosts, now);
}
