/*
 * control_apply_wait.c - who waits until a configuration that was taken over has its effect.
 *
 *   keeper and workers are told -> a link to every address that changed is ready -> answered
 *
 * That of a host which an operator holds is not waited for.  Workers are asked one after the other,
 * every few milliseconds, and remember nothing.  Owns a struct control_apply_wait for each call.
 */
#include "relay/control_apply.h"

#include "relay/control_ask.h"

#include <stddef.h>
#include <stdlib.h>

#define LOOK_EVERY_MS 20u

/* The configuration is in force, and the answer is made. */
struct control_apply_wait {
	LIST_ENTRY(control_apply_wait) entry; /* until all were told */
	struct control_call *call;
	Relay__Control__Reply reply; /* what it points to is the call's */
	bool told;
	uint64_t generation; /* that it waits for */
	uint32_t index;      /* host that is looked at; */
	uint32_t worker;     /* of this one, and those before are there */
	struct control_ask ask;
};

static void on_look(struct control_ask *ask, const struct channel_message *message);

/* Whether keeper and workers were sent all that it means for them. */
static bool
all_told(struct control *control)
{
	if (!control->listed || control->list_next < control->config.host_count ||
	    channel_queued(control->keeper) > 0)
		return false;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct control_worker *worker = &control->workers[i];
		if (worker->channel != NULL &&
		    (!control_worker_ready(worker) || channel_queued(worker->channel) > 0))
			return false;
	}
	return control_hosts_settled(control);
}

/* --- the end ---------------------------------------------------------------------------------- */

static Relay__Control__Reply
wait_end(struct control_apply_wait *wait)
{
	Relay__Control__Reply reply = wait->reply;

	wait->call->gone = NULL;
	wait->call->due = NULL;
	wait->call->state = NULL;
	if (!wait->told)
		LIST_REMOVE(wait, entry);
	control_ask_drop(&wait->ask);
	free(wait);
	return reply;
}

static void
on_gone(struct control_call *call)
{
	wait_end(call->state);
}

static void
answer_unfinished(struct control_apply_wait *wait, char *text)
{
	struct control_call *call = wait->call;
	Relay__Control__Reply reply = wait_end(wait);

	reply.code = RELAY__CONTROL__CODE__WAIT_EXPIRED;
	reply.error = text;
	control_answer(call, &reply);
}

static void
on_due(struct control_call *call)
{
	static char untold[] = "it is in force, but not every worker was told yet";
	struct control_apply_wait *wait = call->state;
	const struct control_host *host = control_host_at(call->control, wait->index);

	if (wait->told && host != NULL)
		answer_unfinished(wait,
				  control_text(call,
					       "it is in force, but no link to the new address of "
					       "%s is ready yet",
					       host->id));
	else
		answer_unfinished(wait, untold);
}

/* --- links to new addresses ------------------------------------------------------------------- */

static void
look_later(struct control_apply_wait *wait)
{
	static char text[] = "it is in force, but too much is waited for at the moment";

	if (!control_ask_later(wait->call->control, &wait->ask, LOOK_EVERY_MS, on_look))
		answer_unfinished(wait, text);
}

/* Moves on to the next host and worker that is to be asked; NULL: there is none. */
static const struct control_host *
next_place(struct control_apply_wait *wait)
{
	struct control *control = wait->call->control;

	for (; wait->index < control->hosts_cap; wait->index++, wait->worker = 0) {
		const struct control_host *host = control_host_at(control, wait->index);
		if (host == NULL || host->moved_in != wait->generation || control_host_held(host) ||
		    host->listener < 0)
			continue;
		for (; wait->worker < control->options->worker_count; wait->worker++) {
			if (control_host_at_home(control, host, wait->worker))
				return host;
		}
	}
	return NULL;
}

static void
look(struct control_apply_wait *wait)
{
	struct control_call *call = wait->call;
	const struct control_host *host = next_place(wait);
	struct channel_message message = { .type = CHANNEL_ASK_HOST };

	if (host == NULL) {
		Relay__Control__Reply reply = wait_end(wait);
		control_answer(call, &reply);
		return;
	}
	message.ask.index = host->index;
	if (host->moving || !control_host_told(call->control, host, wait->worker) ||
	    !control_ask(call->control, &wait->ask, wait->worker, &message, -1, CONTROL_ASK_MS,
			 on_look))
		look_later(wait);
}

static void
on_look(struct control_ask *ask, const struct channel_message *message)
{
	struct control_apply_wait *wait =
	    (struct control_apply_wait *)(void *)((char *)ask -
						  offsetof(struct control_apply_wait, ask));

	if (message == NULL) {
		look(wait); /* it is time, or the worker has ended: its successor is asked */
		return;
	}
	if (message->type != CHANNEL_HOST_IS || !control_links_renewed(&message->host_is)) {
		look_later(wait);
		return;
	}
	wait->worker++;
	look(wait);
}

/* --- beginning -------------------------------------------------------------------------------- */

void
control_answer_when_told(struct control_call *call, Relay__Control__Reply *reply)
{
	struct control_apply_wait *wait = NULL;

	if (call->deadline_ms != 0)
		wait = calloc(1, sizeof *wait);
	if (wait == NULL) {
		control_answer(call, reply);
		return;
	}
	wait->call = call;
	wait->reply = *reply;
	wait->generation = call->control->generation;
	call->state = wait;
	call->gone = on_gone;
	call->due = on_due;
	LIST_INSERT_HEAD(&call->control->apply_waits, wait, entry);
}

void
control_apply_run(struct control *control)
{
	struct control_apply_wait *wait;

	while ((wait = LIST_FIRST(&control->apply_waits)) != NULL && all_told(control)) {
		LIST_REMOVE(wait, entry);
		wait->told = true;
		look(wait);
	}
}
