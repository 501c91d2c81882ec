/*
 * sim_operator.c - what an operator does to the worker, as control passes it on: hosts are paused,
 * drained, resumed and reconnected, links and clients are listed and killed; and what the worker
 * answers is held against what was asked.
 */
#include "tests/sim.h"

#include <string.h>

static uint64_t
ask(struct sim *sim, enum channel_type type)
{
	sim->operator.asked = type;
	return ++sim->operator.token;
}

/* --- hosts ------------------------------------------------------------------------------------ */

static void
hold(struct sim *sim, struct sim_host *host)
{
	static const enum host_hold holds[] = { HOST_HOLD_NONE, HOST_HOLD_NONE, HOST_HOLD_PAUSED,
						HOST_HOLD_DRAINING };
	enum host_hold next = holds[sim_below(sim, 4)];

	if (next == HOST_HOLD_PAUSED)
		sim_cover(sim, SIM_PAUSED);
	else if (next == HOST_HOLD_NONE && host->hold != HOST_HOLD_NONE)
		sim_cover(sim, SIM_RESUMED);
	host->hold = next;
	sim_trace(sim, "%s: %s", host->id,
		  next == HOST_HOLD_NONE     ? "resumed"
		  : next == HOST_HOLD_PAUSED ? "paused"
					     : "drained");
	struct channel_message message = sim_host_message(host, CHANNEL_HOST_CHANGE);
	fake_channel_say(sim->channel, &message, -1);
}

static void
reconnect(struct sim *sim, const struct sim_host *host)
{
	struct channel_message message = { .type = CHANNEL_RECONNECT };

	message.name.index = host->place;
	fake_channel_say(sim->channel, &message, -1);
	sim_cover(sim, SIM_RECONNECTED);
	sim_trace(sim, "%s: reconnected", host->id);
}

static void
ask_host(struct sim *sim, const struct sim_host *host)
{
	struct channel_message message = { .type = CHANNEL_ASK_HOST };

	message.ask.token = ask(sim, CHANNEL_ASK_HOST);
	message.ask.index = host->place;
	sim->operator.host = host->index;
	fake_channel_say(sim->channel, &message, -1);
}

/* A question is answered from what is: nothing else is changed before the answer is here. */
static void
check_host_is(struct sim *sim, const struct channel_host_is *is)
{
	const struct sim_host *host = &sim->hosts[sim->operator.host];

	sim_cover(sim, SIM_ASKED);
	if (!host->present)
		return; /* removed meanwhile, its place may be another's */
	if (!is->known || is->hold != host->hold)
		sim_fail(sim, "%s: the worker has hold %u, it was told %u", host->id, is->hold,
			 host->hold);
	if (is->hold == HOST_HOLD_DRAINING && (is->fresh > 0 || is->reachable))
		sim_fail(sim, "%s: drained, yet it could be asked", host->id);
	if (is->links == 0 && (is->fresh > 0 || is->in_flight > 0))
		sim_fail(sim, "%s: requests without links", host->id);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void
say_query(struct sim *sim)
{
	struct channel_message message = { .type = CHANNEL_QUERY };

	sim->operator.query.token = ask(sim, CHANNEL_QUERY);
	message.query = sim->operator.query;
	fake_channel_say(sim->channel, &message, -1);
}

static void
list(struct sim *sim, const struct sim_host *host)
{
	bool all = sim_chance(sim, 700);

	if (sim->operator.query.max> 0 && sim_chance(sim, 300)) {
		say_query(sim); /* where the last one was left, or its last page once more */
		return;
	}
	sim->operator.query =(struct channel_query){
		.kind = sim_chance(sim, 500) ? CHANNEL_LINKS : CHANNEL_CLIENTS,
		.all = all,
		.index = all ? 0 : host->place,
		.max = sim_chance(sim, 300) ? CHANNEL_ROWS_MAX : 1 + (uint32_t)sim_below(sim, 3),
	};
	say_query(sim);
}

static void
check_rows(struct sim *sim, const struct channel_rows *rows)
{
	const struct channel_query *query = &sim->operator.query;
	uint64_t last = query->number;
	unsigned index = query->index;

	if (rows->count > query->max)
		sim_fail(sim, "%u rows, %u were asked for", rows->count, query->max);
	for (uint32_t i = 0; i < rows->count; i++) {
		const struct channel_row *row = &rows->rows[i];
		const struct sim_host *host = sim_host_by_id(sim, row->host);
		if (host == NULL || host->place < index ||
		    (!query->all && host->place != query->index))
			sim_fail(sim, "a row of %s, which was not asked for", row->host);
		if (host->place > index)
			last = 0;
		index = host->place;
		if (last != 0 &&
		    (query->kind == CHANNEL_LINKS ? row->number <= last : row->number >= last))
			sim_fail(sim, "%s: rows are not in their order", row->host);
		last = row->number;
		sim->operator.numbers[query->kind] = row->number;
	}
	if (rows->index == CHANNEL_HOSTS_ALL)
		return;
	if (rows->index < query->index || (rows->index == query->index && rows->count == 0))
		sim_fail(sim, "a list does not go on");
	if (rows->count > 0 && query->number != 0)
		sim_cover(sim, SIM_LISTED);
	sim->operator.query.index = rows->index;
	sim->operator.query.number = rows->number;
}

/* --- kills ------------------------------------------------------------------------------------ */

static void
kill_one(struct sim *sim)
{
	struct channel_message message = { .type = CHANNEL_KILL };
	enum channel_kind kind = sim_chance(sim, 500) ? CHANNEL_LINKS : CHANNEL_CLIENTS;

	message.kill.token = ask(sim, CHANNEL_KILL);
	message.kill.number = sim->operator.numbers[kind];
	message.kill.kind = kind;
	message.kill.dry_run = sim_chance(sim, 200);
	if (kind == CHANNEL_CLIENTS && !message.kill.dry_run)
		sim->operator.kills_of_client++;
	fake_channel_say(sim->channel, &message, -1);
	sim_trace(sim, "%s %u killed", kind == CHANNEL_LINKS ? "link" : "client",
		  (unsigned)message.kill.number);
}

static void
on_killed(struct sim *sim, const struct channel_kill *kill)
{
	if (!kill->found)
		sim_cover(sim, SIM_KILL_MISSED);
	else if (!kill->dry_run)
		sim_cover(sim, kill->kind == CHANNEL_LINKS ? SIM_LINK_KILLED : SIM_CLIENT_KILLED);
	if (!kill->found && !kill->dry_run && kill->kind == CHANNEL_CLIENTS &&
	    sim->operator.kills_of_client> 0)
		sim->operator.kills_of_client--;
}

/* --- all -------------------------------------------------------------------------------------- */

void
sim_operate(struct sim *sim)
{
	struct sim_host *host = &sim->hosts[sim_below(sim, sim->hosts_count)];
	const struct host *inside = sim_host_inside(sim, host);

	/* What was told before is to be in effect. */
	if (!host->present || sim->operator.asked != CHANNEL_READY || inside == NULL ||
			      inside->hold != host->hold)
		return;
	switch (sim_below(sim, 6)) {
	case 0:
	case 1:
		hold(sim, host);
		break;
	case 2:
		reconnect(sim, host);
		break;
	case 3:
		ask_host(sim, host);
		break;
	case 4:
		list(sim, host);
		break;
	case 5:
		kill_one(sim);
		break;
	}
}

bool
sim_operator_told(struct sim *sim, const struct channel_message *message)
{
	enum channel_type asked = sim->operator.asked;

	if (message->type != CHANNEL_HOST_IS && message->type != CHANNEL_ROWS &&
	    message->type != CHANNEL_KILLED)
		return false;
	if (message->ask.token != sim->operator.token)
		sim_fail(sim, "an answer to another question");
	sim->operator.asked = CHANNEL_READY;
	if (message->type == CHANNEL_HOST_IS && asked == CHANNEL_ASK_HOST) {
		check_host_is(sim, &message->host_is);
	} else if (message->type == CHANNEL_ROWS && asked == CHANNEL_QUERY) {
		check_rows(sim, &message->rows);
		if (message->rows.index != CHANNEL_HOSTS_ALL && sim_chance(sim, 700))
			say_query(sim);
		else if (!sim->stopping && sim_chance(sim, 500))
			kill_one(sim); /* while there is somebody of that number */
	} else if (message->type == CHANNEL_KILLED && asked == CHANNEL_KILL) {
		on_killed(sim, &message->kill);
	} else {
		sim_fail(sim, "an answer of another kind");
	}
	return true;
}
