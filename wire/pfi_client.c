/*
 * pfi_client.c - the greeting and the status word of a service, byte by byte.
 *
 * Never judges a status: what it means is pfi_outcome()'s to say.  Owns nothing but the caller's
 * struct pfi_client; a failed one stays failed.
 */
#include "wire/pfi_client.h"
#include "wire/pfi_signal.h"

#define MAGIC_SIZE 4

const char *
pfi_client_state_text(enum pfi_client_state state)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		PFI_CLIENT_STATES(X)
#undef X
	};
	size_t index = (size_t)state;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown state";
}

void
pfi_client_init(struct pfi_client *client)
{
	*client = (struct pfi_client){ .state = PFI_CLIENT_GREETING };
}

void
pfi_client_allow_extended(struct pfi_client *client)
{
	client->may_extend = true;
}

static enum pfi_client_event
fail(struct pfi_client *client, enum pfi_fault fault)
{
	client->state = PFI_CLIENT_FAILED;
	client->fault = fault;
	return PFI_ANSWER_BAD;
}

static enum pfi_client_event
on_greeting(struct pfi_client *client, uint8_t byte)
{
	uint8_t plain[PFI_GREETING_SIZE], extended[PFI_EXTENDED_GREETING_SIZE];
	size_t at = client->have;

	pfi_put_greeting(plain);
	pfi_put_extended_greeting(extended);
	/* Here the two part. */
	if (at == PFI_GREETING_SIZE - 1)
		client->extended = client->may_extend && byte == extended[at];
	if (byte != (client->extended ? extended[at] : plain[at]))
		return fail(client, at < MAGIC_SIZE ? PFI_BAD_MAGIC : PFI_EXTRA_DATA);
	if (++client->have < (client->extended ? sizeof extended : sizeof plain))
		return PFI_ANSWER_MORE;
	client->have = 0;
	client->state = PFI_CLIENT_STATUS;
	return PFI_ANSWER_GREETED;
}

static enum pfi_client_event
on_status(struct pfi_client *client, uint8_t byte)
{
	client->status = client->status << 8 | byte;
	if (++client->have < PFI_STATUS_SIZE)
		return PFI_ANSWER_MORE;
	client->state = PFI_CLIENT_DONE;
	return PFI_ANSWER_STATUS;
}

static enum pfi_client_event
step(struct pfi_client *client, uint8_t byte)
{
	switch (client->state) {
	case PFI_CLIENT_GREETING:
		return on_greeting(client, byte);
	case PFI_CLIENT_STATUS:
		return on_status(client, byte);
	case PFI_CLIENT_DONE:
		return fail(client, PFI_EXTRA_BYTES);
	case PFI_CLIENT_FAILED:
		break;
	}
	return PFI_ANSWER_BAD;
}

enum pfi_client_event
pfi_client_next(struct pfi_client *client, struct wire_span *bytes)
{
	enum pfi_client_event event = PFI_ANSWER_MORE;

	if (client->state == PFI_CLIENT_FAILED)
		return PFI_ANSWER_BAD;
	while (event == PFI_ANSWER_MORE && bytes->len > 0) {
		event = step(client, bytes->data[0]);
		if (event != PFI_ANSWER_BAD)
			*bytes = wire_span(bytes->data + 1, bytes->len - 1);
	}
	return event;
}

enum pfi_fault
pfi_client_end(struct pfi_client *client)
{
	if (client->state == PFI_CLIENT_GREETING)
		(void)fail(client, PFI_NO_GREETING);
	else if (client->state == PFI_CLIENT_STATUS)
		(void)fail(client, PFI_NO_STATUS);
	return client->fault;
}
