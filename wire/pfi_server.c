/*
 * pfi_server.c - the steps by which a request comes in: what each byte is, and whether it may be.
 *
 * Never keeps a byte of the message nor sees a descriptor, only counts them; says how long the
 * message will be before anybody has to take memory for it.  Owns nothing but the caller's struct
 * pfi_server; a failed one stays failed.
 */
#include "wire/pfi_server.h"
#include "wire/pfi_signal.h"

const char *
pfi_server_state_text(enum pfi_server_state state)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		PFI_SERVER_STATES(X)
#undef X
	};
	size_t index = (size_t)state;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown state";
}

void
pfi_server_init(struct pfi_server *server, uint32_t message_max)
{
	*server = (struct pfi_server){ .state = PFI_SERVER_SIGNAL, .message_max = message_max };
}

void
pfi_server_allow_signals(struct pfi_server *server)
{
	server->takes_signals = true;
}

static enum pfi_server_event
fail(struct pfi_server *server, enum pfi_fault fault)
{
	server->state = PFI_SERVER_FAILED;
	server->fault = fault;
	return PFI_REQUEST_BAD;
}

/* How many descriptors came with the next byte. */
static unsigned
fds_here(const struct pfi_input *input)
{
	return input->fd_at == 0 ? input->fds : 0;
}

static void
consume(struct pfi_input *input, size_t n)
{
	/* They went with a byte that was taken. */
	if (input->fd_at < n)
		input->fds = 0;
	input->fd_at -= input->fds > 0 ? n : 0;
	input->data += n;
	input->len -= n;
}

static enum pfi_server_event
on_signal(struct pfi_server *server, struct pfi_input *input)
{
	if (fds_here(input) > 0)
		return fail(server, PFI_STRAY_FD);
	if (input->data[0] != PFI_BYTE)
		return fail(server, PFI_BAD_SIGNAL);
	consume(input, 1);
	server->state = PFI_SERVER_FDS;
	return PFI_REQUEST_MORE;
}

static enum pfi_server_event
on_fd(struct pfi_server *server, struct pfi_input *input)
{
	if (fds_here(input) == 0)
		return fail(server, PFI_NO_FD);
	if (fds_here(input) > 1)
		return fail(server, PFI_MANY_FDS);
	if (input->data[0] != PFI_BYTE)
		return fail(server, PFI_BAD_FD_BYTE);
	consume(input, 1);
	if (++server->fds == PFI_FDS)
		server->state = PFI_SERVER_LENGTH;
	return PFI_REQUEST_FD;
}

static enum pfi_server_event
on_length(struct pfi_server *server, struct pfi_input *input)
{
	uint32_t len = server->message_len << 8 | input->data[0];

	if (fds_here(input) > 0)
		return fail(server, PFI_STRAY_FD);
	server->message_len = len;
	if (server->length_have + 1 == PFI_LENGTH_SIZE) {
		if (len == 0)
			return fail(server, PFI_EMPTY);
		if (len > server->message_max)
			return fail(server, PFI_TOO_LONG);
	}
	consume(input, 1);
	if (++server->length_have < PFI_LENGTH_SIZE)
		return PFI_REQUEST_MORE;
	server->state = PFI_SERVER_MESSAGE;
	return PFI_REQUEST_LENGTH;
}

/* As many bytes as are there, are missing, and come before a stray descriptor. */
static enum pfi_server_event
on_message(struct pfi_server *server, struct pfi_input *input, struct wire_span *body)
{
	size_t missing = server->message_len - server->message_have;
	size_t n = input->len < missing ? input->len : missing;
	enum pfi_fault fault = PFI_FINE;
	size_t good;

	if (input->fds > 0 && input->fd_at < n)
		n = input->fd_at;
	if (n == 0)
		return fail(server, PFI_STRAY_FD);
	good = pfi_scan(&server->scan, wire_span(input->data, n), n == missing, &fault);
	if (good < n) {
		consume(input, good);
		return fail(server, fault);
	}
	*body = wire_span(input->data, n);
	consume(input, n);
	server->message_have += (uint32_t)n;
	if (n < missing)
		return PFI_REQUEST_BODY;
	server->state = PFI_SERVER_WHOLE;
	return PFI_REQUEST_WHOLE;
}

static enum pfi_server_event
on_byte_behind(struct pfi_server *server, struct pfi_input *input)
{
	uint8_t code = input->data[0];

	if (!server->takes_signals)
		return fail(server, PFI_EXTRA_BYTES);
	if (fds_here(input) > 0)
		return fail(server, PFI_STRAY_FD);
	if (pfi_signal_number(code) == 0)
		return fail(server, PFI_UNKNOWN_SIGNAL);
	consume(input, 1);
	server->signal = code;
	return PFI_REQUEST_SIGNAL;
}

static enum pfi_server_event
step(struct pfi_server *server, struct pfi_input *input, struct wire_span *body)
{
	switch (server->state) {
	case PFI_SERVER_SIGNAL:
		return on_signal(server, input);
	case PFI_SERVER_FDS:
		return on_fd(server, input);
	case PFI_SERVER_LENGTH:
		return on_length(server, input);
	case PFI_SERVER_MESSAGE:
		return on_message(server, input, body);
	case PFI_SERVER_WHOLE:
		return on_byte_behind(server, input);
	case PFI_SERVER_FAILED:
		break;
	}
	return PFI_REQUEST_BAD;
}

enum pfi_server_event
pfi_server_next(struct pfi_server *server, struct pfi_input *input, struct wire_span *body)
{
	enum pfi_server_event event = PFI_REQUEST_MORE;

	if (server->state == PFI_SERVER_FAILED)
		return PFI_REQUEST_BAD;
	while (event == PFI_REQUEST_MORE && input->len > 0)
		event = step(server, input, body);
	/* No kernel gives descriptors without a byte: then nobody knows where they belong. */
	if (event == PFI_REQUEST_MORE && input->fds > 0)
		return fail(server, PFI_STRAY_FD);
	return event;
}

enum pfi_fault
pfi_server_end(struct pfi_server *server)
{
	if (server->state != PFI_SERVER_WHOLE && server->state != PFI_SERVER_FAILED)
		(void)fail(server, PFI_EARLY_END);
	return server->fault;
}

size_t
pfi_server_want(const struct pfi_server *server)
{
	switch (server->state) {
	case PFI_SERVER_SIGNAL:
	case PFI_SERVER_FDS:
	case PFI_SERVER_WHOLE:
		return 1;
	case PFI_SERVER_LENGTH:
		return (size_t)PFI_LENGTH_SIZE - server->length_have;
	case PFI_SERVER_MESSAGE:
		return server->message_len - server->message_have;
	case PFI_SERVER_FAILED:
		break;
	}
	return 0;
}

size_t
pfi_server_fd_at(const struct pfi_server *server, size_t len)
{
	return server->state == PFI_SERVER_SIGNAL && len > 1 ? 1 : 0;
}
