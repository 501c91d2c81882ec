/*
 * call.c - the life of a call, and its client's side: greeting, request, what may come after it,
 * status.
 *
 * Never takes memory by a length that it was told, only for bytes that came.  Owns both connections
 * and the caller's descriptors.
 */
#include "relay/call_internal.h"

#include "relay/log.h"
#include "uring/fds.h"
#include "wire/pfi_signal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

static void on_client(struct uring_op *op, int res, const uint8_t *data);

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

const char *
call_end_text(enum call_end end)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		CALL_ENDS(X)
#undef X
	};

	return end < CALL_END_COUNT ? texts[end] : "unknown";
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

static void
enter_list(struct call *call)
{
	struct call_list *list = &call->service->calls[call->state];
	struct call *behind = NULL;

	/* One that was put back has its old place: mostly the first. */
	if (call->state == CALL_WAITING &&
	    (behind = TAILQ_LAST(list, call_list)) != NULL && behind->turn > call->turn) {
		behind = TAILQ_FIRST(list);
		while (behind->turn < call->turn)
			behind = TAILQ_NEXT(behind, entry);
		TAILQ_INSERT_BEFORE(behind, call, entry);
		return;
	}
	TAILQ_INSERT_TAIL(list, call, entry);
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

void
call_close(struct call *call, enum call_end end)
{
	struct worker *worker = call_worker(call);

	if (call->state == CALL_CLOSING)
		return;
	call->service->ends[end]++;
	call_set_state(call, CALL_CLOSING);
	uring_timer_clear(worker->ring, &call->timer);
	uring_timer_clear(worker->ring, &call->again);
	buffer_release(&call->message, &worker->memory);
	for (int i = 0; i < PFI_FDS; i++) {
		if (call->fds[i] >= 0)
			uring_close_passed(worker->ring, call->fds[i]);
		call->fds[i] = -1;
	}
	/* The polls hold the sockets a little longer: nobody shall wait for that. */
	uring_end_stream(call->client);
	if (call->server >= 0)
		uring_end_stream(call->server);
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

static void
set_clock(struct call *call, uint64_t timeout_ms)
{
	struct worker *worker = call_worker(call);

	if (timeout_ms == 0)
		uring_timer_clear(worker->ring, &call->timer);
	else
		uring_timer_set(worker->ring, &call->timer,
				worker_now(worker) + ms_to_ns(timeout_ms));
}

/* --- behind the request ----------------------------------------------------------------------- */

static void
watch_client(struct call *call, unsigned events)
{
	uring_poll(call_worker(call)->ring, &call->client_poll, call->client, events);
}

static void
close_all(struct call *call, const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		uring_close_passed(call_worker(call)->ring, fds[i]);
}

/* The client has said its last: a half close, or a byte too many, both of which mean that the call
 * shall be interrupted and its status still be told. */
static void
leave(struct call *call, bool ended)
{
	call->left = true;
	if (call->state == CALL_RUNNING)
		call_interrupt(call);
	/* Ended for one direction, a poll would say so for ever. */
	if (!ended)
		watch_client(call, 0);
}

static void
on_signal(struct call *call, uint8_t code)
{
	bool final = pfi_signal_is_final(code);

	if (call->state == CALL_RUNNING) {
		call_pass_signal(call, code);
	} else if (final && call->given == 0) {
		/* Nobody has begun it: it ends as a program that was just started would. */
		call_answer(call, pfi_status_killed((unsigned)pfi_signal_number(code), false),
			    CALL_SIGNALLED);
	}
}

/* Bytes of a client that may say signals. */
static void
on_signals(struct call *call, const uint8_t *bytes, size_t len, unsigned fds)
{
	struct pfi_input input = { .data = bytes, .len = len, .fds = fds };
	struct wire_span none;
	enum pfi_server_event event;

	while ((event = pfi_server_next(&call->request, &input, &none)) == PFI_REQUEST_SIGNAL &&
	       call->state != CALL_CLOSING)
		on_signal(call, call->request.signal);
	if (call->state == CALL_CLOSING)
		return;
	if (event == PFI_REQUEST_BAD)
		leave(call, false);
	else
		watch_client(call, POLLIN);
}

/* `glued`: what was there together with the request; the original's reader swallows it. */
static void
hear(struct call *call, bool glued)
{
	uint8_t bytes[512];
	int fds[URING_FDS_MAX];
	unsigned count;
	ssize_t got = uring_recv_fds(call->client, bytes, sizeof bytes, fds, &count);

	close_all(call, fds, count);
	if (got == -EAGAIN) {
		watch_client(call, POLLIN);
	} else if (got <= 0) {
		if (uring_hung_up(call_worker(call)->ring, call->client))
			call_close(call, CALL_LEFT);
		else
			leave(call, true);
	} else if (call->request.takes_signals) {
		on_signals(call, bytes, (size_t)got, count);
	} else if (glued) {
		watch_client(call, POLLIN);
	} else {
		leave(call, false);
	}
}

void
call_listen(struct call *call)
{
	assert(call->state == CALL_RUNNING);
	if (call->left)
		call_interrupt(call);
	else if (!call->client_poll.in_flight)
		hear(call, false);
}

/* --- the request ------------------------------------------------------------------------------ */

static void
refuse(struct call *call, const char *why, enum call_end end)
{
	log_info(NULL, "%s: request of uid %" PRIu32 ", pid %" PRIu32 " refused: %s",
		 call->service->name, call->uid, call->pid, why);
	call_close(call, end);
}

/* The message is whole: it waits for its turn. */
static void
queue(struct call *call)
{
	call->turn = ++call->service->last_turn;
	call_set_state(call, CALL_WAITING);
	set_clock(call, call->service->settings.call_timeout_ms);
}

/* The pieces of what was read; descriptors that find their place are taken out of `fds`. */
static enum pfi_server_event
take_pieces(struct call *call, const uint8_t *data, size_t len, int *fds, unsigned *count)
{
	struct pfi_input input = {
		.data = data,
		.len = len,
		.fd_at = pfi_server_fd_at(&call->request, len),
		.fds = *count,
	};
	struct memory *memory = &call_worker(call)->memory;
	uint8_t word[PFI_LENGTH_SIZE];
	struct wire_span body;

	for (;;) {
		enum pfi_server_event event = pfi_server_next(&call->request, &input, &body);
		switch (event) {
		case PFI_REQUEST_FD:
			call->fds[call->request.fds - 1] = fds[0];
			*count = 0;
			break;
		case PFI_REQUEST_LENGTH:
			pfi_put_word(word, call->request.message_len);
			if (!buffer_append(&call->message, memory, word, sizeof word))
				return PFI_REQUEST_BAD;
			break;
		case PFI_REQUEST_BODY:
			buffer_grow(&call->message, body.len); /* it was read to this place */
			break;
		case PFI_REQUEST_WHOLE:
			buffer_grow(&call->message, body.len);
			return event;
		case PFI_REQUEST_MORE:
		case PFI_REQUEST_SIGNAL:
		case PFI_REQUEST_BAD:
			return event;
		}
	}
}

/* Reads once, never beyond the end of what is read at the moment: so bytes of the message come to
 * where they stay.  The bytes read, 0 if the call waits for more, is complete or over. */
static size_t
collect_once(struct call *call)
{
	uint8_t small[8];
	int fds[URING_FDS_MAX];
	unsigned count;
	size_t want = pfi_server_want(&call->request);
	uint8_t *at = small;

	if (call->request.state == PFI_SERVER_MESSAGE) {
		want = want < CALL_READ_MAX ? want : CALL_READ_MAX;
		at = buffer_room(&call->message, &call_worker(call)->memory, want);
		if (at == NULL) {
			refuse(call, "no memory", CALL_OVERLOAD);
			return 0;
		}
	}
	assert(at != small || want <= sizeof small);
	ssize_t got = uring_recv_fds(call->client, at, want, fds, &count);
	if (got == -EAGAIN) {
		watch_client(call, POLLIN);
		return 0;
	}
	enum pfi_server_event event = PFI_REQUEST_BAD;
	if (got > 0)
		event = take_pieces(call, at, (size_t)got, fds, &count);
	close_all(call, fds, count);
	if (event == PFI_REQUEST_MORE)
		return (size_t)got;
	if (got == -EMFILE)
		refuse(call, "too many descriptors", CALL_OVERLOAD);
	else if (got <= 0)
		call_close(call, CALL_LEFT);
	else if (event == PFI_REQUEST_WHOLE)
		queue(call);
	else if (call->request.fault == PFI_FINE)
		refuse(call, "no memory", CALL_OVERLOAD);
	else
		refuse(call, pfi_fault_text(call->request.fault), CALL_BAD_REQUEST);
	return 0;
}

static void
collect(struct call *call)
{
	size_t read = 0;
	size_t got;

	while ((got = collect_once(call)) > 0 && (read += got) < CALL_TURN_MAX)
		continue;
	if (got > 0)
		watch_client(call, POLLIN); /* the others first */
	else if (call->state == CALL_WAITING)
		hear(call, true);
}

static void
on_client(struct uring_op *op, int res, const uint8_t *data)
{
	struct call *call = uring_container_of(op, struct call, client_poll);

	(void)data;
	if (call->state == CALL_CLOSING) {
		call_reap(call);
	} else if (res < 0) {
		call_close(call, CALL_LEFT);
	} else if (call->state == CALL_COLLECTING) {
		collect(call);
	} else if (call->left || call->state == CALL_GIVING) {
		/* Of the one nothing but its end was waited for.  What the other one says is heard
		 * when the service has got the request. */
		if (uring_hung_up(call_worker(call)->ring, call->client))
			call_close(call, CALL_LEFT);
	} else {
		hear(call, false);
	}
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
	call->client_poll.done = on_client;
	call->timer.due = on_due;
	for (int i = 0; i < PFI_FDS; i++)
		call->fds[i] = -1;
	call->number = ++worker->last_number;
	call->began_at = worker_now(worker);
	pfi_server_init(&call->request, PFI_MESSAGE_MAX);
	call_init_server(call);
	TAILQ_INSERT_TAIL(&service->calls[CALL_COLLECTING], call, entry);
	service->counts[CALL_COLLECTING]++;
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

	uring_peer(worker->ring, fd, &uid, &pid);
	if (!allowed(&service->settings, uid)) {
		service->ends[CALL_FORBIDDEN]++;
		log_info(NULL, "%s: uid %" PRIu32 " may not call it", service->name, uid);
		uring_close(worker->ring, fd);
		return;
	}
	struct call *call = call_new(service, fd);
	if (call == NULL) {
		service->ends[CALL_OVERLOAD]++;
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
	set_clock(call, service->settings.request_timeout_ms);
	watch_client(call, POLLIN);
}
