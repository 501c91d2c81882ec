/*
 * control_health.c - the verb `health`: whether the relay lives and serves, and what is wrong or
 * soon will be.
 *
 * Changes nothing and asks nobody: what is told here the control process knows.
 */
#include "relay/control_call.h"

#include "relay/control.h"
#include "relay/control_expiry.h"
#include "relay/control_messages_stats.h"
#include "relay/control_services.h"
#include "relay/resolve.h"

#include <inttypes.h>
#include <string.h>

enum {
	REASONS_MAX = 20,
};

static void
add_reason(Relay__Control__Health *health, char *reason)
{
	if (health->n_reason < REASONS_MAX && reason != NULL)
		health->reason[health->n_reason++] = reason;
}

/* The workers that are missing; whether there are none. */
static bool
check_workers(struct control_call *call, Relay__Control__Health *health)
{
	const struct control *control = call->control;
	bool all = true;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (control_worker_ready(&control->workers[i]))
			continue;
		all = false;
		add_reason(health,
			   control_text(call,
					control->loaded ? "worker-%" PRIu32 " is not serving"
							: "worker-%" PRIu32 " was told of no host",
					i));
	}
	return all;
}

/* Most lines of the log name the host they are about. */
static char *
down_text(struct control_call *call, const struct control_host *host)
{
	const char *last = host->last_log.text;

	if (last[0] == '\0')
		return control_text(call, "%s is down", host->id);
	if (strstr(last, host->id) != NULL)
		return control_clean(call, last);
	return control_text(call, "%s is down: %s", host->id, last);
}

static void
check_hosts(struct control_call *call, Relay__Control__Health *health)
{
	const struct control *control = call->control;
	uint32_t more = 0;

	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		const struct control_host *host = control->hosts[i];
		bool held = host != NULL && control_host_held(host);
		if (host == NULL || (!held && !control_host_down(host)))
			continue;
		if (health->n_reason < REASONS_MAX - 1 && held)
			add_reason(
			    health,
			    control_text(call, "%s is %s by an operator", host->id,
					 host->hold == HOST_HOLD_PAUSED ? "paused" : "drained"));
		else if (health->n_reason < REASONS_MAX - 1)
			add_reason(health, down_text(call, host));
		else
			more++;
	}
	if (more > 0)
		add_reason(health,
			   control_text(call, "%" PRIu32 " more hosts are down or held", more));
}

struct certificates {
	struct control_call *call;
	Relay__Control__Health *health;
	uint32_t more;
};

static void
add_certificate(void *context, const char *host, const char *text)
{
	struct certificates *all = context;

	if (all->health->n_reason >= REASONS_MAX / 2)
		all->more++;
	else if (host == NULL)
		add_reason(all->health, control_clean(all->call, text));
	else
		add_reason(all->health, control_text(all->call, "%s: %s", host, text));
}

/* Own ones and those of peers that are soon over, or already; hosts have their room too. */
static void
check_certificates(struct control_call *call, Relay__Control__Health *health)
{
	struct certificates all = { .call = call, .health = health };

	control_expiry_each(call->control, add_certificate, &all);
	if (all.more > 0)
		add_reason(health,
			   control_text(call, "%" PRIu32 " more certificates expire", all.more));
}

/* Those that cannot be called. */
static void
check_services(struct control_call *call, Relay__Control__Health *health)
{
	const struct control *control = call->control;

	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		const struct control_service *service = control->services.table[i];
		if (service != NULL && control_service_has_failed(service))
			add_reason(health, control_text(call, "service %s: %s",
							service->config->name, service->last));
	}
}

/* Those that nobody can come in by. */
static void
check_gateways(struct control_call *call, Relay__Control__Health *health)
{
	const struct control *control = call->control;

	for (size_t i = 0; i < GATEWAYS_MAX; i++) {
		const struct control_gateway *gateway = &control->gateways.table[i];

		for (uint32_t k = 0; gateway->config != NULL && k < gateway->doors_count; k++) {
			const struct control_gateway_door *door = &gateway->doors[k];
			char text[RESOLVE_TEXT_MAX];

			if (door->error == 0 || door->fd >= 0)
				continue;
			resolve_text((const struct sockaddr *)&door->address, text);
			add_reason(health, control_text(call, "gateway %s: %s: %s", gateway->name,
							text, strerror(-door->error)));
		}
	}
}

void
control_do_health(struct control_call *call)
{
	const struct control *control = call->control;
	Relay__Control__Reply reply;
	Relay__Control__Health health;
	char *reasons[REASONS_MAX];

	relay__control__reply__init(&reply);
	relay__control__health__init(&health);
	health.reason = reasons;
	health.live = true;
	bool serving = check_workers(call, &health) && control->listed;
	if (!control->last_load_ok)
		add_reason(&health, control_text(call, "the last reload was refused"));
	check_services(call, &health);
	check_certificates(call, &health);
	if (control_messages_trouble(control) != NULL)
		add_reason(&health, control_text(call, "nothing is kept for clients: %s",
						 control_messages_trouble(control)));
	check_gateways(call, &health);
	check_hosts(call, &health);
	/* If nothing could be read, the workers go on with what the process before this said. */
	bool starts = !control->ready_once && control->last_load_ok;
	health.ready = serving && control->loaded && !control->ending;
	health.status = control_clean(call, control->ending       ? "stopping"
					    : starts              ? "starting"
					    : health.n_reason > 0 ? "degraded"
								  : "ready");
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HEALTH;
	reply.health = &health;
	control_answer(call, &reply);
}
