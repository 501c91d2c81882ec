/*
 * test_control_request.c - an operator's request that comes before a worker serves its host: it
 * waits, and is over when it is sent, when its caller leaves, or when nobody will serve.
 */
#include "tests/control_stage.h"

#include "relay/child.h"
#include "relay/control_ask.h"
#include "relay/log.h"
#include "relay/request.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define A_WHILE_MS 1000u /* more than it takes to look again, less than it waits for */

static struct control_stage stage;
static struct channel *worker; /* the worker's end; NULL = there is none */
static int client;

static void
rounds(int count)
{
	for (int i = 0; i < count; i++)
		control_stage_round(&stage, 0);
}

static void
pass_time(void)
{
	control_asks_run(&stage.control, child_clock_ms() + A_WHILE_MS);
}

static void
send_request(void)
{
	static char line[] = "the line";
	char id[] = "msul1";
	char verb[] = "request";
	char *arguments[] = { id };
	Relay__Control__Request request;
	uint8_t bytes[128];

	relay__control__request__init(&request);
	request.id = 1;
	request.verb = verb;
	request.n_arguments = 1;
	request.arguments = arguments;
	request.body = (ProtobufCBinaryData){ .len = strlen(line), .data = (uint8_t *)line };
	size_t len = relay__control__request__pack(&request, bytes + CONTROL_FRAME_HEADER);
	control_frame_put_length(bytes, len);
	len += CONTROL_FRAME_HEADER;
	cr_assert_eq(send(client, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	rounds(3);
}

/* NULL: nothing was answered.  To be freed by its own function. */
static Relay__Control__Reply *
take_reply(void)
{
	uint8_t bytes[1024];
	size_t total;
	ssize_t got = recv(client, bytes, sizeof bytes, 0);

	if (got <= 0)
		return NULL;
	cr_assert_eq(control_frame_look(bytes, (size_t)got, sizeof bytes, &total),
		     CONTROL_FRAME_OK);
	return relay__control__reply__unpack(NULL, total - CONTROL_FRAME_HEADER,
					     bytes + CONTROL_FRAME_HEADER);
}

static void
check_refused(Relay__Control__Code code, const char *text)
{
	Relay__Control__Reply *reply = take_reply();

	cr_assert_not_null(reply);
	cr_expect_eq(reply->code, code);
	cr_expect_str_eq(reply->error, text);
	relay__control__reply__free_unpacked(reply, NULL);
	cr_expect_eq(stage.control.requests, 0);
	cr_expect_eq(stage.control.asks_count, 0);
}

/* The keeper has a socket for the host, and there is a worker. */
static void
serve(void)
{
	struct channel_worker attached = { .number = 0, .pid = 1 };
	struct channel_listen listener = { .id = "msul1", .index = 0 };
	int ends[2];

	cr_assert_eq(channel_pair(ends), 0);
	worker = channel_new(ends[1]);
	cr_assert_not_null(worker);
	stage.options.worker_count = 1;
	control_on_worker(&stage.control, &attached, ends[0]);
	control_on_listener(&stage.control, &listener, open("/dev/null", O_RDONLY | O_CLOEXEC));
	control_on_listed(&stage.control);
	control_pump(&stage.control);
}

/* What the worker is asked; its descriptor is the caller's. */
static int
take_request(struct channel_message *message)
{
	int fd;

	while (channel_receive(worker, message, &fd) > 0) {
		if (message->type == CHANNEL_REQUEST)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static void
set_up(void)
{
	uint8_t hello[256];

	log_set_level(LOG_ERROR);
	cr_assert(control_stage_init(&stage, ""));
	client = control_stage_connect(&stage);
	cr_assert(client >= 0);
	rounds(3);
	cr_assert(recv(client, hello, sizeof hello, 0) > CONTROL_FRAME_HEADER);
	send_request();
	cr_assert_null(take_reply(), "it waits");
	cr_assert_eq(stage.control.requests, 1);
}

static void
tear_down(void)
{
	close(client);
	channel_free(worker);
	channel_free(stage.control.workers[0].channel);
	control_stage_fini(&stage);
}

TestSuite(control_request, .init = set_up, .fini = tear_down);

Test(control_request, sent_as_soon_as_a_worker_serves)
{
	struct channel_message message;

	pass_time();
	rounds(2);
	cr_assert_null(take_reply(), "still nobody serves it");
	serve();
	pass_time();
	int fd = take_request(&message);
	cr_assert(fd >= 0);
	cr_expect_eq(message.request.index, 0);
	cr_expect_eq(message.request.length, strlen("the line"));
	cr_expect_eq(pwrite(fd, "said", 4, 0), 4);
	close(fd);

	struct channel_message answer = { .type = CHANNEL_REPLY };
	answer.request.token = message.request.token;
	answer.request.result = REQUEST_ANSWERED;
	answer.request.length = 4;
	control_on_answer(&stage.control, 0, &answer);
	Relay__Control__Reply *reply = take_reply();
	cr_assert_not_null(reply);
	cr_assert_eq(reply->body_case, RELAY__CONTROL__REPLY__BODY_TEXT);
	cr_expect_eq(reply->text->text.len, 4);
	cr_expect_arr_eq(reply->text->text.data, "said", 4);
	relay__control__reply__free_unpacked(reply, NULL);
	cr_expect_eq(stage.control.requests, 0);
}

Test(control_request, nothing_is_left_of_who_leaves)
{
	shutdown(client, SHUT_RDWR);
	rounds(3);
	cr_expect_eq(stage.server.count, 0);
	cr_expect_eq(stage.control.requests, 0);
	cr_expect_eq(stage.control.asks_count, 0);
	serve();
	pass_time();
	struct channel_message message;
	cr_expect_eq(take_request(&message), -1, "no worker hears of it");
}

Test(control_request, told_when_the_host_is_removed)
{
	char path[96];

	snprintf(path, sizeof path, "%s/hosts.tab", stage.dir);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert(fputs("another:msu:library:n:127.0.0.1\n", file) >= 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert(control_load(&stage.control));
	pass_time();
	check_refused(RELAY__CONTROL__CODE__NOT_FOUND, "the host was removed meanwhile");
}

Test(control_request, told_when_the_relay_stops)
{
	stage.control.ending = true;
	pass_time();
	check_refused(RELAY__CONTROL__CODE__FAILED, "no worker serves it at the moment");
}
