/*
 * datagram_list.c - see datagram_list.h.  The place is one in the table of sessions: a chain, and
 * how many of it were told.  Looks at a bounded part of the table for one answer; owns nothing.
 */
#include "relay/datagram_list.h"

#include "relay/datagrams.h"

#include <time.h>

/* Chains looked at for one answer. */
#define CHAINS_PER_QUERY 4096u

static uint64_t
wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void
add_session(struct channel_rows *rows, const struct session *session)
{
	struct channel_row *row = &rows->rows[rows->count++];
	const struct inquiry *inquiry;
	uint64_t now_us = wall_us();

	row->number = session->client;
	TAILQ_FOREACH(inquiry, &session->inquiries, entry)
		row->in_flight++;
	row->requests = session->outbox_count;
	row->out_bytes = session->outbox_bytes;
	row->age_us = now_us > session->since_us ? now_us - session->since_us : 0;
	row->wait_us = (worker_now(session->plane->worker) - session->seen_at) / 1000;
	row->address_len = dgram_address_bytes(&session->route.address, row->address, &row->port);
}

/* What follows the first `number` of the chain.  true = not all had room. */
static bool
add_chain(struct channel_rows *rows, uint32_t max, const struct session *session, uint64_t *number)
{
	uint64_t at = 0;

	for (; session != NULL; session = session->next, at++) {
		if (at < *number)
			continue;
		if (rows->count == max) {
			*number = at;
			return true;
		}
		add_session(rows, session);
	}
	*number = 0;
	return false;
}

void
datagram_list(const struct worker *worker, const struct channel_query *query,
	      struct channel_rows *rows)
{
	const struct datagrams *plane = worker->datagrams;
	uint32_t size = plane == NULL || plane->table == NULL ? 0 : plane->table_size;
	uint32_t max = query->max < CHANNEL_ROWS_MAX ? query->max : CHANNEL_ROWS_MAX;
	uint32_t index = query->index;

	rows->number = query->number;
	for (uint32_t i = 0; i < CHAINS_PER_QUERY && index < size; i++, index++) {
		if (add_chain(rows, max, plane->table[index], &rows->number))
			break;
	}
	rows->index = index < size ? index : CHANNEL_HOSTS_ALL;
}
