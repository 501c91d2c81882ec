/*
 * msg-client.c - asks a host of relayd by datagram, then shows the notices that come within a
 * second.
 *
 *   msg-client ADDRESS:PORT CLIENT HOST LINE      unsealed, as relayd takes it on loopback
 *
 *   cc -o msg-client msg-client.c $(pkg-config --cflags --libs relay-msg)
 */
#include <relay/msg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(int argc, char *argv[])
{
	struct relay_msg_options options = { 0 };
	struct relay_msg_event event;
	struct relay_msg *client;
	uint64_t id;
	int got;

	if (argc != 5) {
		fprintf(stderr, "usage: %s ADDRESS:PORT CLIENT HOST LINE\n", argv[0]);
		return 2;
	}
	options.address = argv[1];
	options.client = strtoull(argv[2], NULL, 16);
	got = relay_msg_open(&client, &options);
	if (got < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-got));
		return 1;
	}
	got = relay_msg_ask(client, argv[3], argv[4], strlen(argv[4]), &event, &id, 5000);
	if (got == 1 && event.outcome == RELAY_MSG_ANSWERED)
		printf("%.*s\n", (int)event.length, (const char *)event.bytes);
	else
		printf("no answer: %s\n",
		       got == 1 ? relay_msg_outcome_name(event.outcome) : "not in time");
	/* A program with a loop of its own polls relay_msg_descriptor() and calls relay_msg_next().
	 */
	while ((got = relay_msg_wait(client, &event, 1000)) == 1)
		if (event.what == RELAY_MSG_NOTICE)
			printf("notice: %.*s\n", (int)event.length, (const char *)event.bytes);
	relay_msg_close(client);
	return got < 0;
}
