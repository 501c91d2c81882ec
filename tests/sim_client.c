/*
 * sim_client.c - the clients: each goes through many connections, one after the other, in all the
 * styles there are.
 *
 * They hold the relay to its word: one line for each request, in order, its own reply or con_lost;
 * in time; and no connection cut off without a reason.
 */
#include "tests/sim_client.h"

#include "wire/enc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sim_client_wake(struct sim_client *client, uint64_t at)
{
	if (!uring_timer_armed(&client->timer) || client->timer.at > at)
		fake_timer_set(client->sim->ring, &client->timer, at);
}

uint64_t
sim_client_soon(struct sim_client *client, uint64_t most)
{
	return sim_now(client->sim) + sim_below(client->sim, most);
}

static void
set_phase(struct sim_client *client, enum phase phase)
{
	client->phase = phase;
	client->since = sim_now(client->sim);
}

/* --- connections ------------------------------------------------------------------------------ */

static void
on_changed(struct fake_end *end)
{
	struct sim_client *client = fake_end_owner(end);

	sim_client_wake(client, sim_client_soon(client, 200000));
}

static void
set_style(struct sim_client *client)
{
	struct sim *sim = client->sim;

	client->style = (enum sim_style)sim_below(sim, SIM_STYLE_COUNT);
	sim->cover->styles[client->style]++;
	client->to_ask = 1 + (unsigned)sim_below(sim, 20);
	client->burst = 1;
	client->piece = 0;
	client->pause = MS(1);
	client->leave_after = (unsigned)sim_below(sim, 4);
	switch (client->style) {
	case STYLE_POLITE:
	case STYLE_HALF_CLOSE:
	case STYLE_FRAGMENT:
		client->burst = sim_chance(sim, 500) ? 1 : 5;
		break;
	case STYLE_PIPELINE:
	case STYLE_LEAVE:
	case STYLE_RESET:
		client->burst = 1 + (unsigned)sim_below(sim, ASKED_MAX);
		break;
	case STYLE_SPLIT:
		client->piece = 40;
		client->burst = 4;
		break;
	case STYLE_DRIBBLE:
		client->piece = 2;
		client->pause = MS(20);
		client->to_ask = 2;
		break;
	case STYLE_SLOW_READ:
		client->burst = 8;
		client->pause = MS(50);
		break;
	case STYLE_NEVER_READ:
		client->burst = ASKED_MAX;
		client->to_ask = ASKED_MAX;
		break;
	case STYLE_ENDLESS:
		client->to_ask = (unsigned)sim_below(sim, 3);
		break;
	case STYLE_IDLE:
	case SIM_STYLE_COUNT:
		client->to_ask = 1;
		break;
	}
	/* Long lines in few bytes at a time would only take long. */
	if (client->host->settings.line_max > 1000 && client->piece > 0)
		client->piece *= 100;
}

static void
begin(struct sim_client *client, struct sim_host *host)
{
	struct sim *sim = client->sim;

	client->end = fake_connect(sim->ring, host->listener);
	if (client->end == NULL) {
		client->next = sim_client_soon(client, MS(500)); /* it is just being removed */
		return;
	}
	client->host = host;
	fake_end_own(client->end, on_changed, client);
	set_style(client);
	client->asked_count = client->answered = 0;
	client->out_len = client->line_len = 0;
	client->queued = client->written = 0;
	client->answered_at = 0;
	client->lost_last = false;
	client->next = client->began_at = sim_now(sim);
	set_phase(client, PHASE_ASKING);
	if (client->style == STYLE_IDLE) {
		set_phase(client, PHASE_SILENT);
		client->until = sim_client_soon(client, SECONDS(30));
	}
	sim_trace(sim, "client %u: connects to %s, %s", client->index, host->id,
		  sim_style_text(client->style));
}

static void
leave(struct sim_client *client, bool reset)
{
	struct sim *sim = client->sim;

	sim_trace(sim, "client %u: %s, %u asked, %u answered", client->index,
		  reset ? "resets" : "leaves", client->asked_count, client->answered);
	if (reset)
		fake_reset(client->end);
	else
		fake_close(client->end);
	client->end = NULL;
	set_phase(client, PHASE_RESTING);
	client->next = sim_client_soon(client, MS(300));
}

/* --- asking ----------------------------------------------------------------------------------- */

static void
queue_bytes(struct sim_client *client, const uint8_t *bytes, size_t len)
{
	if (client->out_len + len > OUT_MAX)
		sim_fail(client->sim, "client %u: too much to say", client->index);
	memcpy(client->out + client->out_len, bytes, len);
	client->out_len += len;
	client->queued += len;
}

static void
ask(struct sim_client *client)
{
	struct sim *sim = client->sim;
	uint32_t number = sim_request_new(sim, client->host->index);
	size_t len = sim_request_line(sim, number, sim->scratch[0]);

	queue_bytes(client, sim->scratch[0], len);
	client->asked[client->asked_count++] =
	    (struct asked){ .number = number, .end = client->queued };
	client->to_ask--;
	sim_trace(sim, "client %u: asks %u", client->index, number);
}

static void
write_out(struct sim_client *client)
{
	struct sim *sim = client->sim;
	size_t len = client->out_len;

	if (len == 0 || client->next > sim_now(sim))
		return;
	if (client->piece > 0 && len > client->piece)
		len = (size_t)fake_between(&sim->random, 1, client->piece);
	ssize_t put = fake_write(client->end, client->out, len);
	if (put < 0)
		client->out_len = 0; /* the end shows in reading */
	if (put <= 0)
		return;
	client->out_len -= (size_t)put;
	memmove(client->out, client->out + put, client->out_len);
	client->written += (uint64_t)put;
	for (unsigned i = 0; i < client->asked_count; i++) {
		if (client->asked[i].complete_at == 0 && client->asked[i].end <= client->written)
			client->asked[i].complete_at = sim_now(sim);
	}
	if (client->piece > 0)
		client->next = sim_client_soon(client, client->pause);
}

/* --- the end of a connection ------------------------------------------------------------------ */

/* Whether the relay may end a connection whatever is still open on it. */
static bool
may_be_cut_off(const struct sim_client *client)
{
	const struct sim *sim = client->sim;

	return !client->host->present || sim->stopping || sim->worker.memory.refused > 0 ||
	       (client->phase == PHASE_ENDLESS && client->lost_last);
}

static void
on_end(struct sim_client *client)
{
	struct sim *sim = client->sim;
	unsigned open = 0;

	for (unsigned i = 0; i < client->asked_count; i++)
		open += client->asked[i].complete_at != 0;
	if (client->line_len > 0 && client->style != STYLE_NEVER_READ &&
	    sim->worker.memory.refused == 0 && !sim->stopping && sim->operator.kills_of_client == 0)
		sim_fail(sim, "client %u: half a reply, then the end", client->index);
	bool expected = client->phase == PHASE_HALF && open == 0;
	bool allowed = expected || may_be_cut_off(client) ||
		       (client->style == STYLE_NEVER_READ && client->phase == PHASE_SILENT);
	if (!allowed && sim->operator.kills_of_client> 0) {
		sim->operator.kills_of_client--;
		leave(client, false);
		return;
	}
	if (client->style == STYLE_NEVER_READ && client->phase == PHASE_SILENT) {
		sim_cover(sim, SIM_STALLED);
	} else if (!expected && !may_be_cut_off(client)) {
		sim_fail(sim, "client %u (%s): cut off with %u requests open", client->index,
			 sim_style_text(client->style), open);
	} else if (!expected) {
		sim_cover(sim, SIM_CUT_OFF);
	}
	leave(client, false);
}

/* How long a reader may have to wait: the queue, the reply, and once more if the link was lost in
 * between. */
static uint64_t
patience(const struct sim_client *client)
{
	const struct sim_host *host = client->host;

	if (client->sim->plan.calm)
		return client->sim->plan.quiet ? SECONDS(5) : SECONDS(60);
	return MS(2 * host->queue_most_ms + host->reply_most_ms) + SECONDS(5);
}

static void
check_waiting(struct sim_client *client)
{
	struct sim *sim = client->sim;
	uint64_t from = client->answered_at;

	if (!fake_end_accepted(client->end) && !sim->plan.small && !sim->plan.memory_small &&
	    client->host->present && sim_now(sim) > client->began_at + SECONDS(20))
		sim_fail(sim, "client %u is not accepted", client->index);
	if (client->phase == PHASE_SILENT || !fake_end_accepted(client->end)) {
		sim_client_wake(client, sim_now(sim) + SECONDS(5));
		return;
	}
	if (client->phase == PHASE_ASKING &&
	    (client->asked_count == 0 || client->asked[0].complete_at == 0))
		return;
	if (client->asked_count > 0 && client->asked[0].complete_at > from)
		from = client->asked[0].complete_at;
	if (client->since > from && client->phase != PHASE_ASKING)
		from = client->since;
	if (client->accepted_at > from)
		from = client->accepted_at;
	uint64_t due = from + patience(client);
	if (sim_now(sim) > due)
		sim_fail(sim, "client %u (%s): waited too long for %s %u", client->index,
			 sim_style_text(client->style),
			 client->asked_count > 0 ? "request" : "the end",
			 client->asked_count > 0 ? client->asked[0].number : 0);
	sim_client_wake(client, due + 1);
}

/* --- styles ----------------------------------------------------------------------------------- */

static void
send_endless(struct sim_client *client)
{
	struct sim *sim = client->sim;
	size_t len = (size_t)client->host->settings.line_max + 1 +
		     (sim_chance(sim, 500) ? 0 : ENC_REQUEST_PREFIX_LEN);

	memset(sim->scratch[0], 'z', len);
	if (len > client->host->settings.line_max + 1)
		memcpy(sim->scratch[0], ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);
	queue_bytes(client, sim->scratch[0], len);
	client->piece = 0;
	set_phase(client, PHASE_ENDLESS);
	client->next = sim_now(sim);
	sim_client_wake(client, client->next);
}

/* All was asked and answered: what comes now. */
static void
finish(struct sim_client *client)
{
	switch (client->style) {
	case STYLE_ENDLESS:
		send_endless(client);
		break;
	case STYLE_FRAGMENT:
		queue_bytes(client, (const uint8_t *)"0000000:fragm", 13);
		client->piece = 0;
		write_out(client);
		if (client->out_len == 0 && sim_chance(client->sim, 500)) {
			fake_shutdown(client->end);
			set_phase(client, PHASE_HALF);
		} else {
			leave(client, false);
		}
		break;
	case STYLE_HALF_CLOSE:
		fake_shutdown(client->end);
		set_phase(client, PHASE_HALF);
		break;
	default:
		leave(client, false);
	}
}

static void
asking(struct sim_client *client)
{
	bool leaves = client->style == STYLE_LEAVE || client->style == STYLE_RESET;

	if (leaves && client->answered >= client->leave_after && sim_chance(client->sim, 300)) {
		leave(client, client->style == STYLE_RESET);
		return;
	}
	while (client->to_ask > 0 && client->asked_count < client->burst &&
	       client->next <= sim_now(client->sim))
		ask(client);
	write_out(client);
	if (client->style == STYLE_NEVER_READ && client->to_ask == 0) {
		set_phase(client, PHASE_SILENT);
		client->until = sim_now(client->sim) + SECONDS(30);
	} else if (client->style == STYLE_HALF_CLOSE && client->to_ask == 0 &&
		   client->out_len == 0) {
		finish(client); /* with requests open */
	} else if (client->to_ask == 0 && client->asked_count == 0) {
		finish(client);
	} else if (client->out_len > 0 || client->to_ask > 0 || leaves) {
		sim_client_wake(client, client->next > sim_now(client->sim)
					    ? client->next
					    : sim_client_soon(client, MS(50)) + 1);
	}
}

static void
silent(struct sim_client *client)
{
	write_out(client);
	if (sim_now(client->sim) < client->until) {
		sim_client_wake(client, client->until);
		return;
	}
	/* The one that never read looks at last: all that is there must be right. */
	if (!sim_client_read(client)) {
		on_end(client);
	} else if (client->style == STYLE_IDLE) {
		set_phase(client, PHASE_ASKING);
		client->next = sim_now(client->sim);
		sim_client_wake(client, client->next);
	} else {
		leave(client, false);
	}
}

static void
resting(struct sim_client *client)
{
	struct sim *sim = client->sim;

	if (sim->stopping || sim->requests_count >= sim->plan.requests) {
		set_phase(client, PHASE_DONE);
		return;
	}
	if (client->next > sim_now(sim)) {
		sim_client_wake(client, client->next);
		return;
	}
	struct sim_host *host = &sim->hosts[sim_below(sim, sim->hosts_count)];
	client->next = sim_client_soon(client, MS(20));
	if (host->present)
		begin(client, host);
	sim_client_wake(client, client->next);
}

static void
on_due(struct uring_timer *timer)
{
	struct sim_client *client = uring_container_of(timer, struct sim_client, timer);

	if (client->phase == PHASE_RESTING) {
		resting(client);
		return;
	}
	if (client->phase == PHASE_DONE)
		return;
	if (client->accepted_at < client->began_at && fake_end_accepted(client->end))
		client->accepted_at = sim_now(client->sim);
	bool reads = client->style != STYLE_NEVER_READ;
	if (reads && !sim_client_read(client)) {
		on_end(client);
	} else if (client->phase == PHASE_ASKING) {
		asking(client);
	} else if (client->phase == PHASE_SILENT) {
		silent(client);
	} else {
		write_out(client);
	}
	if (client->phase == PHASE_RESTING)
		sim_client_wake(client, client->next);
	else
		check_waiting(client);
}

/* --- all of them ------------------------------------------------------------------------------ */

void
sim_clients_start(struct sim *sim)
{
	sim->clients = sim_alloc(sim->plan.clients * sizeof *sim->clients);
	for (unsigned i = 0; i < sim->plan.clients; i++) {
		struct sim_client *client = &sim->clients[i];
		client->sim = sim;
		client->index = i;
		client->timer.due = on_due;
		client->out = sim_alloc(OUT_MAX);
		client->line = sim_alloc(LINE_ROOM);
		sim_client_wake(client, sim_client_soon(client, MS(200)));
	}
}

void
sim_clients_knock(struct sim *sim, struct sim_host *host)
{
	for (unsigned i = 0; i < sim->plan.clients; i++) {
		struct sim_client *client = &sim->clients[i];
		if (client->phase != PHASE_RESTING || sim->requests_count >= sim->plan.requests)
			continue;
		begin(client, host);
		sim_client_wake(client, client->next);
	}
}

bool
sim_clients_done(const struct sim *sim)
{
	for (unsigned i = 0; i < sim->plan.clients; i++) {
		if (sim->clients[i].phase != PHASE_DONE)
			return false;
	}
	return true;
}

void
sim_clients_fini(struct sim *sim)
{
	for (unsigned i = 0; i < sim->plan.clients; i++) {
		if (sim->clients[i].end != NULL)
			fake_close(sim->clients[i].end);
		fake_timer_clear(sim->ring, &sim->clients[i].timer);
		free(sim->clients[i].out);
		free(sim->clients[i].line);
	}
	free(sim->clients);
}
