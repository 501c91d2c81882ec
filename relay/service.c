/*
 * service.c - doors, generations and queue of one service in a worker, and what control is told.
 *
 * Decides when somebody is accepted and which call goes where; what is said on the connections is
 * the business of call.c and call_give.c.  Owns the public sockets.
 */
#include "relay/service.h"

#include "relay/call.h"
#include "relay/log.h"
#include "uring/fds.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
look_at(struct service *service, uint64_t at)
{
	if (!uring_timer_armed(&service->look) || service->look.at > at)
		uring_timer_set(service->worker->ring, &service->look, at);
}

void
service_touch(struct service *service)
{
	look_at(service, worker_now(service->worker));
}

/* --- doors ------------------------------------------------------------------------------------ */

/* When the client that has been at its request longest may be asked to make room. */
static uint64_t
fair_at(const struct service *service)
{
	const struct call *oldest = TAILQ_FIRST(&service->calls[CALL_COLLECTING]);

	return oldest->began_at + ms_to_ns(CALLS_COLLECTING_FAIR_MS);
}

/* Also silent clients were greeted: one that is closed knows that nobody will serve it. */
static void
make_room(struct service *service)
{
	if (service->counts[CALL_COLLECTING] < CALLS_COLLECTING_MAX ||
	    worker_now(service->worker) < fair_at(service))
		return;
	log_info(NULL, "%s: too many clients that send no request", service->name);
	call_close(TAILQ_FIRST(&service->calls[CALL_COLLECTING]), CALL_SLOW_REQUEST);
}

static void
on_accepted(struct uring_op *op, int res, const uint8_t *data)
{
	struct service_door *door = uring_container_of(op, struct service_door, op);
	struct service *service = door->service;

	(void)data;
	if (res >= 0 && !service->leaving) {
		make_room(service);
		call_accept(door, res);
	} else if (res >= 0) {
		uring_close(service->worker->ring, res); /* ungreeted: it looks elsewhere */
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		worker_pause_accepting(service->worker);
	}
	service_touch(service);
}

/* Whoever waits at the old socket would be lost with it. */
static void
empty_listener(struct service_door *door)
{
	int fd;

	for (uint32_t i = 0; i < CALLS_COLLECTING_MAX; i++) {
		if ((fd = uring_accept_waiting(door->listener)) < 0)
			return;
		call_accept(door, fd);
	}
}

static void
take_next(struct service_door *door)
{
	struct service *service = door->service;

	if (door->next < 0 || door->op.in_flight)
		return;
	if (door->listener >= 0) {
		if (!service->leaving)
			empty_listener(door);
		uring_close(service->worker->ring, door->listener);
	}
	door->listener = door->next;
	door->next = -1;
}

static void
replace_listener(struct service_door *door, int listener)
{
	struct uring *ring = door->service->worker->ring;

	if (door->next >= 0)
		uring_close(ring, door->next);
	door->next = listener;
	if (door->op.in_flight)
		uring_cancel(ring, &door->op);
}

/* One is enough: more arms again after each, within the turn. */
static void
arm_accepts(struct service *service)
{
	struct worker *worker = service->worker;

	if (service->leaving || service->counts[CALL_WAITING] >= CALLS_WAITING_MAX)
		return;
	if (service->counts[CALL_COLLECTING] >= CALLS_COLLECTING_MAX &&
	    worker_now(worker) < fair_at(service)) {
		look_at(service, fair_at(service));
		return;
	}
	if (!worker_accepting(worker)) {
		worker_pause_accepting(worker);
		return;
	}
	for (int i = 0; i < SERVICE_DOORS; i++) {
		struct service_door *door = &service->doors[i];
		if (door->listener >= 0 && !door->op.in_flight)
			uring_accept(worker->ring, &door->op, door->listener);
	}
}

void
service_look_again(struct service *service)
{
	for (int i = 0; i < SERVICE_DOORS; i++) {
		if (service->doors[i].op.in_flight)
			uring_cancel(service->worker->ring, &service->doors[i].op);
	}
}

/* --- generations ------------------------------------------------------------------------------ */

static struct service_generation *
find_generation(struct service *service, uint32_t number)
{
	struct service_generation *generation;

	TAILQ_FOREACH(generation, &service->generations, entry) {
		if (generation->number == number)
			return generation;
	}
	return NULL;
}

static struct service_generation *
new_generation(struct service *service, uint32_t number)
{
	struct service_generation *generation = calloc(1, sizeof *generation);

	if (generation == NULL)
		return NULL;
	generation->number = number;
	TAILQ_INSERT_TAIL(&service->generations, generation, entry);
	return generation;
}

/* Calls that it has not greeted need not wait for it any longer. */
static void
take_back(struct service *service, const struct service_generation *generation)
{
	struct call *call;
	struct call *next;

	for (call = TAILQ_FIRST(&service->calls[CALL_CONNECTED]); call != NULL; call = next) {
		next = TAILQ_NEXT(call, entry);
		if (call->generation == generation)
			call_put_back(call);
	}
}

static void
free_generations(struct service *service, bool all)
{
	struct service_generation *generation;
	struct service_generation *next;

	for (generation = TAILQ_FIRST(&service->generations); generation != NULL;
	     generation = next) {
		next = TAILQ_NEXT(generation, entry);
		if (generation->running > 0 ||
		    !(all || generation->state == SERVICE_GENERATION_GONE))
			continue;
		TAILQ_REMOVE(&service->generations, generation, entry);
		free(generation);
	}
}

void
service_on_generation(struct service *service, const struct channel_service_generation *message)
{
	struct service_generation *generation = find_generation(service, message->generation);

	if (generation == NULL && message->state == SERVICE_GENERATION_GONE)
		return;
	if (generation == NULL)
		generation = new_generation(service, message->generation);
	if (generation == NULL) {
		log_error(NULL, "%s: no memory for a generation", service->name);
		return;
	}
	generation->state = message->state;
	memcpy(generation->path, message->path, sizeof generation->path);
	generation->path[sizeof generation->path - 1] = '\0';
	generation->known = true;
	if (message->state == SERVICE_GENERATION_USE) {
		if (service->current != NULL && !service->current->known)
			service->current->state = SERVICE_GENERATION_GONE;
		service->current = generation;
		service->not_before = 0;
	} else if (service->current == generation) {
		service->current = NULL;
	}
	if (message->state == SERVICE_GENERATION_GONE)
		take_back(service, generation);
	/* It may have nothing to wait for; then it has to be told, too. */
	generation->urgent = true;
	service_on_change(service, generation);
}

void
service_on_sync(struct service *service, bool end)
{
	struct service_generation *generation;

	TAILQ_FOREACH(generation, &service->generations, entry) {
		if (!end)
			generation->known = false;
		else if (!generation->known && generation != service->current)
			generation->state = SERVICE_GENERATION_GONE;
	}
	service_touch(service);
}

void
service_on_refused(struct service *service, struct service_generation *generation)
{
	generation->refused = true;
	generation->urgent = true;
	if (service->current == generation)
		service->not_before = worker_now(service->worker) + ms_to_ns(SERVICE_RETRY_MS);
	service_on_change(service, generation);
}

/* --- the queue -------------------------------------------------------------------------------- */

static bool
has_slot(const struct service *service)
{
	uint32_t max = service->settings.calls_max;

	return !TAILQ_EMPTY(&service->calls[CALL_WAITING]) && service->current != NULL &&
	       !service->leaving && (max == 0 || service_running(service) < max);
}

static void
pump(struct service *service)
{
	uint64_t now = worker_now(service->worker);

	while (has_slot(service) && now >= service->not_before) {
		struct service_generation *generation = service->current;
		switch (call_connect(TAILQ_FIRST(&service->calls[CALL_WAITING]), generation)) {
		case CALL_CONNECT_DONE:
			break;
		case CALL_CONNECT_LATER:
			return;
		case CALL_CONNECT_BUSY:
			service->not_before = now + ms_to_ns(SERVICE_BUSY_MS);
			break;
		case CALL_CONNECT_REFUSED:
			service_on_refused(service, generation);
			break;
		}
	}
	if (has_slot(service))
		look_at(service, service->not_before);
}

/* --- what control is told --------------------------------------------------------------------- */

/*
 * Control waits for the end of a generation's last call and for the first one that nobody can
 * serve; everything else it is told in time.
 */
void
service_on_change(struct service *service, struct service_generation *generation)
{
	if (generation == NULL) {
		service->changed = true;
		service->urgent |= service->counts[CALL_WAITING] <= 1;
	} else {
		generation->changed = true;
		generation->urgent |=
		    generation->running == 0 && generation->state != SERVICE_GENERATION_USE;
	}
	service_touch(service);
}

static void
tell(struct service *service, struct service_generation *generation)
{
	struct channel_message message = {
		.type = CHANNEL_SERVICE_CALLS,
		.service_calls = { .index = service->index,
				   .waiting = service->counts[CALL_WAITING] },
	};

	if (generation == NULL) {
		service->changed = service->urgent = false;
	} else {
		message.service_calls.generation = generation->number;
		message.service_calls.running = generation->running;
		message.service_calls.refused = generation->refused;
		message.service_calls.calls = generation->calls;
		generation->changed = generation->urgent = generation->refused = false;
	}
	worker_tell_control(service->worker, &message);
	service->tell_at = worker_now(service->worker) + ms_to_ns(SERVICE_TELL_MS);
}

/* One message a turn: what is urgent now, the rest when it is time. */
static void
tell_changes(struct service *service)
{
	bool due = worker_now(service->worker) >= service->tell_at;
	bool changed = service->changed, told = false;
	struct service_generation *generation;

	if (service->urgent || (due && service->changed)) {
		tell(service, NULL);
		told = true;
		changed = false;
	}
	TAILQ_FOREACH(generation, &service->generations, entry) {
		if (!told && (generation->urgent || (due && generation->changed))) {
			tell(service, generation);
			told = true;
		} else if (generation->urgent) {
			service_touch(service);
		} else {
			changed |= generation->changed;
		}
	}
	if (changed)
		look_at(service, service->tell_at);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool
is_over(const struct service *service)
{
	for (int i = 0; i < CALL_STATE_COUNT; i++) {
		if (service->counts[i] > 0)
			return false;
	}
	for (int i = 0; i < SERVICE_DOORS; i++) {
		if (service->doors[i].op.in_flight)
			return false;
	}
	return service->leaving;
}

static void
end(struct service *service)
{
	struct worker *worker = service->worker;

	for (int i = 0; i < SERVICE_DOORS; i++) {
		if (service->doors[i].listener >= 0)
			uring_close(worker->ring, service->doors[i].listener);
		if (service->doors[i].next >= 0)
			uring_close(worker->ring, service->doors[i].next);
	}
	stats_service_leave(&worker->stats->services, service->stats);
	free_generations(service, true);
	assert(TAILQ_EMPTY(&service->generations));
	uring_timer_clear(worker->ring, &service->look);
	worker_forget_service(worker, service);
	free(service);
}

/* At the end of a turn in which something happened, after all that happened. */
static void
on_look(struct uring_timer *timer)
{
	struct service *service = uring_container_of(timer, struct service, look);

	slab_turn(&service->worker->calls); /* nothing takes one before the next turn */
	if (is_over(service)) {
		end(service);
		return;
	}
	for (int i = 0; i < SERVICE_DOORS; i++)
		take_next(&service->doors[i]);
	pump(service);
	arm_accepts(service);
	if (service->leaving)
		return;
	tell_changes(service);
	free_generations(service, false);
}

struct service *
service_new(struct worker *worker, const struct channel_service *message, int listener)
{
	struct service *service = calloc(1, sizeof *service);

	if (service == NULL)
		return NULL;
	service->worker = worker;
	service->index = message->index;
	memcpy(service->name, message->name, sizeof service->name);
	service->name[sizeof service->name - 1] = '\0';
	service->stats = stats_service_take(&worker->stats->services, service->name);
	for (int i = 0; i < SERVICE_DOORS; i++) {
		service->doors[i] = (struct service_door){
			.op = { .done = on_accepted },
			.service = service,
			.listener = -1,
			.next = -1,
			.extended = i == SERVICE_DOOR_EXTENDED,
		};
	}
	for (int i = 0; i < CALL_STATE_COUNT; i++)
		TAILQ_INIT(&service->calls[i]);
	TAILQ_INIT(&service->generations);
	service->look.due = on_look;
	service_change(service, message, listener);
	return service;
}

void
service_change(struct service *service, const struct channel_service *message, int listener)
{
	struct service_generation *generation;
	int door = message->extended != 0 ? SERVICE_DOOR_EXTENDED : SERVICE_DOOR;

	service->settings = *message;
	if (service->settings.uid_count > SERVICE_UIDS_MAX)
		service->settings.uid_count = SERVICE_UIDS_MAX;
	if (listener >= 0)
		replace_listener(&service->doors[door], listener);
	/* Control may be another one. */
	TAILQ_FOREACH(generation, &service->generations, entry)
		generation->changed = true;
	service->changed = true;
	service_touch(service);
}

void
service_move(struct service *service, uint32_t index)
{
	service->index = index;
}

static void
close_list(struct service *service, enum call_state state)
{
	struct call *call;
	struct call *next;

	for (call = TAILQ_FIRST(&service->calls[state]); call != NULL; call = next) {
		next = TAILQ_NEXT(call, entry);
		call_close(call, CALL_STOPPED);
	}
}

void
service_leave(struct service *service)
{
	if (service->leaving)
		return;
	service->leaving = true;
	for (int i = 0; i < SERVICE_DOORS; i++) {
		if (service->doors[i].op.in_flight)
			uring_cancel(service->worker->ring, &service->doors[i].op);
	}
	close_list(service, CALL_COLLECTING);
	close_list(service, CALL_WAITING);
	service_touch(service);
}
