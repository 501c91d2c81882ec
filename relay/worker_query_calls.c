/*
 * worker_query_calls.c - calls of services, for worker_query.c: rows of them, and their kill.
 *
 * Never tells anything of a request: arguments and environment may hold secrets.
 */
#include "relay/worker_query.h"

#include <assert.h>
#include <string.h>

#include "relay/call.h"

/* Their lists are by state: the lowest numbers behind this one are picked out in one pass. */
static uint32_t
pick_calls(const struct service *service, uint64_t number, const struct call **picked, uint32_t max)
{
	const struct call *call;
	uint32_t count = 0;

	assert(max > 0);
	for (int state = 0; state < CALL_STATE_COUNT; state++) {
		TAILQ_FOREACH(call, &service->calls[state], entry) {
			if (call->number <= number ||
			    (count == max && picked[count - 1]->number < call->number))
				continue;
			uint32_t at = count < max ? count++ : count - 1;
			for (; at > 0 && picked[at - 1]->number > call->number; at--)
				picked[at] = picked[at - 1];
			picked[at] = call;
		}
	}
	return count;
}

static uint64_t
waited(const struct call *call, uint64_t now)
{
	if (call->queued_at == 0)
		return 0;
	return (call->taken_at != 0 ? call->taken_at : now) - call->queued_at;
}

static void
add_call(struct channel_rows *rows, const struct call *call)
{
	struct channel_row *row = &rows->rows[rows->count++];
	uint64_t now = worker_now(call->service->worker);

	row->number = call->number;
	memcpy(row->host, call->service->name, sizeof call->service->name);
	row->state = call->state;
	row->uid = call->uid;
	row->pid = call->pid;
	row->age_us = (now - call->began_at) / 1000;
	row->wait_us = waited(call, now) / 1000;
	if (call->generation != NULL)
		row->generation = call->generation->number;
}

bool
worker_query_calls(const struct service *service, struct channel_rows *rows, uint32_t max,
		   uint64_t *number)
{
	const struct call *picked[CHANNEL_ROWS_MAX + 1];
	uint32_t room = max - rows->count;

	assert(room <= CHANNEL_ROWS_MAX);
	/* One more, to know whether there is one. */
	uint32_t count = pick_calls(service, *number, picked, room + 1);

	for (uint32_t i = 0; i < count && i < room; i++) {
		add_call(rows, picked[i]);
		*number = picked[i]->number;
	}
	return count > room;
}

static bool
kill_of(struct service *service, const struct channel_kill *kill)
{
	struct call *call;

	for (int state = 0; state < CALL_CLOSING; state++) {
		TAILQ_FOREACH(call, &service->calls[state], entry) {
			if (call->number != kill->number)
				continue;
			if (!kill->dry_run)
				call_close(call, CALL_KILLED);
			return true;
		}
	}
	return false;
}

bool
worker_kill_call(struct worker *worker, const struct channel_kill *kill)
{
	struct service *service;

	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL && kill_of(worker->services[i], kill))
			return true;
	}
	TAILQ_FOREACH(service, &worker->leaving_services, leaving_entry) {
		if (kill_of(service, kill))
			return true;
	}
	return false;
}
