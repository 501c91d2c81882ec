/*
 * control_hosts_verbs.c - hosts pause, resume, drain, reconnect: what an operator wants of a host
 * is kept in its control_host and told to its workers.
 *
 * Who waits for the effect has the workers asked for it, one after the other, every few
 * milliseconds: nothing is kept in a worker, so one that dies or a call that ends leaves nothing
 * behind.  Owns a struct effect for each call that waits.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/log.h"

#define LOOK_EVERY_MS 20u

enum effect_kind {
	EFFECT_PAUSE,
	EFFECT_DRAIN,
	EFFECT_RESUME,
	EFFECT_RECONNECT,
};

/* How each is spoken of. */
static const struct {
	enum host_hold hold; /* HOST_HOLD_KEEP: it does not change it */
	const char *would;
	const char *does;
	const char *already;
	const char *done;
} kinds[] = {
	[EFFECT_PAUSE] = { HOST_HOLD_PAUSED, "would be paused", "pausing", "already paused",
			   "paused" },
	[EFFECT_DRAIN] = { HOST_HOLD_DRAINING, "would be drained", "draining", "already draining",
			   "drained" },
	[EFFECT_RESUME] = { HOST_HOLD_NONE, "would be resumed", "resuming", "not held", "resumed" },
	[EFFECT_RECONNECT] = { HOST_HOLD_KEEP, "would get new links", "reconnecting", "",
			       "reconnected" },
};

struct effect {
	struct control_call *call;
	enum effect_kind kind;
	char id[HOST_ID_MAX + 1];
	bool changed;
	uint32_t worker;             /* the one that is looked at; those before it are there */
	struct channel_host_is last; /* what it said; not known: nothing yet */
	struct control_ask ask;
};

static void on_look(struct control_ask *ask, const struct channel_message *message);

void
control_host_learn_hold(struct control *control, struct control_host *host, enum host_hold hold)
{
	if (host->hold != HOST_HOLD_KEEP ||
	    (hold != HOST_HOLD_PAUSED && hold != HOST_HOLD_DRAINING))
		return;
	host->hold = hold;
	log_info(host->id, "%s is still %s", host->id,
		 hold == HOST_HOLD_PAUSED ? "paused" : "drained");
	control_host_tell(control, host);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Takes the call out of the effect, which ends. */
static struct control_call *
let_go(struct effect *effect)
{
	struct control_call *call = effect->call;

	control_ask_drop(&effect->ask);
	call->state = NULL;
	call->gone = call->due = NULL;
	free(effect);
	return call;
}

static void
on_gone(struct control_call *call)
{
	let_go(call->state);
}

static void
on_expired(struct control_call *call)
{
	struct effect *effect = call->state;
	enum effect_kind kind = effect->kind;
	struct channel_host_is last = effect->last;
	uint32_t worker = effect->worker;
	struct control_host *host = control_host_by_id(call->control, effect->id);
	bool asked = host != NULL && control_host_told(call->control, host, worker);

	let_go(effect);
	if (!last.known && asked)
		control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
				     "worker-%u has not answered yet", worker);
	else if (!last.known)
		control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
				     "no worker serves it at the moment");
	else if (kind == EFFECT_PAUSE)
		control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
				     "paused, but %u in flight", last.in_flight);
	else if (kind == EFFECT_DRAIN)
		control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
				     "draining, but %u links are left, %u requests in flight",
				     last.links, last.in_flight);
	else
		control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
				     "the peer is tried, but no link is ready");
}

/* --- waiting ---------------------------------------------------------------------------------- */

static bool
reached(enum effect_kind kind, const struct channel_host_is *is)
{
	switch (kind) {
	case EFFECT_PAUSE:
		return is->known && is->hold == HOST_HOLD_PAUSED && is->in_flight == 0;
	case EFFECT_DRAIN:
		return is->known && is->hold == HOST_HOLD_DRAINING && is->links == 0;
	case EFFECT_RESUME:
		return is->known && is->hold == HOST_HOLD_NONE && is->reachable;
	case EFFECT_RECONNECT:
		return control_links_renewed(is);
	}
	return false;
}

static void
look_later(struct effect *effect)
{
	if (!control_ask_later(effect->call->control, &effect->ask, LOOK_EVERY_MS, on_look))
		control_answer_error(let_go(effect), RELAY__CONTROL__CODE__LIMIT,
				     "too much is waited for at the moment");
}

/* Asks the next worker, or has the answer. */
static void
look(struct effect *effect)
{
	struct control *control = effect->call->control;
	struct control_host *host = control_host_by_id(control, effect->id);
	enum host_hold hold = kinds[effect->kind].hold;
	struct channel_message message = { .type = CHANNEL_ASK_HOST };

	if (host == NULL) {
		control_answer_error(let_go(effect), RELAY__CONTROL__CODE__NOT_FOUND,
				     "the host was removed meanwhile");
		return;
	}
	if (hold != HOST_HOLD_KEEP && host->hold != hold) {
		control_answer_error(let_go(effect), RELAY__CONTROL__CODE__FAILED,
				     "somebody else changed it meanwhile");
		return;
	}
	while (host->index != CONTROL_INDEX_NONE &&
	       effect->worker < control->options->worker_count &&
	       !control_host_at_home(control, host, effect->worker))
		effect->worker++;
	if (effect->worker == control->options->worker_count) {
		bool changed = effect->changed;
		const char *done = kinds[effect->kind].done;
		control_answer_change(let_go(effect), host->id, done, changed);
		return;
	}
	message.ask.index = host->index;
	if (host->index == CONTROL_INDEX_NONE ||
	    !control_host_told(control, host, effect->worker) ||
	    !control_ask(control, &effect->ask, effect->worker, &message, -1, CONTROL_ASK_MS,
			 on_look))
		look_later(effect);
}

static void
on_look(struct control_ask *ask, const struct channel_message *message)
{
	struct effect *effect =
	    (struct effect *)(void *)((char *)ask - offsetof(struct effect, ask));

	if (message == NULL) {
		look(effect); /* it is time, or the worker has ended: its successor is asked */
		return;
	}
	if (message->type == CHANNEL_HOST_IS)
		effect->last = message->host_is;
	if (!reached(effect->kind, &effect->last)) {
		look_later(effect);
		return;
	}
	effect->worker++;
	effect->last = (struct channel_host_is){ .known = 0 };
	look(effect);
}

static void
wait_for(struct control_call *call, const struct control_host *host, enum effect_kind kind,
	 bool changed)
{
	struct effect *effect = calloc(1, sizeof *effect);

	if (effect == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	effect->call = call;
	effect->kind = kind;
	effect->changed = changed;
	memcpy(effect->id, host->id, sizeof effect->id);
	call->state = effect;
	call->gone = on_gone;
	call->due = on_expired;
	look(effect);
}

/* --- verbs ------------------------------------------------------------------------------------ */

/* false: one of the workers could not be told. */
static bool
reconnect(struct control *control, const struct control_host *host)
{
	struct channel_message message = { .type = CHANNEL_RECONNECT };
	bool told = true;

	message.name.index = host->index;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		/* One that was not told of it yet begins with new links anyway. */
		if (host->index != CONTROL_INDEX_NONE && control_host_told(control, host, i) &&
		    channel_send(control->workers[i].channel, &message, -1) != 0)
			told = false;
	}
	return told;
}

static void
change(struct control_call *call, enum effect_kind kind)
{
	struct control_host *host = control_argument_host(call);
	enum host_hold hold = kinds[kind].hold;

	if (host == NULL)
		return;
	if (kind == EFFECT_RECONNECT && host->hold == HOST_HOLD_DRAINING) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "it is drained: no links until it is resumed");
		return;
	}
	bool changed = kind == EFFECT_RECONNECT ? true
		       : hold == HOST_HOLD_NONE ? control_host_held(host)
						: host->hold != hold;
	if (call->request->dry_run) {
		control_answer_change(call, host->id,
				      changed ? kinds[kind].would : kinds[kind].already, changed);
		return;
	}
	if (kind == EFFECT_RECONNECT && !reconnect(call->control, host)) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "a worker does not take messages");
		return;
	}
	if (hold != HOST_HOLD_KEEP && host->hold != hold) {
		host->hold = hold;
		control_host_tell(call->control, host);
		if (hold == HOST_HOLD_NONE)
			control_delayed_host_up(call->control, host); /* they waited too */
	}
	if (changed)
		log_info(host->id, "%s %s by an operator", host->id, kinds[kind].done);
	if (call->deadline_ms != 0)
		wait_for(call, host, kind, changed);
	else
		control_answer_change(call, host->id,
				      changed ? kinds[kind].does : kinds[kind].already, changed);
}

void
control_do_hosts_pause(struct control_call *call)
{
	change(call, EFFECT_PAUSE);
}

void
control_do_hosts_drain(struct control_call *call)
{
	change(call, EFFECT_DRAIN);
}

void
control_do_hosts_resume(struct control_call *call)
{
	change(call, EFFECT_RESUME);
}

void
control_do_hosts_reconnect(struct control_call *call)
{
	change(call, EFFECT_RECONNECT);
}
