/*
 * test_control_server.c - the control socket's server by rounds: what it holds is given back,
 * whoever leaves whenever; who waits is answered.
 */
#include "tests/control_stage.h"

#include "relay/child.h"
#include "relay/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct control_stage stage;

static void
set_up(void)
{
	log_set_level(LOG_ERROR);
	cr_assert(control_stage_init(&stage, "control { connections_max = 3 }"));
}

static void
tear_down(void)
{
	control_stage_fini(&stage);
}

TestSuite(control_server, .init = set_up, .fini = tear_down);

static void
rounds(int count)
{
	for (int i = 0; i < count; i++)
		control_stage_round(&stage, 0);
}

static size_t
frame(uint8_t *out, uint32_t id, const char *verb, uint32_t wait_ms)
{
	Relay__Control__Request request;
	char text[32];

	relay__control__request__init(&request);
	strcpy(text, verb);
	request.id = id;
	request.verb = text;
	request.wait_ms = wait_ms;
	size_t len = relay__control__request__pack(&request, out + CONTROL_FRAME_HEADER);
	control_frame_put_length(out, len);
	return len + CONTROL_FRAME_HEADER;
}

static void
ask(int fd, uint32_t id, const char *verb, uint32_t wait_ms)
{
	uint8_t bytes[128];
	size_t len = frame(bytes, id, verb, wait_ms);

	cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The next reply; its body's case is in `body`.  Waits for it. */
static Relay__Control__Code
reply(int fd, uint32_t id, int *body)
{
	static uint8_t bytes[CONTROL_FRAME_MAX];
	size_t wanted = CONTROL_FRAME_HEADER;
	size_t len = 0;

	for (int i = 0; i < 2000 && len < wanted; i++) {
		ssize_t got = recv(fd, bytes + len, wanted - len, 0);
		if (got <= 0) {
			control_stage_round(&stage, 5);
			continue;
		}
		len += (size_t)got;
		if (len == CONTROL_FRAME_HEADER && wanted == len)
			control_frame_look(bytes, len, sizeof bytes, &wanted);
	}
	cr_assert_eq(len, wanted, "no answer in time");
	Relay__Control__Reply *message = relay__control__reply__unpack(
	    NULL, len - CONTROL_FRAME_HEADER, bytes + CONTROL_FRAME_HEADER);
	cr_assert_not_null(message);
	cr_assert_eq(message->id, id);
	Relay__Control__Code code = message->code;
	if (body != NULL)
		*body = (int)message->body_case;
	relay__control__reply__free_unpacked(message, NULL);
	return code;
}

static int
connect_and_greet(void)
{
	uint8_t hello[256];
	int fd = control_stage_connect(&stage);

	cr_assert(fd >= 0);
	rounds(3);
	cr_assert(recv(fd, hello, sizeof hello, 0) > CONTROL_FRAME_HEADER);
	return fd;
}

/* Rounds until nobody is connected. */
static void
all_gone(void)
{
	for (int i = 0; i < 100 && stage.server.count > 0; i++)
		control_stage_round(&stage, 5);
	cr_assert_eq(stage.server.count, 0);
	cr_assert_eq(stage.server.memory, 0, "%zu bytes are kept", stage.server.memory);
}

Test(control_server, every_verb_is_answered_or_waits)
{
	static const char *const names[] = {
#define VERB(name, role, handler, arguments, options, help) name,
#include "relay/control_verbs.def"
#undef VERB
	};
	uint32_t id = 0;
	int fd = connect_and_greet();

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], "events") == 0)
			continue;
		ask(fd, ++id, names[i], 0);
		reply(fd, id, NULL);
	}
	close(fd);
	all_gone();
}

Test(control_server, an_idle_connection_holds_nothing)
{
	int fd = connect_and_greet();

	cr_expect_eq(stage.server.memory, 0);
	ask(fd, 1, "health", 0);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	rounds(2);
	cr_expect_eq(stage.server.memory, 0);
	close(fd);
	all_gone();
}

Test(control_server, frames_in_pieces)
{
	uint8_t bytes[256];
	size_t len = frame(bytes, 1, "health", 0);
	int body;

	len += frame(bytes + len, 2, "info", 0);
	for (size_t cut = 1; cut < len; cut++) {
		int fd = connect_and_greet();
		cr_assert_eq(send(fd, bytes, cut, MSG_NOSIGNAL), (ssize_t)cut);
		rounds(2);
		cr_assert_eq(send(fd, bytes + cut, len - cut, MSG_NOSIGNAL), (ssize_t)(len - cut));
		cr_assert_eq(reply(fd, 1, &body), RELAY__CONTROL__CODE__OK);
		cr_assert_eq(body, RELAY__CONTROL__REPLY__BODY_HEALTH);
		cr_assert_eq(reply(fd, 2, &body), RELAY__CONTROL__CODE__OK);
		cr_assert_eq(body, RELAY__CONTROL__REPLY__BODY_INFO);
		close(fd);
		all_gone();
	}
}

Test(control_server, leaving_in_the_middle)
{
	uint8_t bytes[128];
	size_t len = frame(bytes, 1, "config show", 0);

	for (size_t cut = 0; cut <= len; cut++) {
		int fd = connect_and_greet();
		cr_assert_eq(send(fd, bytes, cut, MSG_NOSIGNAL), (ssize_t)cut);
		rounds((int)cut % 3);
		close(fd);
		all_gone();
	}
}

Test(control_server, half_closed_is_answered)
{
	int fd = connect_and_greet();

	ask(fd, 1, "health", 0);
	ask(fd, 2, "limits", 0);
	shutdown(fd, SHUT_WR);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__OK);
	all_gone();
	close(fd);
}

Test(control_server, listeners_hear_and_slow_ones_are_told_what_they_missed)
{
	int body;
	int fd = connect_and_greet();
	int other = connect_and_greet();

	ask(fd, 5, "events", 0);
	rounds(3);
	control_event(&stage.control, "restart", NULL, "worker-%d", 1);
	cr_expect_eq(reply(fd, 5, &body), RELAY__CONTROL__CODE__OK);
	cr_expect_eq(body, RELAY__CONTROL__REPLY__BODY_EVENT);
	/* More than it reads: what is kept for it is bounded. */
	for (int i = 0; i < 100000; i++)
		control_event(&stage.control, "log", "msul1", "line %d", i);
	cr_expect_lt(stage.server.memory, 1024 * 1024);
	cr_expect_eq(stage.server.count, 2);
	ask(other, 1, "health", 0);
	cr_expect_eq(reply(other, 1, NULL), RELAY__CONTROL__CODE__OK, "the others are served");
	shutdown(fd, SHUT_WR);
	close(other);
	rounds(5);
	close(fd);
	all_gone();
}

/* More than the kernel takes of somebody who does not read. */
static size_t
send_much(struct control_connection *connection)
{
	static uint8_t bytes[1024 * 1024];
	Relay__Control__Reply message;
	Relay__Control__Text text;

	relay__control__reply__init(&message);
	relay__control__text__init(&text);
	message.body_case = RELAY__CONTROL__REPLY__BODY_TEXT;
	message.text = &text;
	text.text = (ProtobufCBinaryData){ .len = sizeof bytes, .data = bytes };
	cr_assert(control_connection_send(connection, &message.base));
	return CONTROL_FRAME_HEADER + relay__control__reply__get_packed_size(&message);
}

/* Reads so much; the rest of it is sent meanwhile. */
static void
take(int fd, size_t len)
{
	static uint8_t bytes[64 * 1024];

	while (len > 0) {
		ssize_t got = recv(fd, bytes, len < sizeof bytes ? len : sizeof bytes, 0);
		if (got > 0)
			len -= (size_t)got;
		else
			cr_assert(control_stage_round(&stage, 1000), "nothing comes");
	}
	rounds(2);
}

Test(control_server, an_answer_that_is_taken_in_drops_has_an_end)
{
	int fd = connect_and_greet();
	struct control_connection *connection = TAILQ_FIRST(&stage.server.connections);
	size_t len = send_much(connection);

	cr_assert_eq(send_much(connection), len);
	cr_assert_eq(connection->out_first_left + len, control_connection_backlog(connection));
	/* One that was slow and is over leaves the next its whole time. */
	connection->out_first_since -= CONTROL_ANSWER_MS - 10000;
	uint64_t since = connection->out_first_since;
	take(fd, len / 2);
	cr_expect_eq(connection->out_first_since, since);
	take(fd, len - len / 2);
	cr_expect_gt(connection->out_first_since, since);
	cr_expect_eq(connection->out_first_left, control_connection_backlog(connection));
	cr_assert_eq(stage.server.count, 1);
	cr_assert_gt(connection->out_first_left, 512 * 1024);
	connection->out_first_since -= CONTROL_ANSWER_MS;
	for (int i = 0; i < 8 && stage.server.count > 0; i++)
		take(fd, 16 * 1024);
	cr_expect_eq(stage.server.count, 0, "progress alone does not keep it");
	cr_expect_eq(stage.server.memory, 0);
	close(fd);
}

Test(control_server, who_waits_is_told_when_it_is_over)
{
	int fd = connect_and_greet();

	ask(fd, 1, "stop", 30);
	rounds(3);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__WAIT_EXPIRED);
	ask(fd, 2, "stop", 100000);
	rounds(3);
	control_server_stop(&stage.server);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__OK);
	cr_expect_eq(stage.server.memory, 0);
	close(fd);
}

/* Whether a whole reply is there; it is taken. */
static bool
took_reply(int fd)
{
	uint8_t bytes[4096];
	size_t total;

	ssize_t got = recv(fd, bytes, CONTROL_FRAME_HEADER, MSG_PEEK);
	if (got != CONTROL_FRAME_HEADER)
		return false;
	control_frame_look(bytes, CONTROL_FRAME_HEADER, sizeof bytes, &total);
	return recv(fd, bytes, total, 0) == (ssize_t)total;
}

Test(control_server, who_asks_much_at_once_takes_turns)
{
	enum {
		COUNT = 500,
		SOME = 64
	};

	static uint8_t bytes[COUNT * 32];
	uint32_t answered = 0;
	size_t len = 0;
	int fd = connect_and_greet();

	for (uint32_t i = 1; i <= COUNT; i++)
		len += frame(bytes + len, i, "health", 0);
	cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	rounds(1);
	while (took_reply(fd))
		answered++;
	cr_expect(answered > 0 && answered <= SOME, "%u were answered in one round", answered);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < COUNT && answered < COUNT; i++) {
		cr_assert_eq(control_server_deadline(&stage.server), 0, "it goes on by itself");
		rounds(1);
		while (took_reply(fd))
			answered++;
	}
	cr_expect_eq(answered, COUNT);
	all_gone();
	close(fd);
}

Test(control_server, what_the_keeper_cannot_be_told_is_not_said_to_be_done)
{
	const struct channel_message message = { .type = CHANNEL_SYNC_END };
	int fd = connect_and_greet();
	int sent = 0;

	for (int i = 0; i < 1000000 && sent == 0; i++)
		sent = channel_send(stage.control.keeper, &message, -1);
	cr_assert_eq(sent, -ENOBUFS);
	ask(fd, 1, "stop", 0);
	ask(fd, 2, "stop", 100000);
	rounds(1);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__FAILED);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__FAILED);
	close(fd);
	all_gone();
}

Test(control_server, one_too_many)
{
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = connect_and_greet();
	int fd = control_stage_connect(&stage);
	cr_expect_eq(reply(fd, 0, NULL), RELAY__CONTROL__CODE__LIMIT);
	rounds(3);
	cr_expect_eq(recv(fd, fds, 1, 0), 0, "and closed");
	close(fd);
	close(fds[0]);
	rounds(3);
	fds[0] = connect_and_greet();
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	all_gone();
}

/* Connects as somebody whom the relay does not know. */
static int
connect_as_stranger(void)
{
	cr_assert_eq(seteuid(65534), 0);
	int fd = control_stage_connect(&stage);
	cr_assert_eq(seteuid(0), 0);
	cr_assert(fd >= 0);
	return fd;
}

/* Waits for the daemon's first message. */
static void
greeted(int fd)
{
	uint8_t hello[256];
	ssize_t got = -1;

	for (int i = 0; i < 100 && got < 0; i++) {
		control_stage_round(&stage, 5);
		got = recv(fd, hello, sizeof hello, 0);
	}
	cr_assert_gt(got, CONTROL_FRAME_HEADER);
}

/* Only root can be somebody else. */
static bool
let_strangers_in(void)
{
	return geteuid() == 0 && chmod(stage.dir, 0711) == 0 && chmod(stage.socket_path, 0666) == 0;
}

Test(control_server, half_a_frame_is_not_kept_because_something_else_runs)
{
	uint8_t bytes[128];
	size_t len = frame(bytes, 2, "health", 0);
	int fd = connect_and_greet();

	ask(fd, 1, "events", 0);
	rounds(3);
	cr_expect_eq(control_server_deadline(&stage.server), UINT64_MAX, "it may listen for ever");
	cr_assert_eq(send(fd, bytes, len - 1, MSG_NOSIGNAL), (ssize_t)len - 1);
	rounds(3);
	cr_expect_leq(control_server_deadline(&stage.server), child_clock_ms() + 60000);
	cr_assert_eq(send(fd, bytes + len - 1, 1, MSG_NOSIGNAL), 1);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__OK);
	rounds(3);
	cr_expect_eq(control_server_deadline(&stage.server), UINT64_MAX);
	close(fd);
	all_gone();
}

/* A table whose lines are as long as any may be. */
static void
write_long_table(int hosts)
{
	static char name[60000];
	char path[128];

	memset(name, 'x', sizeof name - 1);
	snprintf(path, sizeof path, "%s/hosts.tab", stage.dir);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	for (int i = 0; i < hosts; i++)
		fprintf(file, "host%d:msu:library:%s:127.0.0.1\n", i, name);
	cr_assert_eq(fclose(file), 0);
}

Test(control_server, hosts_with_long_lines_are_listed_page_by_page)
{
	int fd = connect_and_greet();
	int body;

	write_long_table(200);
	cr_assert(control_load(&stage.control));
	ask(fd, 1, "hosts list", 0);
	cr_expect_eq(reply(fd, 1, &body), RELAY__CONTROL__CODE__OK);
	cr_expect_eq(body, RELAY__CONTROL__REPLY__BODY_HOSTS);
	close(fd);
	all_gone();
}

Test(control_server, a_configuration_that_nobody_could_read_is_not_shown)
{
	int fd = connect_and_greet();

	stage.control.loaded = false;
	ask(fd, 1, "config show", 0);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__FAILED);
	ask(fd, 2, "info", 0);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__OK);
	stage.control.loaded = true;
	close(fd);
	all_gone();
}

static struct channel *
attach_worker(uint32_t number)
{
	struct channel_worker worker = { .number = number, .pid = 1 };
	int ends[2];

	cr_assert_eq(channel_pair(ends), 0);
	control_on_worker(&stage.control, &worker, ends[0]);
	return channel_new(ends[1]);
}

/* One more line of the configuration. */
static void
append_setting(const char *text)
{
	FILE *file = fopen(stage.conf_path, "a");

	cr_assert_not_null(file);
	cr_assert(fputs(text, file) >= 0);
	cr_assert_eq(fclose(file), 0);
}

/* How often the watched file was opened. */
static int
opened(int watch)
{
	alignas(struct inotify_event) char bytes[4096];
	ssize_t len = read(watch, bytes, sizeof bytes);
	const struct inotify_event *event;
	int count = 0;

	for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof *event + event->len)) {
		event = (const struct inotify_event *)(const void *)(bytes + at);
		count += (event->mask & IN_OPEN) != 0;
	}
	return count;
}

/* What is answered is what was done: a second look at the file might see another one. */
Test(control_server, a_reload_reads_the_configuration_once)
{
	int fd = connect_and_greet();
	int watch = inotify_init1(IN_NONBLOCK);
	uint64_t loads = stage.control.loads;
	FILE *file;

	cr_assert(watch >= 0);
	/* Closing it again keeps one opening apart from the next. */
	cr_assert(inotify_add_watch(watch, stage.conf_path, IN_OPEN | IN_CLOSE_NOWRITE) >= 0);
	ask(fd, 1, "config check", 0);
	cr_assert_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	int once = opened(watch);
	cr_assert_gt(once, 0);
	cr_expect_eq(stage.control.loads, loads);
	ask(fd, 2, "config reload", 0);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__OK);
	cr_expect_eq(opened(watch), once);
	cr_expect_eq(stage.control.loads, loads + 1);
	file = fopen(stage.conf_path, "a");
	cr_assert(file != NULL && fputs("no such thing\n", file) >= 0 && fclose(file) == 0);
	(void)opened(watch);
	ask(fd, 3, "config reload", 0);
	cr_expect_eq(reply(fd, 3, NULL), RELAY__CONTROL__CODE__FAILED);
	cr_expect_eq(opened(watch), once);
	cr_expect_eq(stage.control.loads, loads + 2);
	cr_expect_eq(stage.control.loads_refused, 1);
	close(watch);
	close(fd);
	all_gone();
}

Test(control_server, a_worker_that_does_not_serve_a_host_any_more_does_not_find_it_down)
{
	struct channel_listen listen = { .index = 0, .id = "msul1" };
	struct channel *others[2];

	stage.options.worker_count = 2;
	append_setting("defaults { spread = 2 }\n");
	cr_assert(control_load(&stage.control));
	for (uint32_t i = 0; i < 2; i++)
		others[i] = attach_worker(i);
	control_on_listener(&stage.control, &listen, dup(STDERR_FILENO));
	control_on_listed(&stage.control);
	control_pump(&stage.control);
	struct control_host *host = control_host_by_id(&stage.control, "msul1");
	cr_assert_not_null(host);
	cr_assert_eq(host->homes, 3);
	host->down = 2;
	append_setting("host \"msul1\" { spread = 1 }\n");
	cr_assert(control_load(&stage.control));
	cr_expect_eq(host->homes, 1);
	cr_expect_eq(host->down, 0);
	for (uint32_t i = 0; i < 2; i++) {
		channel_free(others[i]);
		channel_free(stage.control.workers[i].channel);
		stage.control.workers[i].channel = NULL;
	}
	stage.options.worker_count = 0;
}

Test(control_server, a_worker_that_comes_later_logs_as_was_said)
{
	struct channel_message message;
	bool told = false;
	int passed;

	stage.options.worker_count = 1;
	int fd = connect_and_greet();
	log_set_level(LOG_WARNING);
	struct channel *other = attach_worker(0);
	while (channel_receive(other, &message, &passed) > 0)
		told |= message.type == CHANNEL_LOG_LEVEL && message.level.level == LOG_WARNING;
	cr_expect(told);
	channel_free(other);
	channel_free(stage.control.workers[0].channel);
	stage.control.workers[0].channel = NULL;
	stage.options.worker_count = 0;
	close(fd);
	all_gone();
}

Test(control_server, strangers_in_numbers_keep_nobody_out)
{
	enum {
		STRANGERS = 7
	}; /* two stay, two more fill a round: one is before who may come */

	int fds[STRANGERS];

	if (!let_strangers_in())
		cr_skip_test("needs root: it becomes other users");
	for (int i = 0; i < STRANGERS; i++)
		fds[i] = connect_as_stranger();
	int fd = control_stage_connect(&stage);
	cr_assert(fd >= 0);
	greeted(fd);
	ask(fd, 1, "health", 0);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	close(fd);
	all_gone();
}

Test(control_server, little_is_kept_for_a_stranger_who_does_not_read)
{
	uint8_t bytes[64];
	size_t len = frame(bytes, 1, "health", 0);

	if (!let_strangers_in())
		cr_skip_test("needs root: it becomes other users");
	int fd = connect_as_stranger();
	greeted(fd);
	for (int i = 0; i < 4000; i++) {
		(void)send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (i % 8 == 0)
			rounds(1);
	}
	rounds(500);
	cr_expect_lt(stage.server.memory, 128 * 1024, "%zu bytes", stage.server.memory);
	close(fd);
	all_gone();
}

/* Strangers may look from now on. */
static void
let_strangers_look(void)
{
	static char nobody[] = "65534";
	struct relay_settings settings = stage.control.config.relay;

	settings.view_users = nobody;
	control_server_configure(&stage.server, &settings);
}

Test(control_server, who_may_look_leaves_a_place_to_who_may_do_all)
{
	int fds[3];

	if (!let_strangers_in())
		cr_skip_test("needs root: it becomes other users");
	let_strangers_look();
	for (int i = 0; i < 3; i++)
		fds[i] = connect_as_stranger();
	rounds(5);
	cr_expect_eq(stage.server.count, 2);
	int fd = control_stage_connect(&stage);
	greeted(fd);
	ask(fd, 1, "health", 0);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(fd);
	all_gone();
}

Test(control_server, who_may_look_leaves_memory_to_who_may_do_all)
{
	const size_t much = CONTROL_SERVER_MEMORY_MAX - 8 * 1024 * 1024;

	if (!let_strangers_in())
		cr_skip_test("needs root: it becomes other users");
	let_strangers_look();
	int fd = connect_as_stranger();
	greeted(fd);
	int other = connect_and_greet();
	stage.server.memory += much;
	ask(fd, 1, "health", 0);
	cr_expect_eq(reply(fd, 0, NULL), RELAY__CONTROL__CODE__LIMIT);
	ask(other, 1, "health", 0);
	cr_expect_eq(reply(other, 1, NULL), RELAY__CONTROL__CODE__OK);
	close(other);
	rounds(3);
	stage.server.memory -= much;
	close(fd);
	all_gone();
}

Test(control_server, rights_that_are_taken_away_are_gone_at_once)
{
	struct relay_settings *settings = &stage.control.config.relay;

	if (!let_strangers_in())
		cr_skip_test("needs root: it becomes other users");
	let_strangers_look();
	int fd = connect_as_stranger();
	greeted(fd);
	ask(fd, 1, "health", 0);
	cr_expect_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	ask(fd, 2, "events", 0);
	rounds(3);
	control_server_configure(&stage.server, settings);
	cr_expect_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__DENIED, "what runs has ended");
	ask(fd, 3, "health", 0);
	cr_expect_eq(reply(fd, 3, NULL), RELAY__CONTROL__CODE__DENIED);
	close(fd);
	all_gone();
}

Test(control_server, a_worker_is_a_stranger_here)
{
	int fd = connect_and_greet();

	ask(fd, 1, "info", 0);
	cr_assert_eq(reply(fd, 1, NULL), RELAY__CONTROL__CODE__OK);
	close(fd);
	stage.options.worker_count = 1;
	stage.control.workers[0].pid = getpid();
	fd = connect_and_greet();
	ask(fd, 2, "info", 0);
	cr_assert_eq(reply(fd, 2, NULL), RELAY__CONTROL__CODE__DENIED);
	close(fd);
}

Test(control_server, what_the_relay_was_started_with_holds_until_something_is_loaded)
{
	static struct control_server server;

	control_server_init(&server, &stage.control);
	cr_expect_eq(server.connections_max, 3);
	control_server_stop(&server);
}

Test(control_server, a_call_keeps_its_order_of_ids_whatever_they_are)
{
	int fd = connect_and_greet();
	uint32_t ids[] = { 7, 7, UINT32_MAX, 1 };

	for (size_t i = 0; i < 4; i++)
		ask(fd, ids[i], "health", 0);
	for (size_t i = 0; i < 4; i++)
		cr_expect_eq(reply(fd, ids[i], NULL), RELAY__CONTROL__CODE__OK);
	close(fd);
	all_gone();
}
