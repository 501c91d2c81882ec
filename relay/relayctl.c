/*
 * relayctl.c - the operator's command: one verb to the control socket, its answer to standard
 * output.
 *
 * Data goes to standard output, talk to standard error; the exit status says how it went.  Never
 * touches a file but the one named as an argument, never sends texts of the daemon to a terminal as
 * they came.  Owns the connection and the request's body.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "relay/control_call.h"
#include "relay/control_client.h"
#include "relay/ctl_args.h"
#include "relay/ctl_complete.h"
#include "relay/ctl_json.h"
#include "relay/ctl_table.h"
#include "relay/ctl_top.h"
#include "relay/ctl_units.h"
#include "relay/version.h"

#define DEFAULT_SOCKET "/run/relay/relay.control"
#define BODY_MAX       ((size_t)CONTROL_FRAME_MAX - CONTROL_FRAME_HEADER)
#define BODY_FIRST     ((size_t)64 * 1024)
#define COMPLETE_FILE  ":file" /* no host is named so */

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_DEGRADED = 4,
	EXIT_NOT_FOUND = 5,
	EXIT_DENIED = 6,
	EXIT_WAIT_EXPIRED = 7,
	EXIT_GENERATION_CONFLICT = 8,
};

/* What only the client itself needs of a reply. */
static const char *const transport[] = { "id", "next_cursor", "more", NULL };

static int
status_of_result(enum control_client_result result)
{
	switch (result) {
	case CONTROL_CLIENT_OK:
		return EXIT_OK;
	case CONTROL_CLIENT_TOO_LARGE:
		return EXIT_USAGE;
	case CONTROL_CLIENT_UNREACHABLE:
	case CONTROL_CLIENT_TIMEOUT:
	case CONTROL_CLIENT_PROTOCOL:
		return EXIT_UNREACHABLE;
	case CONTROL_CLIENT_INTERRUPTED:
		return EXIT_FAILED;
	}
	return EXIT_FAILED;
}

static int
status_of_code(Relay__Control__Code code)
{
	switch (code) {
	case RELAY__CONTROL__CODE__OK:
		return EXIT_OK;
	case RELAY__CONTROL__CODE__USAGE:
		return EXIT_USAGE;
	case RELAY__CONTROL__CODE__MALFORMED:
		return EXIT_UNREACHABLE;
	case RELAY__CONTROL__CODE__NOT_FOUND:
		return EXIT_NOT_FOUND;
	case RELAY__CONTROL__CODE__DENIED:
		return EXIT_DENIED;
	case RELAY__CONTROL__CODE__WAIT_EXPIRED:
		return EXIT_WAIT_EXPIRED;
	case RELAY__CONTROL__CODE__GENERATION_CONFLICT:
		return EXIT_GENERATION_CONFLICT;
	case RELAY__CONTROL__CODE__FAILED:
	case RELAY__CONTROL__CODE__LIMIT:
	case _RELAY__CONTROL__CODE_IS_INT_SIZE:
		return EXIT_FAILED;
	}
	/* A code that this program is too old to know. */
	return EXIT_FAILED;
}

static int
status_of_reply(const struct ctl_args *args, const Relay__Control__Reply *reply)
{
	if (reply->code == RELAY__CONTROL__CODE__OK &&
	    reply->body_case == RELAY__CONTROL__REPLY__BODY_HEALTH) {
		bool well = args->ready ? reply->health->ready
					: strcmp(reply->health->status, "ready") == 0;
		return well ? EXIT_OK : EXIT_DEGRADED;
	}
	return status_of_code(reply->code);
}

static int
complain(const struct control_client *client, enum control_client_result result)
{
	fprintf(stderr, "relayctl: %s\n", client->error);
	return status_of_result(result);
}

/* --- where the daemon is */

static const char *
socket_path(const struct ctl_args *args)
{
	const char *path = getenv("RELAY_CONTROL");

	if (args->socket)
		return args->socket;
	if (path && path[0] != '\0')
		return path;
	return access(DEFAULT_SOCKET, F_OK) == 0 ? DEFAULT_SOCKET : NULL;
}

static int
open_daemon(struct control_client *client, const struct ctl_args *args, uint64_t deadline_ms)
{
	const char *path = socket_path(args);
	enum control_client_result result;

	client->fd = -1;
	if (!path) {
		fprintf(stderr,
			"relayctl: no daemon found: %s is not there; say --socket PATH or set "
			"RELAY_CONTROL (relay.control in relayd's run directory)\n",
			DEFAULT_SOCKET);
		return EXIT_UNREACHABLE;
	}
	result = control_client_open(client, path, deadline_ms);
	if (result == CONTROL_CLIENT_OK)
		return EXIT_OK;
	if (result == CONTROL_CLIENT_UNREACHABLE && access(path, W_OK) != 0 && errno == EACCES) {
		fprintf(stderr,
			"relayctl: %s: you may not connect (section control of relay.conf: mode, "
			"group)\n",
			path);
		return EXIT_DENIED;
	}
	return complain(client, result);
}

/* --- what is sent along */

static int
too_long(const char *path)
{
	fprintf(stderr, "relayctl: %s: longer than %zu bytes\n", path, BODY_MAX);
	return EXIT_USAGE;
}

static int
read_all(int fd, const char *path, ProtobufCBinaryData *body)
{
	size_t size = 0;

	for (;;) {
		ssize_t n;

		if (body->len == size) {
			uint8_t *grown;

			size = size ? size * 2 : BODY_FIRST;
			grown = realloc(body->data, size);
			if (!grown) {
				fprintf(stderr, "relayctl: out of memory\n");
				return EXIT_FAILED;
			}
			body->data = grown;
		}
		n = read(fd, body->data + body->len, size - body->len);
		if (n == 0)
			return EXIT_OK;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fprintf(stderr, "relayctl: %s: %s\n", path, strerror(errno));
			return EXIT_FAILED;
		}
		body->len += (size_t)n;
		if (body->len > BODY_MAX)
			return too_long(path);
	}
}

static int
read_body(const struct ctl_args *args, ProtobufCBinaryData *body)
{
	int fd = STDIN_FILENO;
	int status;

	if (args->body_kind == CTL_BODY_NONE)
		return EXIT_OK;
	if (args->body_kind == CTL_BODY_LINE && strcmp(args->body, "-") != 0) {
		body->data = (uint8_t *)strdup(args->body);
		body->len = body->data ? strlen(args->body) : 0;
		return body->data ? EXIT_OK : EXIT_FAILED;
	}
	if (strcmp(args->body, "-") != 0)
		fd = open(args->body, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		fprintf(stderr, "relayctl: %s: %s\n", args->body, strerror(errno));
		return EXIT_FAILED;
	}
	status = read_all(fd, args->body, body);
	if (fd != STDIN_FILENO)
		close(fd);
	/* A line from a pipe ends with a newline that is not part of it. */
	if (args->body_kind == CTL_BODY_LINE && body->len > 0 && body->data[body->len - 1] == '\n')
		body->len--;
	return status;
}

static void
fill_request(Relay__Control__Request *request, struct ctl_args *args, ProtobufCBinaryData body)
{
	relay__control__request__init(request);
	/* Its texts are not written to. */
	request->verb = (char *)(uintptr_t)args->verb->name;
	request->arguments = args->arguments;
	request->n_arguments = args->arguments_len;
	request->body = body;
	request->dry_run = args->dry_run;
	request->if_generation = args->if_generation;
	request->wait_ms = args->wait_ms;
	if (args->client)
		request->client = (char *)(uintptr_t)args->client;
	request->older_ms = args->older_ms;
}

/* --- what came */

static void
show_error(const Relay__Control__Reply *reply)
{
	const ProtobufCEnumValue *code =
	    protobuf_c_enum_descriptor_get_value(&relay__control__code__descriptor, reply->code);
	char *error = ctl_clean(reply->error, strlen(reply->error), false);

	if (error && error[0] != '\0')
		fprintf(stderr, "relayctl: %s\n", error);
	else
		fprintf(stderr, "relayctl: %s\n", code ? code->name : "failed");
	free(error);
}

/* Columns of the terminal that standard output is; 0 = it is none. */
static size_t
terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return SIZE_MAX;
	return size.ws_col;
}

static void
show_reply(const struct ctl_args *args, const Relay__Control__Reply *reply)
{
	if (args->json) {
		ctl_json_print_without(stdout, &reply->base, true, transport);
		fputc('\n', stdout);
	} else {
		ctl_table_findings(stderr, reply);
		ctl_table_print(stdout, reply, args->verb->name, terminal_width());
	}
	if (reply->code != RELAY__CONTROL__CODE__OK)
		show_error(reply);
}

/* Events, one per line as they come; the daemon ends it, or a signal ends us. */
static int
follow(struct control_client *client, struct ctl_args *args, Relay__Control__Request *request,
       struct control_answer *answer)
{
	uint64_t deadline_ms = control_client_clock_ms() + args->timeout_ms;
	enum control_client_result result = control_client_send(client, request, deadline_ms);

	while (result == CONTROL_CLIENT_OK) {
		/* Silence is no fault: nothing happens. */
		result = control_client_next(client, answer, UINT64_MAX);
		if (result != CONTROL_CLIENT_OK)
			break;
		if (answer->reply->code != RELAY__CONTROL__CODE__OK) {
			show_reply(args, answer->reply);
			return status_of_reply(args, answer->reply);
		}
		if (answer->reply->body_case == RELAY__CONTROL__REPLY__BODY_EVENT) {
			if (args->json) {
				ctl_json_print(stdout, &answer->reply->event->base, false);
				fputc('\n', stdout);
			} else {
				ctl_table_event(stdout, answer->reply->event);
			}
		}
		/* Why it failed is told at the end. */
		if (fflush(stdout) != 0)
			return EXIT_OK;
		if (!answer->reply->more)
			return EXIT_OK;
	}
	return complain(client, result);
}

static int
ask(struct control_client *client, struct ctl_args *args, Relay__Control__Request *request,
    struct control_answer *answer)
{
	uint64_t deadline_ms = control_client_clock_ms() + args->timeout_ms + args->wait_ms;
	enum control_client_result result =
	    control_client_ask(client, request, answer, deadline_ms);

	if (result != CONTROL_CLIENT_OK)
		return complain(client, result);
	show_reply(args, answer->reply);
	return status_of_reply(args, answer->reply);
}

static int
run_verb(struct ctl_args *args)
{
	struct control_client client = { .fd = -1 };
	struct control_answer answer = { .reply = NULL };
	Relay__Control__Request request;
	ProtobufCBinaryData body = { 0, NULL };
	int status = read_body(args, &body);

	if (status == EXIT_OK && !control_answer_init(&answer)) {
		fprintf(stderr, "relayctl: out of memory\n");
		status = EXIT_FAILED;
	}
	if (status == EXIT_OK)
		status = open_daemon(&client, args, control_client_clock_ms() + args->timeout_ms);
	if (status == EXIT_OK) {
		fill_request(&request, args, body);
		if (args->verb->options & CONTROL_OPTION_STREAM)
			status = follow(&client, args, &request, &answer);
		else
			status = ask(&client, args, &request, &answer);
	}
	control_client_close(&client);
	control_answer_fini(&answer);
	free(body.data);
	return status;
}

static int
run_top(const struct ctl_args *args)
{
	struct control_client client = { .fd = -1 };
	int status;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr, "relayctl: top needs a terminal\n");
		return EXIT_USAGE;
	}
	status = open_daemon(&client, args, control_client_clock_ms() + args->timeout_ms);
	if (status == EXIT_OK) {
		Relay__Control__Code code = RELAY__CONTROL__CODE__OK;
		enum control_client_result result =
		    ctl_top_run(&client, socket_path(args), args->timeout_ms, &code);

		if (result != CONTROL_CLIENT_OK || code != RELAY__CONTROL__CODE__OK)
			status = complain(&client, result);
		if (result == CONTROL_CLIENT_OK)
			status = status_of_code(code);
	}
	control_client_close(&client);
	return status;
}

/* --- completion: never a word of complaint */

static int
run_complete(struct ctl_args *args)
{
	const char *prefix;
	enum ctl_complete what;

	for (size_t i = 0; i + 1 < args->words_len; i++) {
		const char *word = args->words[i];

		if (strncmp(word, "--socket=", 9) == 0)
			args->socket = word + 9;
		else if (strcmp(word, "--socket") == 0 || strcmp(word, "-s") == 0)
			args->socket = args->words[i + 1];
	}
	what = ctl_complete_words(stdout, args->words, args->words_len, &prefix);
	if (what == CTL_COMPLETE_FILE)
		puts(COMPLETE_FILE);
	else if (what != CTL_COMPLETE_DONE && socket_path(args))
		ctl_complete_ask(stdout, socket_path(args), what, prefix);
	return EXIT_OK;
}

/* A reader that has seen enough is no failure; a full disk is. */
static int
finish(int status)
{
	bool failed = ferror(stdout) != 0;
	int error = errno;

	if (fclose(stdout) != 0) {
		failed = true;
		error = errno;
	}
	if (!failed || error == EPIPE)
		return status;
	fprintf(stderr, "relayctl: standard output: %s\n", strerror(error));
	return EXIT_FAILED;
}

static int
run(struct ctl_args *args)
{
	switch (args->action) {
	case CTL_ACTION_VERB:
		return run_verb(args);
	case CTL_ACTION_TOP:
		return run_top(args);
	case CTL_ACTION_HELP:
		ctl_args_help(stdout, args->noun);
		return EXIT_OK;
	case CTL_ACTION_VERSION:
		printf("relayctl " RELAY_VERSION ", control protocol %d\n", CONTROL_PROTOCOL);
		return EXIT_OK;
	case CTL_ACTION_COMPLETE:
		return run_complete(args);
	}
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct ctl_args args;

	setlocale(LC_CTYPE, "");
	/* A broken pipe ends events too, which may wait for ever for something to write. */
	signal(SIGPIPE, SIG_IGN);
	if (!ctl_args_parse(&args, argc, argv)) {
		fprintf(stderr, "relayctl: %s\n", args.error);
		return EXIT_USAGE;
	}
	return finish(run(&args));
}
