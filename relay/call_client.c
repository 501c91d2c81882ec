/*
 * call_client.c - the client's side of a call: its request, and what may come behind it.
 *
 * Never takes memory by a length that it was told, only for bytes that came.  Of the descriptors
 * that come it keeps the three that belong to the call, and closes all others at once.
 */
#include "relay/call_internal.h"

#include "relay/log.h"
#include "uring/fds.h"
#include "wire/pfi_signal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>

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

/* Nobody has begun it: it ends as a program that was just started would. */
static void
end_unbegun(struct call *call, int signal)
{
	assert(call->given == 0);
	call_answer(call, pfi_status_killed((unsigned)signal, false), CALL_SIGNALLED);
}

/* The client has said its last: a half close, or a byte too many, both of which mean that the call
 * shall be interrupted and its status still be told. */
static void
leave(struct call *call, bool ended)
{
	if (call->given == 0) {
		end_unbegun(call, SIGINT);
		return;
	}
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
	if (call->state == CALL_RUNNING)
		call_pass_signal(call, code);
	else if (pfi_signal_is_final(code) && call->given == 0)
		end_unbegun(call, pfi_signal_number(code));
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
	else if (call->muted)
		uring_cancel(call_worker(call)->ring, &call->client_poll); /* then it is heard */
	call->muted = false;
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
	call_set_clock(call, call->service->settings.call_timeout_ms);
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

/* Of a client that spoke too early: its end is still to be noticed.  When half an end is all that
 * comes, that is heard with the rest. */
static void
mute(struct call *call)
{
	call->muted = true;
	watch_client(call, 0);
}

static void
on_client(struct uring_op *op, int res, const uint8_t *data)
{
	struct call *call = uring_container_of(op, struct call, client_poll);

	(void)data;
	if (call->state == CALL_CLOSING) {
		call_reap(call);
	} else if (res < 0 && res != -ECANCELED) {
		call_close(call, CALL_LEFT);
	} else if (call->state == CALL_COLLECTING) {
		collect(call);
	} else if (call->left || call->state == CALL_GIVING) {
		/* Of the one nothing but its end was waited for.  What the other one says is heard
		 * when the service has got the request. */
		if (uring_hung_up(call_worker(call)->ring, call->client))
			call_close(call, CALL_LEFT);
		else if (!call->left && !call->muted)
			mute(call);
	} else {
		hear(call, false);
	}
}

void
call_await_request(struct call *call)
{
	watch_client(call, POLLIN);
}

void
call_init_client(struct call *call)
{
	call->client_poll.done = on_client;
	pfi_server_init(&call->request, PFI_MESSAGE_MAX);
}
