/*
 * msg_main.c - relay-msg: a client of relayd's message plane for shells and scripts.
 *
 * What was asked for goes to standard output, everything else to standard error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "relay/msg.h"
#include "relay/msg_args.h"
#include "relay/msg_ask.h"
#include "relay/msg_listen.h"
#include "relay/msg_page.h"
#include "relay/msg_status.h"

static int
connect_relay(struct msg_arguments *arguments, struct relay_msg **client)
{
	struct relay_msg_options *options = &arguments->options;
	int error;

	if (arguments->key_file != NULL) {
		error = relay_msg_read_key(arguments->key_file, &options->client, arguments->key);
		if (error == -EPERM) {
			fprintf(stderr, "%s: %s: others may read it, or change it\n", MSG_NAME,
				arguments->key_file);
			return MSG_STATUS_USAGE;
		}
		if (error != 0) {
			(void)msg_complain(error, arguments->key_file);
			return MSG_STATUS_USAGE;
		}
		options->key = arguments->key;
	} else if (options->client == 0) {
		return msg_usage("--key or --id is needed");
	}
	error = relay_msg_open(client, options);
	return error == 0 ? MSG_STATUS_FINE : msg_complain(error, options->address);
}

static int
run_page(const struct msg_page *page)
{
	char answer[NOTICE_ANSWER_MAX];

	switch (msg_page_send(page, answer)) {
	case MSG_PAGED:
		puts(answer);
		return fflush(stdout) == 0 ? MSG_STATUS_FINE : MSG_STATUS_FAILED;
	case MSG_PAGE_REFUSED:
		fprintf(stderr, "%s: refused: %s\n", MSG_NAME, answer);
		if (strcmp(answer, notice_fault_name(NOTICE_NOT_ALLOWED)) == 0)
			return MSG_STATUS_DENIED;
		return strcmp(answer, notice_fault_name(NOTICE_UNKNOWN_CLIENT)) == 0
			   ? MSG_STATUS_UNKNOWN
			   : MSG_STATUS_FAILED;
	case MSG_PAGE_SILENCE:
		fprintf(stderr, "%s: no answer in time\n", MSG_NAME);
		return MSG_STATUS_TIMEOUT;
	case MSG_PAGE_NO_RELAY:
		fprintf(stderr, "%s: %s: %s\n", MSG_NAME, page->socket, strerror(errno));
		return errno == EACCES ? MSG_STATUS_DENIED : MSG_STATUS_UNREACHABLE;
	}
	return MSG_STATUS_FAILED;
}

static int
run_client(struct msg_arguments *arguments,
	   int (*run)(struct msg_arguments *arguments, struct relay_msg *client))
{
	struct relay_msg *client = NULL;
	int status = connect_relay(arguments, &client);

	if (status == MSG_STATUS_FINE) {
		status = run(arguments, client);
		relay_msg_close(client);
	}
	explicit_bzero(arguments->key, sizeof arguments->key);
	return status;
}

static int
run(struct msg_arguments *arguments)
{
	const char *verb = arguments->operand_count > 0 ? arguments->operands[0] : "";
	int count = arguments->operand_count;

	if (strcmp(verb, "listen") == 0 && count == 1)
		return run_client(arguments, msg_listen);
	if (arguments->timeout_ms < 0)
		arguments->timeout_ms = 30000;
	if (strcmp(verb, "request") == 0 && count == 3)
		return run_client(arguments, msg_ask_request);
	if ((strcmp(verb, "send") != 0 && strcmp(verb, "page") != 0) || count != 3)
		return msg_usage("what is to be done?");
	if (!msg_parse_client(arguments->operands[1], &arguments->page.to))
		return msg_usage("CLIENT is 1 to 16 hexadecimal digits, not 0");
	if (strcmp(verb, "send") == 0)
		return run_client(arguments, msg_ask_send);
	arguments->page.text = arguments->operands[2];
	arguments->page.timeout_ms = arguments->timeout_ms;
	return run_page(&arguments->page);
}

int
main(int argc, char **argv)
{
	struct msg_arguments arguments;
	int status;

	return msg_args_parse(&arguments, argc, argv, &status) ? run(&arguments) : status;
}
