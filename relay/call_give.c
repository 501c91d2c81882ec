/*
 * call_give.c - the service's side of a call: connect, await its greeting, give it the request, and
 * read the status.
 *
 * Never gives a byte before the greeting, nor a request a second time after its first byte.
 */
#include "relay/call_internal.h"

#include "relay/log.h"
#include "uring/fds.h"
#include "wire/pfi_signal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>

static void give(struct call *call);

static void
watch_server(struct call *call, unsigned events)
{
	uring_poll(call_worker(call)->ring, &call->server_poll, call->server, events);
}

/* --- connecting ------------------------------------------------------------------------------- */

enum call_connect
call_connect(struct call *call, struct service_generation *generation)
{
	assert(call->state == CALL_WAITING && call->given == 0);
	if (call->left && uring_hung_up(call_worker(call)->ring, call->client)) {
		call_close(call, CALL_LEFT);
		return CALL_CONNECT_DONE;
	}
	if (call->server >= 0)
		return CALL_CONNECT_LATER;
	int fd = uring_unix_connect(generation->path);
	if (fd == -EAGAIN || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
		return CALL_CONNECT_BUSY;
	if (fd < 0)
		return CALL_CONNECT_REFUSED;
	call->server = fd;
	call->generation = generation;
	pfi_client_init(&call->answer);
	pfi_client_allow_extended(&call->answer);
	call_set_state(call, CALL_CONNECTED);
	watch_server(call, POLLIN);
	return CALL_CONNECT_DONE;
}

void
call_disconnect(struct call *call)
{
	struct worker *worker = call_worker(call);

	if (call->server_poll.in_flight) {
		uring_cancel(worker->ring, &call->server_poll);
		return;
	}
	uring_close(worker->ring, call->server);
	call->server = -1;
}

void
call_put_back(struct call *call)
{
	struct service *service = call->service;

	assert(call->given == 0);
	if (service->leaving) {
		call_close(call, CALL_STOPPED);
		return;
	}
	service->put_back++;
	call_set_state(call, CALL_WAITING);
	call_disconnect(call);
}

/* The service is gone, or does not speak the protocol. */
static void
lost(struct call *call, const char *why)
{
	struct service *service = call->service;
	struct service_generation *generation = call->generation;

	if (call->given == 0) {
		call_put_back(call);
		service_on_refused(service, generation);
		return;
	}
	log_warning(NULL, "%s: call of uid %" PRIu32 ", pid %" PRIu32 " lost: %s", service->name,
		    call->uid, call->pid, why);
	call_close(call, CALL_BROKEN);
}

/* --- giving ----------------------------------------------------------------------------------- */

static void
on_again(struct uring_timer *timer)
{
	give(uring_container_of(timer, struct call, again));
}

static void
stall(struct call *call, int error)
{
	struct worker *worker = call_worker(call);

	if (error == -EAGAIN)
		watch_server(call, POLLOUT);
	else if (error == -ETOOMANYREFS)
		uring_timer_set(worker->ring, &call->again,
				worker_now(worker) + ms_to_ns(SERVICE_BUSY_MS));
	else
		lost(call, "the service did not take all of it");
}

/* The signalling byte and the three with a descriptor.  0 or the error of the one that was not
 * taken. */
static int
give_fds(struct call *call)
{
	static const uint8_t byte = PFI_BYTE;

	while (call->given <= PFI_FDS) {
		int fd = call->given == 0 ? -1 : call->fds[call->given - 1];
		ssize_t sent = uring_send_fd(call->server, &byte, sizeof byte, fd);
		if (sent < 0)
			return (int)sent;
		if (call->given == 0)
			call->generation->calls++;
		else {
			uring_close_passed(call_worker(call)->ring, fd);
			call->fds[call->given - 1] = -1;
		}
		call->given++;
	}
	return 0;
}

static int
give_message(struct call *call)
{
	while (buffer_len(&call->message) > 0) {
		ssize_t sent = uring_send_fd(call->server, buffer_at(&call->message),
					     buffer_len(&call->message), -1);
		if (sent < 0)
			return (int)sent;
		buffer_consume(&call->message, (size_t)sent);
	}
	buffer_release(&call->message, &call_worker(call)->memory);
	return 0;
}

static void
give(struct call *call)
{
	int error = give_fds(call);

	if (error == 0)
		error = give_message(call);
	if (error != 0) {
		stall(call, error);
		return;
	}
	call_set_state(call, CALL_RUNNING);
	watch_server(call, POLLIN);
	call_listen(call);
}

/* --- while it runs ---------------------------------------------------------------------------- */

void
call_interrupt(struct call *call)
{
	uring_end_output(call->server);
}

void
call_pass_signal(struct call *call, uint8_t code)
{
	if (!call->answer.extended) {
		if (pfi_signal_is_final(code))
			call_interrupt(call);
		return;
	}
	/* One that is not taken is lost, as signals may be: the service has not read the ones
	 * before. */
	(void)uring_send_fd(call->server, &code, sizeof code, -1);
}

/* --- what the service says -------------------------------------------------------------------- */

/* Never more than the greeting, or the status: what comes behind is of no interest. */
static size_t
bytes_wanted(const struct pfi_client *answer)
{
	if (answer->state == PFI_CLIENT_STATUS)
		return (size_t)PFI_STATUS_SIZE - answer->have;
	return answer->have < PFI_GREETING_SIZE ? (size_t)PFI_GREETING_SIZE - answer->have
						: (size_t)PFI_EXTENDED_GREETING_SIZE - answer->have;
}

/* true = there may be more to read. */
static bool
take_answer(struct call *call, struct wire_span bytes)
{
	switch (pfi_client_next(&call->answer, &bytes)) {
	case PFI_ANSWER_MORE:
		return true;
	case PFI_ANSWER_GREETED:
		call_set_state(call, CALL_GIVING);
		give(call);
		return false;
	case PFI_ANSWER_STATUS:
		call_answer(call, call->answer.status, CALL_ANSWERED);
		return false;
	case PFI_ANSWER_BAD:
		log_warning(NULL, "%s: not a service: %s", call->service->name,
			    pfi_fault_text(call->answer.fault));
		lost(call, pfi_fault_text(call->answer.fault));
		return false;
	}
	return false;
}

static void
listen_to_server(struct call *call)
{
	uint8_t bytes[PFI_EXTENDED_GREETING_SIZE];
	int fds[URING_FDS_MAX];
	unsigned count;
	ssize_t got;

	do {
		got = uring_recv_fds(call->server, bytes, bytes_wanted(&call->answer), fds, &count);
		for (unsigned i = 0; i < count; i++)
			uring_close_passed(call_worker(call)->ring, fds[i]);
	} while (got > 0 && take_answer(call, wire_span(bytes, (size_t)got)));
	if (got == -EAGAIN)
		watch_server(call, POLLIN);
	else if (got <= 0)
		lost(call, pfi_fault_text(pfi_client_end(&call->answer)));
}

static void
on_server(struct uring_op *op, int res, const uint8_t *data)
{
	struct call *call = uring_container_of(op, struct call, server_poll);

	(void)res; /* what happened to the socket shows in what is done with it */
	(void)data;
	switch (call->state) {
	case CALL_CLOSING:
		call_reap(call);
		break;
	case CALL_COLLECTING:
	case CALL_WAITING:
		call_disconnect(call); /* it was put back */
		service_touch(call->service);
		break;
	case CALL_CONNECTED:
	case CALL_RUNNING:
		listen_to_server(call);
		break;
	case CALL_GIVING:
		give(call);
		break;
	}
}

void
call_init_server(struct call *call)
{
	call->server_poll.done = on_server;
	call->again.due = on_again;
}
