/*
 * sim_reply.c - what clients are told, held against what they asked: one line for each request, in
 * order, its own reply or con_lost.
 */
#include "tests/sim_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool
line_is(const struct sim_client *client, const void *text, size_t len)
{
	return client->line_len == len && memcmp(client->line, text, len) == 0;
}

/* The unasked line of a lying peer that came just when this request was out on its link. */
static bool
is_extra(struct sim_client *client, uint32_t number)
{
	struct sim_request *request = &client->sim->requests[number];
	char text[32] = { 0 };
	unsigned link;

	if (client->line_len >= sizeof text)
		return false;
	memcpy(text, client->line, client->line_len);
	if (sscanf(text, "extra:%u", &link) != 1 || link == 0)
		return false;
	/* The peer may not have read the request yet: when it does, the link must be this one. */
	if (request->link == 0)
		request->link = link;
	return request->link == link;
}

static void
check_reply(struct sim_client *client, uint32_t number)
{
	struct sim *sim = client->sim;
	size_t len = sim_reply_seen(sim, number, sim->scratch[0]);

	if (line_is(client, sim->scratch[0], len)) {
		if (!sim->requests[number].whole)
			sim_fail(sim, "request %u was answered but never asked", number);
		sim->cover->replies++;
		return;
	}
	if (line_is(client, "con_lost", 8)) {
		sim_cover(sim, SIM_CON_LOST);
		if (sim->plan.calm)
			sim_fail(sim, "con_lost for request %u, although nothing goes wrong",
				 number);
		return;
	}
	if (!is_extra(client, number))
		sim_fail(sim, "client %u: wrong reply to request %u, %zu bytes: %.*s",
			 client->index, number, client->line_len,
			 (int)(client->line_len < 40 ? client->line_len : 40),
			 (const char *)client->line);
	sim_cover(sim, SIM_EXTRA_TAKEN);
}

static void
on_line(struct sim_client *client)
{
	struct sim *sim = client->sim;

	if (client->asked_count > 0 && client->asked[0].complete_at != 0) {
		check_reply(client, client->asked[0].number);
		if (line_is(client, "con_lost", 8))
			sim->lost_read++;
		else
			sim->answers_read++;
		sim_trace(sim, "client %u: %u answered%s", client->index, client->asked[0].number,
			  line_is(client, "con_lost", 8) ? " con_lost" : "");
		client->asked_count--;
		memmove(client->asked, client->asked + 1,
			client->asked_count * sizeof client->asked[0]);
		client->answered++;
		client->answered_at = sim_now(sim);
	} else if (client->phase == PHASE_ENDLESS && !client->lost_last) {
		if (!line_is(client, "con_lost", 8))
			sim_fail(sim, "client %u: a line without end was answered otherwise",
				 client->index);
		client->lost_last = true;
	} else if (sim->worker.memory.refused == 0 || !line_is(client, "con_lost", 8)) {
		/* For want of memory a request that is not complete may be answered too. */
		sim_fail(sim, "client %u: a reply too many: %.*s", client->index,
			 (int)(client->line_len < 40 ? client->line_len : 40),
			 (const char *)client->line);
	}
	client->line_len = 0;
}

static void
take_bytes(struct sim_client *client, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			on_line(client);
			continue;
		}
		if (client->line_len == LINE_ROOM)
			sim_fail(client->sim, "client %u: a reply without end", client->index);
		client->line[client->line_len++] = bytes[i];
	}
}

/* Takes what is there.  false = the relay closed the connection. */
bool
sim_client_read(struct sim_client *client)
{
	uint8_t bytes[4096];
	size_t cap = sizeof bytes;

	if (client->style == STYLE_SLOW_READ)
		cap = 200;
	for (;;) {
		ssize_t got = fake_read(client->end, bytes, cap);
		if (got == -EAGAIN)
			return true;
		if (got <= 0)
			return false;
		client->sim->bytes_read += (uint64_t)got;
		take_bytes(client, bytes, (size_t)got);
		if (client->style == STYLE_SLOW_READ) {
			sim_client_wake(client, sim_client_soon(client, MS(5)));
			return true;
		}
	}
}
