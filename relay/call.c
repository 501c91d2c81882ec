/*
 * call.c - the life of a call: accepted and greeted, from one state to the next, closed.
 *
 * Never reads or gives a byte of a request.  Owns both connections and the caller's descriptors.
 */
#include "relay/call_internal.h"

#include "relay/log.h"
#include "uring/fds.h"
#include "wire/pfi_signal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

const char *
call_state_text(enum call_state state)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		CALL_STATES(X)
#undef X
	};

	return state < CALL_STATE_COUNT ? texts[state] : "unknown";
}

/* --- states ----------------------------------------------------------------------------------- */

static bool
under_way(enum call_state state)
{
	return state == CALL_CONNECTED || state == CALL_GIVING || state == CALL_RUNNING;
}

/* From which states each one can be reached, as bits. */
static bool
may_follow(enum call_state from, enum call_state next)
{
	static const unsigned before[] = {
		[CALL_WAITING] = 1u << CALL_COLLECTING | 1u << CALL_CONNECTED | 1u << CALL_GIVING,
		[CALL_CONNECTED] = 1u << CALL_WAITING,
		[CALL_GIVING] = 1u << CALL_CONNECTED,
		[CALL_RUNNING] = 1u << CALL_GIVING,
		[CALL_CLOSING] = (1u << CALL_CLOSING) - 1, /* any but itself */
	};

	return (before[next] >> from & 1u) != 0;
}

static enum stats_service_gauge
gauge_of(enum call_state state)
{
	if (state == CALL_COLLECTING)
		return STATS_SERVICE_REQUESTS;
	return state == CALL_WAITING ? STATS_SERVICE_WAITING : STATS_SERVICE_RUNNING;
}

static void
enter_list(struct call *call)
{
	struct call_list *list = &call->service->calls[call->state];
	struct call *behind = NULL;

	/* One that was put back has its old place: mostly the first. */
	if (call->state == CALL_WAITING && (behind = TAILQ_LAST(list, call_list)) != NULL &&
	    behind->turn > call->turn) {
		behind = TAILQ_FIRST(list);
		while (behind->turn < call->turn)
			behind = TAILQ_NEXT(behind, entry);
		TAILQ_INSERT_BEFORE(behind, call, entry);
		return;
	}
	TAILQ_INSERT_TAIL(list, call, entry);
}

/* For whoever looks: how many there are, and since when. */
static void
note(struct call *call, enum call_state next)
{
	struct stats_service *stats = call->service->stats;
	uint64_t now = worker_now(call_worker(call));

	stats_uncount(&stats->gauges[gauge_of(call->state)]);
	if (next != CALL_CLOSING)
		stats_count(&stats->gauges[gauge_of(next)]);
	if (next == CALL_WAITING) {
		call->taken_at = 0;
		if (call->queued_at == 0)
			call->queued_at = now;
	} else if (next == CALL_GIVING) {
		call->taken_at = now;
	}
}

void
call_set_state(struct call *call, enum call_state next)
{
	struct service *service = call->service;
	struct service_generation *generation = call->generation;

	assert(may_follow(call->state, next));
	log_debug(NULL, "%s: call %" PRIu64 " %s -> %s", service->name, call->number,
		  call_state_text(call->state), call_state_text(next));
	TAILQ_REMOVE(&service->calls[call->state], call, entry);
	service->counts[call->state]--;
	if (under_way(next) && !under_way(call->state)) {
		generation->running++;
	} else if (under_way(call->state) && !under_way(next)) {
		generation->running--;
		call->generation = NULL;
	}
	if (call->state == CALL_WAITING || next == CALL_WAITING)
		service_on_change(service, service->current);
	if (generation != NULL)
		service_on_change(service, generation);
	note(call, next);
	call->state = next;
	service->counts[next]++;
	enter_list(call);
	service_touch(service);
}

/* --- the end ---------------------------------------------------------------------------------- */

void
call_reap(struct call *call)
{
	struct service *service = call->service;
	struct worker *worker = call_worker(call);

	if (call->client_poll.in_flight || call->server_poll.in_flight)
		return;
	uring_close(worker->ring, call->client);
	if (call->server >= 0)
		uring_close(worker->ring, call->server);
	TAILQ_REMOVE(&service->calls[CALL_CLOSING], call, entry);
	service->counts[CALL_CLOSING]--;
	worker->calls_count--;
	worker->call_fds -= CALL_FDS;
	slab_put(&worker->calls, call);
	service_touch(service);
}

static void
tell_slow(const struct call *call, enum call_end end, uint64_t duration)
{
	struct service *service = call->service;
	uint64_t taken_at = call->taken_at;
	struct channel_message message = {
		.type = CHANNEL_SERVICE_SLOW,
		.service_slow = {
			.index = service->index,
			.uid = call->uid,
			.pid = call->pid,
			.end = end,
			.status = end == CALL_ANSWERED ? call->answer.status : 0,
			.duration_us = duration / 1000,
			.wait_us = (taken_at != 0 ? taken_at - call->queued_at : duration) / 1000,
		},
	};

	if (!service->leaving && worker_may_log(service->worker))
		worker_tell_control(service->worker, &message);
}

/* How it ended, and how long that took. */
static void
count_end(const struct call *call, enum call_end end)
{
	struct stats_service *stats = call->service->stats;
	uint64_t slow = ms_to_ns(call->service->settings.slow_call_ms);

	service_count_end(call->service, end);
	if (call->queued_at == 0)
		return;
	uint64_t duration = worker_now(call_worker(call)) - call->queued_at;
	if (call->taken_at != 0)
		histogram_add(&stats->queue_wait, call->taken_at - call->queued_at);
	if (end == CALL_ANSWERED)
		histogram_add(&stats->duration, duration);
	if (slow != 0 && duration >= slow)
		tell_slow(call, end, duration);
}

void
call_close(struct call *call, enum call_end end)
{
	struct worker *worker = call_worker(call);

	if (call->state == CALL_CLOSING)
		return;
	count_end(call, end);
	call_set_state(call, CALL_CLOSING);
	uring_timer_clear(worker->ring, &call->timer);
	uring_timer_clear(worker->ring, &call->again);
	buffer_release(&call->message, &worker->memory);
	for (int i = 0; i < PFI_FDS; i++) {
		if (call->fds[i] >= 0)
			uring_close_passed(worker->ring, call->fds[i]);
		call->fds[i] = -1;
	}
	if (call->client_poll.in_flight)
		uring_cancel(worker->ring, &call->client_poll);
	if (call->server_poll.in_flight)
		uring_cancel(worker->ring, &call->server_poll);
	call_reap(call);
}

void
call_answer(struct call *call, uint32_t status, enum call_end end)
{
	uint8_t word[PFI_STATUS_SIZE];

	pfi_put_word(word, status);
	/* There is always room for so little; it fails when the client is gone. */
	if (uring_send_fd(call->client, word, sizeof word, -1) != (ssize_t)sizeof word)
		end = CALL_LEFT;
	call_close(call, end);
}

static void
on_due(struct uring_timer *timer)
{
	struct call *call = uring_container_of(timer, struct call, timer);
	bool collecting = call->state == CALL_COLLECTING;

	log_info(NULL, "%s: call of uid %" PRIu32 " ended: %s", call->service->name, call->uid,
		 collecting ? "its request took too long" : "call_timeout");
	call_close(call, collecting ? CALL_SLOW_REQUEST : CALL_TIMED_OUT);
}

void
call_set_clock(struct call *call, uint64_t timeout_ms)
{
	struct worker *worker = call_worker(call);

	if (timeout_ms == 0)
		uring_timer_clear(worker->ring, &call->timer);
	else
		uring_timer_set(worker->ring, &call->timer,
				worker_now(worker) + ms_to_ns(timeout_ms));
}

/* --- the beginning ---------------------------------------------------------------------------- */

static bool
allowed(const struct channel_service *settings, uint32_t uid)
{
	for (uint32_t i = 0; i < settings->uid_count; i++) {
		if (settings->uids[i] == uid)
			return true;
	}
	return settings->uid_count == 0;
}

static bool
greet(const struct call *call, bool extended)
{
	uint8_t greeting[PFI_EXTENDED_GREETING_SIZE];
	size_t len = extended ? PFI_EXTENDED_GREETING_SIZE : PFI_GREETING_SIZE;

	if (extended)
		pfi_put_extended_greeting(greeting);
	else
		pfi_put_greeting(greeting);
	return uring_send_fd(call->client, greeting, len, -1) == (ssize_t)len;
}

static struct call *
call_new(struct service *service, int fd)
{
	struct worker *worker = service->worker;
	struct call *call = slab_get(&worker->calls);

	if (call == NULL)
		return NULL;
	call->service = service;
	call->state = CALL_COLLECTING;
	call->client = fd;
	call->server = -1;
	call->timer.due = on_due;
	for (int i = 0; i < PFI_FDS; i++)
		call->fds[i] = -1;
	call->number = ++worker->last_number;
	call->began_at = worker_now(worker);
	call_init_client(call);
	call_init_server(call);
	TAILQ_INSERT_TAIL(&service->calls[CALL_COLLECTING], call, entry);
	service->counts[CALL_COLLECTING]++;
	stats_count(&service->stats->gauges[STATS_SERVICE_REQUESTS]);
	worker->calls_count++;
	worker->call_fds += CALL_FDS;
	return call;
}

void
call_accept(struct service_door *door, int fd)
{
	struct service *service = door->service;
	struct worker *worker = service->worker;
	uint32_t uid, pid;

	stats_count(&service->stats->calls);
	uring_peer(worker->ring, fd, &uid, &pid);
	if (!allowed(&service->settings, uid)) {
		service_count_end(service, CALL_FORBIDDEN);
		log_info(NULL, "%s: uid %" PRIu32 " may not call it", service->name, uid);
		uring_close(worker->ring, fd);
		return;
	}
	struct call *call = call_new(service, fd);
	if (call == NULL) {
		service_count_end(service, CALL_OVERLOAD);
		uring_close(worker->ring, fd);
		return;
	}
	call->uid = uid;
	call->pid = pid;
	if (door->extended)
		pfi_server_allow_signals(&call->request);
	if (!greet(call, door->extended)) {
		call_close(call, CALL_LEFT);
		return;
	}
	call_set_clock(call, service->settings.request_timeout_ms);
	call_await_request(call);
}
