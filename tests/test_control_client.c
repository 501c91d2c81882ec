/*
 * test_control_client.c - the client of the control socket against a daemon of our own on the other
 * end: frames in pieces, wrong frames, silence, pages and streams.
 */
#include "relay/control_client.h"

#include "tests/temp_dir.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SOON_MS 20000 /* never waited for when all is well */

typedef void scenario(int fd);

static int listener = -1;
static pthread_t daemon_thread;
static struct control_client client;
static struct control_answer answer;

/* --- the daemon */

static void
give(int fd, const void *bytes, size_t len)
{
	/* Who is not heard to the end is not answered: some scenarios go on after that. */
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static void
give_message(int fd, const ProtobufCMessage *message, size_t piece)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *frame = malloc(len + CONTROL_FRAME_HEADER);

	control_frame_put_length(frame, len);
	protobuf_c_message_pack(message, frame + CONTROL_FRAME_HEADER);
	len += CONTROL_FRAME_HEADER;
	for (size_t at = 0; at < len; at += piece)
		give(fd, frame + at, len - at < piece ? len - at : piece);
	free(frame);
}

static void
give_hello(int fd, uint32_t protocol)
{
	Relay__Control__Hello hello;
	char version[] = "1.2.3";
	char role[] = "operate";

	relay__control__hello__init(&hello);
	hello.protocol = protocol;
	hello.version = version;
	hello.role = role;
	hello.pid = 77;
	give_message(fd, &hello.base, 3);
}

static bool
take_bytes(int fd, uint8_t *to, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, to, len, 0);

		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

/* NULL: the client has gone. */
static Relay__Control__Request *
take_request(int fd)
{
	uint8_t header[CONTROL_FRAME_HEADER];
	Relay__Control__Request *request = NULL;
	uint8_t *bytes;
	size_t total;

	if (!take_bytes(fd, header, sizeof header))
		return NULL;
	control_frame_look(header, sizeof header, CONTROL_FRAME_MAX, &total);
	total -= CONTROL_FRAME_HEADER;
	bytes = malloc(total);
	if (take_bytes(fd, bytes, total))
		request = relay__control__request__unpack(NULL, total, bytes);
	free(bytes);
	return request;
}

/* Whatever it is; false when the client has gone. */
static bool
drop_request(int fd)
{
	Relay__Control__Request *request = take_request(fd);

	if (request)
		relay__control__request__free_unpacked(request, NULL);
	return request != NULL;
}

static void
give_hosts(int fd, uint32_t id, unsigned first, unsigned n, const char *next, size_t piece)
{
	Relay__Control__Reply reply;
	Relay__Control__Hosts hosts;
	Relay__Control__Host host[8];
	Relay__Control__Host *rows[8];
	char names[8][16];
	char cursor[16];

	relay__control__reply__init(&reply);
	relay__control__hosts__init(&hosts);
	for (unsigned i = 0; i < n; i++) {
		relay__control__host__init(&host[i]);
		snprintf(names[i], sizeof names[i], "h%u", first + i);
		host[i].id = names[i];
		rows[i] = &host[i];
	}
	hosts.n_host = n;
	hosts.host = rows;
	snprintf(cursor, sizeof cursor, "%s", next);
	reply.id = id;
	reply.next_cursor = cursor;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HOSTS;
	reply.hosts = &hosts;
	give_message(fd, &reply.base, piece);
}

static void
give_error(int fd, uint32_t id, Relay__Control__Code code, const char *why)
{
	Relay__Control__Reply reply;
	char text[64];

	relay__control__reply__init(&reply);
	snprintf(text, sizeof text, "%s", why);
	reply.id = id;
	reply.code = code;
	reply.error = text;
	give_message(fd, &reply.base, SIZE_MAX / 2);
}

static void *
daemon_run(void *context)
{
	scenario *play = *(scenario **)context;
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return NULL;
	play(fd);
	close(fd);
	return NULL;
}

/* --- the test's side */

static scenario *playing;

static void
begin(scenario *play)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	temp_dir_make();
	snprintf(address.sun_path, sizeof address.sun_path, "%.60s/control", temp_dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(listen(listener, 4), 0);
	playing = play;
	cr_assert_eq(pthread_create(&daemon_thread, NULL, daemon_run, &playing), 0);
	cr_assert(control_answer_init(&answer));
}

static void
end(void)
{
	control_client_close(&client);
	pthread_join(daemon_thread, NULL);
	control_answer_fini(&answer);
	close(listener);
	temp_dir_remove();
}

static uint64_t
soon(void)
{
	return control_client_clock_ms() + SOON_MS;
}

static enum control_client_result
open_it(void)
{
	return control_client_open(&client, temp_path("control"), soon());
}

static enum control_client_result
ask(const char *verb, uint64_t deadline_ms)
{
	Relay__Control__Request request;
	char text[64];

	relay__control__request__init(&request);
	snprintf(text, sizeof text, "%s", verb);
	request.verb = text;
	return control_client_ask(&client, &request, &answer, deadline_ms);
}

static void
play_pages(int fd)
{
	static const char *const cursors[] = { "", "a", "b" };
	static const char *const next[] = { "a", "b", "" };

	give_hello(fd, 1);
	for (unsigned page = 0; page < 3; page++) {
		Relay__Control__Request *request = take_request(fd);

		/* A wrong cursor is answered with nothing: the test sees that. */
		if (request && strcmp(request->cursor, cursors[page]) == 0)
			give_hosts(fd, request->id, page * 5, page == 2 ? 1 : 5, next[page], 1);
		if (request)
			relay__control__request__free_unpacked(request, NULL);
	}
}

Test(control_client, joins_pages_that_come_byte_by_byte)
{
	begin(play_pages);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK, "%s", client.error);
	cr_assert_str_eq(client.version, "1.2.3");
	cr_assert_str_eq(client.role, "operate");
	cr_assert_eq(client.pid, 77);
	cr_assert_eq(ask("hosts list", soon()), CONTROL_CLIENT_OK, "%s", client.error);
	cr_assert_eq(answer.reply->hosts->n_host, 11);
	for (unsigned i = 0; i < 11; i++) {
		char name[16];

		snprintf(name, sizeof name, "h%u", i);
		cr_assert_str_eq(answer.reply->hosts->host[i]->id, name);
	}
	end();
}

static void
play_error_in_pages(int fd)
{
	give_hello(fd, 1);
	for (unsigned page = 0; page < 2; page++) {
		Relay__Control__Request *request = take_request(fd);

		if (!request)
			return;
		if (page == 0)
			give_hosts(fd, request->id, 0, 2, "x", 1000);
		else
			give_error(fd, request->id, RELAY__CONTROL__CODE__DENIED, "no more");
		relay__control__request__free_unpacked(request, NULL);
	}
}

Test(control_client, an_error_on_a_later_page_is_the_answer)
{
	begin(play_error_in_pages);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	cr_assert_eq(ask("hosts list", soon()), CONTROL_CLIENT_OK);
	cr_assert_eq(answer.reply->code, RELAY__CONTROL__CODE__DENIED);
	cr_assert_str_eq(answer.reply->error, "no more");
	end();
}

static void
play_stream(int fd)
{
	Relay__Control__Request *request;

	give_hello(fd, 1);
	request = take_request(fd);
	if (!request)
		return;
	for (unsigned i = 0; i < 5; i++) {
		Relay__Control__Reply reply;
		Relay__Control__Event event;

		relay__control__reply__init(&reply);
		relay__control__event__init(&event);
		event.at = 100 + i;
		reply.id = request->id;
		reply.more = i < 4;
		reply.body_case = RELAY__CONTROL__REPLY__BODY_EVENT;
		reply.event = &event;
		give_message(fd, &reply.base, 7);
	}
	relay__control__request__free_unpacked(request, NULL);
}

Test(control_client, reads_a_stream_to_its_end)
{
	Relay__Control__Request request;
	char verb[] = "events";

	begin(play_stream);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	relay__control__request__init(&request);
	request.verb = verb;
	cr_assert_eq(control_client_send(&client, &request, soon()), CONTROL_CLIENT_OK);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(control_client_next(&client, &answer, soon()), CONTROL_CLIENT_OK);
		cr_assert_eq(answer.reply->event->at, 100 + i);
		cr_assert_eq(answer.reply->more, i < 4);
	}
	cr_assert_eq(control_client_next(&client, &answer, soon()), CONTROL_CLIENT_UNREACHABLE);
	end();
}

static void
play_silence(int fd)
{
	give_hello(fd, 1);
	/* Until the client goes. */
	while (drop_request(fd))
		continue;
}

Test(control_client, gives_up_at_the_deadline)
{
	begin(play_silence);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	cr_assert_eq(ask("info", control_client_clock_ms() + 50), CONTROL_CLIENT_TIMEOUT);
	end();
}

Test(control_client, ends_when_told_to_stop)
{
	static volatile sig_atomic_t stop;

	begin(play_silence);
	client.stop = &stop;
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	stop = 1;
	cr_assert_eq(ask("info", soon()), CONTROL_CLIENT_INTERRUPTED);
	end();
}

static void
play_other_protocol(int fd)
{
	give_hello(fd, 2);
}

static void
play_noise(int fd)
{
	give(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void
play_empty_frame(int fd)
{
	give(fd, "\0\0\0\0", 4);
}

static void
play_limit(int fd)
{
	give_error(fd, 0, RELAY__CONTROL__CODE__LIMIT, "too many\033[2J connections");
}

static void
play_nothing(int fd)
{
	(void)fd;
}

Test(control_client, refuses_who_is_no_daemon_of_ours)
{
	static const struct {
		scenario *play;
		enum control_client_result result;
		const char *error;
	} cases[] = {
		{ play_other_protocol, CONTROL_CLIENT_PROTOCOL, "too old" },
		{ play_noise, CONTROL_CLIENT_PROTOCOL, "too long" },
		{ play_empty_frame, CONTROL_CLIENT_PROTOCOL, "empty" },
		{ play_limit, CONTROL_CLIENT_UNREACHABLE, "too many?[2J connections" },
		{ play_nothing, CONTROL_CLIENT_UNREACHABLE, "closed" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(cases[i].play);
		cr_assert_eq(open_it(), cases[i].result, "case %zu: %s", i, client.error);
		cr_assert_not_null(strstr(client.error, cases[i].error), "%s", client.error);
		end();
	}
}

static void
play_other_id(int fd)
{
	give_hello(fd, 1);
	give_hosts(fd, 9, 0, 1, "", 1000);
	drop_request(fd);
}

Test(control_client, refuses_an_answer_to_what_was_not_asked)
{
	begin(play_other_id);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	cr_assert_eq(ask("hosts list", soon()), CONTROL_CLIENT_PROTOCOL);
	end();
}

static void
play_bad_text(int fd)
{
	/* A reply with id 1 and an error that is no UTF-8. */
	give_hello(fd, 1);
	give(fd, "\0\0\0\7\x08\1\x10\1\x1a\1\xff", 11);
	drop_request(fd);
}

static void
play_nul_in_text(int fd)
{
	give_hello(fd, 1);
	give(fd, "\0\0\0\x09\x08\1\x10\1\x1a\3a\0b", 13);
	drop_request(fd);
}

static void
play_no_message(int fd)
{
	/* A text that is longer than the message. */
	give_hello(fd, 1);
	give(fd, "\0\0\0\7\x08\1\x10\1\x1a\x7f\0", 11);
	drop_request(fd);
}

Test(control_client, refuses_malformed_replies)
{
	static scenario *const plays[] = { play_bad_text, play_nul_in_text, play_no_message };

	for (size_t i = 0; i < sizeof plays / sizeof plays[0]; i++) {
		begin(plays[i]);
		cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
		cr_assert_eq(ask("info", soon()), CONTROL_CLIENT_PROTOCOL, "case %zu", i);
		cr_assert_not_null(strstr(client.error, "malformed"), "%s", client.error);
		end();
	}
}

Test(control_client, sends_nothing_that_is_too_long)
{
	Relay__Control__Request request;
	char verb[] = "hosts apply";

	begin(play_silence);
	cr_assert_eq(open_it(), CONTROL_CLIENT_OK);
	relay__control__request__init(&request);
	request.verb = verb;
	request.body.len = CONTROL_FRAME_MAX;
	request.body.data = calloc(1, CONTROL_FRAME_MAX);
	cr_assert_eq(control_client_ask(&client, &request, &answer, soon()),
		     CONTROL_CLIENT_TOO_LARGE);
	free(request.body.data);
	end();
}

Test(control_client, says_when_nobody_is_there)
{
	char path[256];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	cr_assert_eq(control_client_open(&client, "/nonexistent/control", soon()),
		     CONTROL_CLIENT_UNREACHABLE);
	control_client_close(&client);
	cr_assert_eq(control_client_open(&client, path, soon()), CONTROL_CLIENT_UNREACHABLE);
	control_client_close(&client);
}
