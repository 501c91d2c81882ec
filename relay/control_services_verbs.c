/*
 * control_services_verbs.c - services list, show and reload.
 *
 * Who waits for a reload is told when a generation is in use that was begun after it, or could not
 * be.  Owns a struct control_services_wait for each call that waits.
 */
#include <stdlib.h>
#include <string.h>

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/control_services.h"
#include "relay/log.h"
#include "relay/settings.h"

enum {
	PAGE_MAX = 1000,
	US_PER_MS = 1000,
};

/* --- rows ------------------------------------------------------------------------------------- */

const char *
control_service_state(const struct control_service *service)
{
	const struct control_service_socket *socket = &service->sockets[CONTROL_SERVICE_PUBLIC];

	if (socket->retry_at != 0 && socket->fd < 0)
		return "no socket";
	if (service->current != NULL)
		return "up";
	if (service->asleep)
		return "asleep";
	/* Until one comes to be, whether the next one is due or being started. */
	return service->failed ? "failed" : "starting";
}

static Relay__Control__ServiceGeneration *
generation_row(struct control_call *call, const struct control_generation *generation,
	       const char *state)
{
	Relay__Control__ServiceGeneration *row = control_alloc(call, sizeof *row);
	uint64_t now = child_clock_ms();

	if (row == NULL)
		return NULL;
	relay__control__service_generation__init(row);
	row->number = generation->number;
	row->state = control_clean(call, state);
	row->running = generation->running;
	row->calls = generation->calls;
	if (generation->warm_at != 0)
		row->age_us = (now - generation->warm_at) * US_PER_MS;
	row->socket = control_clean(call, generation->path);
	return row;
}

static void
add_generation(struct control_call *call, Relay__Control__Service *row,
	       const struct control_generation *generation, const char *state)
{
	if (generation == NULL || row->generation == NULL)
		return;
	row->generation[row->n_generation] = generation_row(call, generation, state);
	row->n_generation += row->generation[row->n_generation] != NULL;
}

static void
fill_generations(struct control_call *call, const struct control_service *service,
		 Relay__Control__Service *row)
{
	const struct control_generation *generation;

	row->generation = control_alloc(call, (service->draining_count + 2) * sizeof(void *));
	add_generation(call, row, service->starting, "starting");
	add_generation(call, row, service->current, "in use");
	TAILQ_FOREACH(generation, &service->draining, entry)
		add_generation(call, row, generation, "draining");
}

static void
fill_settings(struct control_call *call, const struct control_service *service,
	      Relay__Control__Service *row)
{
	Relay__Control__Setting *rows = control_alloc(call, SETTING_COUNT * sizeof *rows);
	Relay__Control__Setting **list = control_alloc(call, SETTING_COUNT * sizeof(void *));
	char *text = control_alloc(call, SETTINGS_VALUE_TEXT_MAX);

	if (rows == NULL || list == NULL || text == NULL)
		return;
	row->setting = list;
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		if (setting->section != SETTING_SECTION_SERVICE)
			continue;
		Relay__Control__Setting *one = &rows[row->n_setting];
		relay__control__setting__init(one);
		setting_format(setting, setting_load(setting, &service->config->settings), text,
			       SETTINGS_VALUE_TEXT_MAX);
		one->name = control_clean(call, setting->key);
		one->value = control_clean(call, text);
		list[row->n_setting++] = one;
	}
}

static void
count_calls(const struct control_service *service, Relay__Control__Service *row)
{
	const struct control_generation *generation;

	row->calls = service->calls;
	if (service->current != NULL) {
		row->running = service->current->running;
		row->calls += service->current->calls;
	}
	TAILQ_FOREACH(generation, &service->draining, entry) {
		row->running += generation->running;
		row->calls += generation->calls;
	}
}

static Relay__Control__Service *
service_row(struct control_call *call, const struct control_service *service, bool whole)
{
	Relay__Control__Service *row = control_alloc(call, sizeof *row);
	uint64_t now = child_clock_ms();

	if (row == NULL)
		return NULL;
	relay__control__service__init(row);
	row->name = control_clean(call, service->config->name);
	row->state = control_clean(call, control_service_state(service));
	row->socket = control_clean(call, service->sockets[CONTROL_SERVICE_PUBLIC].path);
	row->extended_socket = control_clean(call, service->sockets[CONTROL_SERVICE_EXTENDED].path);
	row->worker = service->index % call->control->options->worker_count;
	row->waiting = service->waiting;
	row->starts = service->starts;
	row->failures = service->failures;
	row->last = control_clean(call, service->last);
	if (service->start_at > now)
		row->next_us = (service->start_at - now) * US_PER_MS;
	count_calls(service, row);
	row->counters = control_service_counters(call, service);
	if (whole) {
		fill_generations(call, service, row);
		fill_settings(call, service, row);
	}
	return row;
}

/* --- list and show ---------------------------------------------------------------------------- */

/* In the order of their names, as the configuration has them; a page begins at a number. */
void
control_do_services_list(struct control_call *call)
{
	const struct config *config = &call->control->config;
	const char *cursor = call->request->cursor;
	Relay__Control__Reply reply;
	Relay__Control__Services services;
	uint64_t page = call->request->page_size;
	uint64_t at = 0;

	relay__control__reply__init(&reply);
	relay__control__services__init(&services);
	if (cursor[0] != '\0' && (!control_parse_number(&cursor, &at) || cursor[0] != '\0')) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE, "it is no cursor of ours");
		return;
	}
	if (page == 0 || page > PAGE_MAX)
		page = PAGE_MAX;
	services.service = control_alloc(call, page * sizeof(void *));
	for (; services.service != NULL && at < config->service_count && services.n_service < page;
	     at++) {
		const struct control_service *service =
		    control_service_find(call->control, config->services[at].name);
		Relay__Control__Service *row =
		    service == NULL ? NULL : service_row(call, service, false);
		if (row != NULL)
			services.service[services.n_service++] = row;
	}
	if (at < config->service_count)
		reply.next_cursor = control_text(call, "%llu", (unsigned long long)at);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_SERVICES;
	reply.services = &services;
	control_answer(call, &reply);
}

struct control_service *
control_argument_service(struct control_call *call)
{
	const char *name = call->request->arguments[0];
	struct control_service *service = control_service_find(call->control, name);

	if (service == NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "no service %s", name);
	return service;
}

void
control_do_services_show(struct control_call *call)
{
	const struct control_service *service = control_argument_service(call);
	Relay__Control__Reply reply;
	Relay__Control__Services services;

	if (service == NULL)
		return;
	relay__control__reply__init(&reply);
	relay__control__services__init(&services);
	Relay__Control__Service *row = service_row(call, service, true);
	services.service = &row;
	services.n_service = row != NULL;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_SERVICES;
	reply.services = &services;
	control_answer(call, &reply);
}

/* --- reload ----------------------------------------------------------------------------------- */

struct control_services_wait {
	LIST_ENTRY(control_services_wait) entry;
	struct control_call *call;
	const struct control_service *service;
	uint32_t after; /* the last generation that was begun before */
};

/* Takes the call out of the wait, which ends. */
static struct control_call *
let_go(struct control_services_wait *wait)
{
	struct control_call *call = wait->call;
	struct control_services *services = &call->control->services;

	call->state = NULL;
	call->gone = call->due = NULL;
	if (services->cursor == wait)
		services->cursor = LIST_NEXT(wait, entry);
	LIST_REMOVE(wait, entry);
	free(wait);
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
	let_go(call->state);
	control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
			     "the new generation is not warm yet");
}

void
control_service_settled(struct control *control, const struct control_service *service,
			uint32_t number, const char *why)
{
	struct control_services *services = &control->services;
	struct control_services_wait *wait;

	/* An answer may end a connection, and with it other calls: let_go() moves the cursor on. */
	services->cursor = LIST_FIRST(&services->waits);
	while ((wait = services->cursor) != NULL) {
		services->cursor = LIST_NEXT(wait, entry);
		if (wait->service != service || number <= wait->after)
			continue;
		if (why == NULL)
			control_answer_change(let_go(wait), service->config->name, "reloaded",
					      true);
		else
			control_answer_error(let_go(wait), RELAY__CONTROL__CODE__FAILED,
					     "not reloaded: %s", why);
	}
}

static void
wait_for(struct control_call *call, const struct control_service *service)
{
	struct control_services_wait *wait = calloc(1, sizeof *wait);

	if (wait == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	wait->call = call;
	wait->service = service;
	wait->after = call->control->services.generation;
	call->state = wait;
	call->gone = on_gone;
	call->due = on_expired;
	LIST_INSERT_HEAD(&call->control->services.waits, wait, entry);
}

void
control_do_services_reload(struct control_call *call)
{
	struct control_service *service = control_argument_service(call);

	if (service == NULL)
		return;
	if (call->request->dry_run) {
		control_answer_change(call, service->config->name, "would be started anew", true);
		return;
	}
	log_info(NULL, "service %s: reloaded by an operator", service->config->name);
	control_service_restart(call->control, service, child_clock_ms());
	if (call->deadline_ms != 0)
		wait_for(call, service);
	else
		control_answer_change(call, service->config->name, "starting anew", true);
}
