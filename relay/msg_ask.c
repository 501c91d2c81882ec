/*
 * msg_ask.c - asks one thing and waits for its end: a request of a host, a notice to a client.
 */
#include "relay/msg_ask.h"

#include "relay/msg_status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* The answer of what was asked last. */
static int
finish(struct relay_msg *client, uint64_t id, int timeout_ms)
{
	struct relay_msg_event event;
	/* Notices are for who listens: here they stay unconfirmed. */
	int got = relay_msg_wait_for(client, id, &event, timeout_ms);

	if (got < 0)
		return msg_complain(got, "waiting");
	if (got == 0) {
		fprintf(stderr, "%s: no answer in time\n", MSG_NAME);
		return MSG_STATUS_TIMEOUT;
	}
	if (event.outcome == RELAY_MSG_ANSWERED) {
		if (fwrite(event.bytes, 1, event.length, stdout) != event.length ||
		    putchar('\n') == EOF || fflush(stdout) != 0)
			return msg_complain(-errno, "standard output");
		got = relay_msg_wait_for(client, id, &event, 0); /* confirms */
		return got < 0 ? msg_complain(got, "confirming") : MSG_STATUS_FINE;
	}
	if (event.outcome != RELAY_MSG_ACCEPTED)
		fprintf(stderr, "%s: %s\n", MSG_NAME, relay_msg_outcome_name(event.outcome));
	return msg_status_of(event.outcome);
}

int
msg_ask_request(struct msg_arguments *arguments, struct relay_msg *client)
{
	const char *line = arguments->operands[2];
	uint64_t id;
	int error = relay_msg_request(client, arguments->operands[1], line, strlen(line),
				      arguments->flags, &id);

	return error != 0 ? msg_complain(error, "request")
			  : finish(client, id, arguments->timeout_ms);
}

int
msg_ask_send(struct msg_arguments *arguments, struct relay_msg *client)
{
	const char *text = arguments->operands[2];
	uint8_t notice[RELAY_MSG_ID_SIZE];
	uint64_t id;

	if (getrandom(notice, sizeof notice, 0) != (ssize_t)sizeof notice)
		return msg_complain(-errno, "getrandom");
	int error = relay_msg_send(client, arguments->page.to, text, strlen(text), notice, &id);
	return error != 0 ? msg_complain(error, "notice")
			  : finish(client, id, arguments->timeout_ms);
}
