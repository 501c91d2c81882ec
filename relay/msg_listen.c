/*
 * msg_listen.c - writes what comes, one line each, without what would act on a terminal.  It is
 * confirmed only when it was written.
 */
#include "relay/msg_listen.h"

#include "relay/msg_status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NO_REQUEST UINT64_MAX

static void
print_escaped(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++) {
		if (at[i] == '\n')
			fputs("\\n", stdout);
		else if (at[i] == '\\')
			fputs("\\\\", stdout);
		else if (at[i] < 0x20 || at[i] == 0x7f)
			printf("\\x%02x", at[i]);
		else
			putchar(at[i]);
	}
}

/* `notice ID SENDER TEXT` or `reply SESSION:NUMBER TEXT`, with tabs between. */
static bool
print_event(const struct relay_msg_event *event)
{
	if (event->what == RELAY_MSG_LATE) {
		printf("reply\t%016" PRIx64 ":%" PRIu64 "\t", event->session, event->number);
	} else {
		fputs("notice\t", stdout);
		for (size_t i = 0; i < RELAY_MSG_ID_SIZE; i++)
			printf("%02x", event->notice[i]);
		putchar('\t');
		if (event->from != 0)
			printf("%" PRIx64, event->from);
		else if (event->sender_length > 0)
			print_escaped(event->sender, event->sender_length);
		else
			putchar('-');
		putchar('\t');
	}
	print_escaped(event->bytes, event->length);
	return putchar('\n') != EOF && fflush(stdout) == 0;
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* After the last one: until the relay says that it will not send it again, for a while.  Waits for
 * the end of a request that is none: what else has come would be confirmed without being shown. */
static int
settle(struct relay_msg *client, int timeout_ms)
{
	struct relay_msg_event event;
	uint64_t end_ms = clock_ms() + (uint64_t)(timeout_ms < 0 ? 30000 : timeout_ms);
	int got = relay_msg_wait_for(client, NO_REQUEST, &event, 0);

	while (got >= 0 && relay_msg_unconfirmed(client) > 0 && clock_ms() < end_ms)
		got = relay_msg_wait_for(client, NO_REQUEST, &event, 10);
	return got < 0 ? msg_complain(got, "confirming") : MSG_STATUS_FINE;
}

int
msg_listen(struct msg_arguments *arguments, struct relay_msg *client)
{
	uint64_t end_ms = clock_ms() + (uint64_t)arguments->timeout_ms;
	struct relay_msg_event event;

	for (uint64_t seen = 0; arguments->count == 0 || seen < arguments->count;) {
		uint64_t now_ms = clock_ms();
		int left = -1;
		if (arguments->timeout_ms >= 0)
			left = now_ms < end_ms ? (int)(end_ms - now_ms) : 0;
		int got = relay_msg_wait(client, &event, left);
		if (got < 0)
			return msg_complain(got, "waiting");
		if (got == 0)
			return arguments->count == 0 ? MSG_STATUS_FINE : MSG_STATUS_TIMEOUT;
		if (event.what == RELAY_MSG_ONLINE)
			fprintf(stderr, "%s: online\n", MSG_NAME);
		if (event.what == RELAY_MSG_OFFLINE)
			fprintf(stderr, "%s: offline\n", MSG_NAME);
		if (event.what != RELAY_MSG_NOTICE && event.what != RELAY_MSG_LATE)
			continue;
		if (!print_event(&event)) {
			/* Not taken, so not to be confirmed by a farewell either. */
			(void)msg_complain(-errno, "standard output");
			_Exit(MSG_STATUS_FAILED);
		}
		seen++;
	}
	return settle(client, arguments->timeout_ms);
}
