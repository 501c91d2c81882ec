/*
 * msg_main.c - relay-msg: a client of relayd's message plane for shells and scripts.
 *
 * What was asked for goes to standard output, everything else to standard error.  Notices are
 * written before they are confirmed, and without what would act on a terminal.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "relay/msg.h"
#include "relay/msg_page.h"
#include "relay/version.h"
#include "wire/datagram.h"

#define NAME "relay-msg"

/* As those of relayctl. */
enum {
	STATUS_FINE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_UNREACHABLE = 3,
	STATUS_UNKNOWN = 5,
	STATUS_DENIED = 6,
	STATUS_TIMEOUT = 7,
};

static const char usage_text[] = "usage: " NAME " [OPTION]... request HOST LINE\n"
				 "       " NAME " [OPTION]... listen\n"
				 "       " NAME " [OPTION]... send CLIENT TEXT\n"
				 "       " NAME " [OPTION]... page CLIENT TEXT\n";

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

struct arguments {
	struct relay_msg_options options;
	uint8_t key[RELAY_MSG_KEY_SIZE];
	const char *key_file;
	struct msg_page page;
	unsigned flags;
	uint64_t count;
	int timeout_ms; /* -1: not said */
	int operand_count;
	char **operands;
};

/* --- the command line */

static int
usage(const char *what)
{
	fprintf(stderr, "%s: %s\n%s", NAME, what, usage_text);
	return STATUS_USAGE;
}

static bool
parse_client(const char *text, uint64_t *client)
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
take_option(struct arguments *arguments, int option)
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
		return parse_client(optarg, &arguments->options.client);
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

/* --- talking */

static int
status_of(enum relay_msg_outcome outcome)
{
	switch (outcome) {
	case RELAY_MSG_ANSWERED:
	case RELAY_MSG_ACCEPTED:
		return STATUS_FINE;
	case RELAY_MSG_UNREACHABLE:
	case RELAY_MSG_GIVEN_UP:
		return STATUS_UNREACHABLE;
	case RELAY_MSG_UNKNOWN_HOST:
	case RELAY_MSG_UNKNOWN_CLIENT:
		return STATUS_UNKNOWN;
	case RELAY_MSG_NOT_ALLOWED:
		return STATUS_DENIED;
	case RELAY_MSG_BUSY:
	case RELAY_MSG_MALFORMED:
	case RELAY_MSG_STORE_FULL:
	case RELAY_MSG_STORE_FAILED:
	case RELAY_MSG_TOO_LONG:
	case RELAY_MSG_CON_LOST:
	case RELAY_MSG_FORGOTTEN:
		return STATUS_FAILED;
	}
	return STATUS_FAILED;
}

static int
complain(int error, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", NAME, what, strerror(-error));
	return error == -EMSGSIZE || error == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

static int
connect_relay(struct arguments *arguments, struct relay_msg **client)
{
	struct relay_msg_options *options = &arguments->options;
	int error;

	if (arguments->key_file != NULL) {
		error = relay_msg_read_key(arguments->key_file, &options->client, arguments->key);
		if (error == -EPERM) {
			fprintf(stderr, "%s: %s: others may read it, or change it\n", NAME,
				arguments->key_file);
			return STATUS_USAGE;
		}
		if (error != 0) {
			(void)complain(error, arguments->key_file);
			return STATUS_USAGE;
		}
		options->key = arguments->key;
	} else if (options->client == 0) {
		return usage("--key or --id is needed");
	}
	error = relay_msg_open(client, options);
	return error == 0 ? STATUS_FINE : complain(error, options->address);
}

/* The answer of what was asked last. */
static int
finish(struct relay_msg *client, uint64_t id, int timeout_ms)
{
	struct relay_msg_event event;
	/* Notices are for who listens: here they stay unconfirmed. */
	int got = relay_msg_wait_for(client, id, &event, timeout_ms);

	if (got < 0)
		return complain(got, "waiting");
	if (got == 0) {
		fprintf(stderr, "%s: no answer in time\n", NAME);
		return STATUS_TIMEOUT;
	}
	if (event.outcome == RELAY_MSG_ANSWERED) {
		if (fwrite(event.bytes, 1, event.length, stdout) != event.length ||
		    putchar('\n') == EOF || fflush(stdout) != 0)
			return complain(-errno, "standard output");
		got = relay_msg_wait_for(client, id, &event, 0); /* confirms */
		return got < 0 ? complain(got, "confirming") : STATUS_FINE;
	}
	if (event.outcome != RELAY_MSG_ACCEPTED)
		fprintf(stderr, "%s: %s\n", NAME, relay_msg_outcome_name(event.outcome));
	return status_of(event.outcome);
}

static int
run_request(struct arguments *arguments, struct relay_msg *client)
{
	const char *line = arguments->operands[2];
	uint64_t id;
	int error = relay_msg_request(client, arguments->operands[1], line, strlen(line),
				      arguments->flags, &id);

	return error != 0 ? complain(error, "request") : finish(client, id, arguments->timeout_ms);
}

static int
run_send(struct arguments *arguments, struct relay_msg *client)
{
	const char *text = arguments->operands[2];
	uint8_t notice[RELAY_MSG_ID_SIZE];
	uint64_t id;

	if (getrandom(notice, sizeof notice, 0) != (ssize_t)sizeof notice)
		return complain(-errno, "getrandom");
	int error = relay_msg_send(client, arguments->page.to, text, strlen(text), notice, &id);
	return error != 0 ? complain(error, "notice") : finish(client, id, arguments->timeout_ms);
}

/* --- listening */

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
	return got < 0 ? complain(got, "confirming") : STATUS_FINE;
}

static int
run_listen(struct arguments *arguments, struct relay_msg *client)
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
			return complain(got, "waiting");
		if (got == 0)
			return arguments->count == 0 ? STATUS_FINE : STATUS_TIMEOUT;
		if (event.what == RELAY_MSG_ONLINE)
			fprintf(stderr, "%s: online\n", NAME);
		if (event.what == RELAY_MSG_OFFLINE)
			fprintf(stderr, "%s: offline\n", NAME);
		if (event.what != RELAY_MSG_NOTICE && event.what != RELAY_MSG_LATE)
			continue;
		if (!print_event(&event)) {
			/* Not taken, so not to be confirmed by a farewell either. */
			(void)complain(-errno, "standard output");
			_Exit(STATUS_FAILED);
		}
		seen++;
	}
	return settle(client, arguments->timeout_ms);
}

/* --- paging */

static int
run_page(const struct msg_page *page)
{
	char answer[NOTICE_ANSWER_MAX];

	switch (msg_page_send(page, answer)) {
	case MSG_PAGED:
		puts(answer);
		return fflush(stdout) == 0 ? STATUS_FINE : STATUS_FAILED;
	case MSG_PAGE_REFUSED:
		fprintf(stderr, "%s: refused: %s\n", NAME, answer);
		if (strcmp(answer, notice_fault_name(NOTICE_NOT_ALLOWED)) == 0)
			return STATUS_DENIED;
		return strcmp(answer, notice_fault_name(NOTICE_UNKNOWN_CLIENT)) == 0
			   ? STATUS_UNKNOWN
			   : STATUS_FAILED;
	case MSG_PAGE_SILENCE:
		fprintf(stderr, "%s: no answer in time\n", NAME);
		return STATUS_TIMEOUT;
	case MSG_PAGE_NO_RELAY:
		fprintf(stderr, "%s: %s: %s\n", NAME, page->socket, strerror(errno));
		return errno == EACCES ? STATUS_DENIED : STATUS_UNREACHABLE;
	}
	return STATUS_FAILED;
}

/* --- all of it */

static int
run_client(struct arguments *arguments,
	   int (*run)(struct arguments *arguments, struct relay_msg *client))
{
	struct relay_msg *client = NULL;
	int status = connect_relay(arguments, &client);

	if (status == STATUS_FINE) {
		status = run(arguments, client);
		relay_msg_close(client);
	}
	explicit_bzero(arguments->key, sizeof arguments->key);
	return status;
}

static int
run(struct arguments *arguments)
{
	const char *verb = arguments->operand_count > 0 ? arguments->operands[0] : "";
	int count = arguments->operand_count;

	if (strcmp(verb, "listen") == 0 && count == 1)
		return run_client(arguments, run_listen);
	if (arguments->timeout_ms < 0)
		arguments->timeout_ms = 30000;
	if (strcmp(verb, "request") == 0 && count == 3)
		return run_client(arguments, run_request);
	if ((strcmp(verb, "send") != 0 && strcmp(verb, "page") != 0) || count != 3)
		return usage("what is to be done?");
	if (!parse_client(arguments->operands[1], &arguments->page.to))
		return usage("CLIENT is 1 to 16 hexadecimal digits, not 0");
	if (strcmp(verb, "send") == 0)
		return run_client(arguments, run_send);
	arguments->page.text = arguments->operands[2];
	arguments->page.timeout_ms = arguments->timeout_ms;
	return run_page(&arguments->page);
}

int
main(int argc, char **argv)
{
	struct arguments arguments = {
		.options.address = "127.0.0.1:5050",
		.page = { .socket = "/run/relay/webpager", .sender = "" },
		.timeout_ms = -1,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP || option == OPT_VERSION) {
			if (option == OPT_HELP)
				printf("%s%s", usage_text, help_text);
			else
				printf("%s %s\n", NAME, RELAY_VERSION);
			return fflush(stdout) == 0 ? STATUS_FINE : STATUS_FAILED;
		}
		if (option == '?')
			return usage("unknown option");
		if (!take_option(&arguments, option))
			return usage("an option's value cannot be");
	}
	arguments.operand_count = argc - optind;
	arguments.operands = argv + optind;
	return run(&arguments);
}
