/*
 * msg_args.c - relay-msg's options and operands, and what it says of them.
 */
#include "relay/msg_args.h"

#include "relay/msg_status.h"
#include "relay/version.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] = "usage: " MSG_NAME " [OPTION]... request HOST LINE\n"
				 "       " MSG_NAME " [OPTION]... listen\n"
				 "       " MSG_NAME " [OPTION]... send CLIENT TEXT\n"
				 "       " MSG_NAME " [OPTION]... page CLIENT TEXT\n";

static const char help_text[] =
    "\n"
    "A client of relayd's message plane.  CLIENT: 1 to 16 hexadecimal digits.\n"
    "\n"
    "  request HOST LINE   asks a host, writes its reply\n"
    "  listen              writes notices and late replies as they come, and confirms them\n"
    "  send CLIENT TEXT    sends a notice by datagram; ends when the relay has it on disk\n"
    "  page CLIENT TEXT    the same by the webpager socket; writes the notice's id\n"
    "\n"
    "  --at ADDR:PORT      where relayd is (127.0.0.1:5050)\n"
    "  --key FILE          lines `ID KEY`; without one nothing is sealed\n"
    "  --id ID             who this is: needed without a key, or if FILE has several\n"
    "  --durable           request: a reply that cannot be delivered is kept, see listen\n"
    "  --count N           listen: ends after N\n"
    "  --timeout MS        gives up, or ends listening, after that (30000; listen: never)\n"
    "  --resend MS         until the first repeat of a datagram (1000)\n"
    "  --tries N           times that a datagram is sent (5)\n"
    "  --socket PATH       page: the socket (/run/relay/webpager)\n"
    "  --from NAME         page: what the sender calls himself\n"
    "  --original          page: in the form of IServerd\n"
    "  --help, --version\n";

int
msg_usage(const char *what)
{
	fprintf(stderr, "%s: %s\n%s", MSG_NAME, what, usage_text);
	return MSG_STATUS_USAGE;
}

bool
msg_parse_client(const char *text, uint64_t *client)
{
	size_t len = strlen(text);

	if (len == 0 || len > 16 || strspn(text, "0123456789abcdefABCDEF") != len)
		return false;
	*client = strtoull(text, NULL, 16);
	return *client != 0;
}

static bool
parse_number(const char *text, uint64_t max, uint64_t *number)
{
	size_t len = strlen(text);

	if (len == 0 || len > 10 || strspn(text, "0123456789") != len)
		return false;
	*number = strtoull(text, NULL, 10);
	return *number >= 1 && *number <= max;
}

enum {
	OPT_AT = 256,
	OPT_KEY,
	OPT_ID,
	OPT_DURABLE,
	OPT_COUNT,
	OPT_TIMEOUT,
	OPT_RESEND,
	OPT_TRIES,
	OPT_SOCKET,
	OPT_FROM,
	OPT_ORIGINAL,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "at", required_argument, NULL, OPT_AT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "id", required_argument, NULL, OPT_ID },
	{ "durable", no_argument, NULL, OPT_DURABLE },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "resend", required_argument, NULL, OPT_RESEND },
	{ "tries", required_argument, NULL, OPT_TRIES },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "original", no_argument, NULL, OPT_ORIGINAL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* False: its value cannot be. */
static bool
take_option(struct msg_arguments *arguments, int option)
{
	uint64_t number = 0;
	bool is_fine = true;

	switch (option) {
	case OPT_AT:
		arguments->options.address = optarg;
		break;
	case OPT_KEY:
		arguments->key_file = optarg;
		break;
	case OPT_ID:
		return msg_parse_client(optarg, &arguments->options.client);
	case OPT_DURABLE:
		arguments->flags |= RELAY_MSG_DURABLE;
		break;
	case OPT_COUNT:
		return parse_number(optarg, UINT32_MAX, &arguments->count);
	case OPT_TIMEOUT:
		is_fine = parse_number(optarg, INT32_MAX, &number);
		arguments->timeout_ms = (int)number;
		break;
	case OPT_RESEND:
		is_fine = parse_number(optarg, 3600000, &number);
		arguments->options.resend_first_ms = (uint32_t)number;
		break;
	case OPT_TRIES:
		is_fine = parse_number(optarg, 1000, &number);
		arguments->options.tries = (uint32_t)number;
		break;
	case OPT_SOCKET:
		arguments->page.socket = optarg;
		break;
	case OPT_FROM:
		arguments->page.sender = optarg;
		break;
	case OPT_ORIGINAL:
		arguments->page.is_original = true;
		break;
	default:
		return false;
	}
	return is_fine;
}

bool
msg_args_parse(struct msg_arguments *arguments, int argc, char **argv, int *status)
{
	int option;

	*arguments = (struct msg_arguments){
		.options.address = "127.0.0.1:5050",
		.page = { .socket = "/run/relay/webpager", .sender = "" },
		.timeout_ms = -1,
	};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP || option == OPT_VERSION) {
			if (option == OPT_HELP)
				printf("%s%s", usage_text, help_text);
			else
				printf("%s %s\n", MSG_NAME, RELAY_VERSION);
			*status = fflush(stdout) == 0 ? MSG_STATUS_FINE : MSG_STATUS_FAILED;
			return false;
		}
		if (option == '?') {
			*status = msg_usage("unknown option");
			return false;
		}
		if (!take_option(arguments, option)) {
			*status = msg_usage("an option's value cannot be");
			return false;
		}
	}
	arguments->operand_count = argc - optind;
	arguments->operands = argv + optind;
	return true;
}
