/*
 * test_control_messages.c - the message plane in the control process: what it tells workers, what
 * it makes of their tokens, how it delivers what the store holds, and the webpager.  The test is
 * the worker, the keeper and whoever pages; the store is a real one.
 */
#include "relay/control_messages.h"
#include "relay/control_messages_stats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/child.h"
#include "relay/listener.h"
#include "relay/log.h"
#include "relay/storage.h"
#include "tests/control_stage.h"
#include "wire/datagram_keys.h"

#define SETTINGS "datagram {\n\tlisten = {\"127.0.0.1:5050\"}\n\tsessions_max = 7\n}\n"

enum {
	WAIT_MS = 20000,
	WORKERS = 2,
};

static struct control_stage stage;
static struct control *control;
static struct channel *workers[WORKERS]; /* the workers' ends */
static char said[512];

static void
note(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	snprintf(said, sizeof said, "%s", text);
}

/* --- a control process and its workers -------------------------------------------------------- */

static void
worker_comes(uint32_t number)
{
	const struct channel_worker worker = { .number = number, .pid = 100 };
	int ends[2];

	cr_assert_eq(channel_pair(ends), 0);
	channel_free(workers[number]);
	workers[number] = channel_new(ends[1]);
	control_on_worker(control, &worker, ends[0]);
}

static void
start(const char *settings)
{
	log_set_sink(note, NULL);
	cr_assert(control_stage_init(&stage, settings));
	control = &stage.control;
	stage.options.worker_count = WORKERS;
	control_on_listed(control);
	for (uint32_t i = 0; i < WORKERS; i++)
		worker_comes(i);
}

static void
set_up(void)
{
	start(SETTINGS);
}

static void
tear_down(void)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		channel_free(workers[i]);
		workers[i] = NULL;
		channel_free(control->workers[i].channel);
	}
	control_stage_fini(&stage);
}

TestSuite(control_messages, .init = set_up, .fini = tear_down);
TestSuite(control_messages_off, .fini = tear_down);

static void
run_round(int wait_ms)
{
	struct channel_message message;
	int fd;

	for (uint32_t i = 0; i < WORKERS; i++) {
		struct channel *channel = control->workers[i].channel;
		while (channel != NULL && channel_receive(channel, &message, &fd) == 1) {
			cr_assert(control_messages_on_worker(control, i, &message, fd));
			if (fd >= 0)
				close(fd);
		}
	}
	control_pump(control);
	control_messages_run(control, child_clock_ms());
	control_stage_round(&stage, wait_ms);
}

/* The next message to a worker that is about the message plane. */
static struct channel_message
told(uint32_t worker, int *fd)
{
	uint64_t end = child_clock_ms() + WAIT_MS;
	struct channel_message message;

	for (;;) {
		while (channel_receive(workers[worker], &message, fd) == 1) {
			if (message.type >= CHANNEL_DATAGRAM && message.type <= CHANNEL_REFUSED)
				return message;
			if (*fd >= 0)
				close(*fd);
		}
		cr_assert_lt(child_clock_ms(), end, "worker %u is told nothing", worker);
		run_round(5);
	}
}

static struct channel_message
expect(uint32_t worker, enum channel_type type)
{
	int fd;
	struct channel_message message = told(worker, &fd);

	cr_assert_eq(message.type, type, "%s instead of %s", channel_type_text(message.type),
		     channel_type_text(type));
	if (fd >= 0)
		close(fd);
	return message;
}

static void
expect_start(uint32_t worker)
{
	expect(worker, CHANNEL_DATAGRAM);
	expect(worker, CHANNEL_CLIENT_KEYS);
}

static void
expect_silence(uint32_t worker)
{
	struct channel_message message;
	int fd;

	for (int i = 0; i < 10; i++)
		run_round(5);
	while (channel_receive(workers[worker], &message, &fd) == 1)
		cr_assert(message.type < CHANNEL_DATAGRAM || message.type > CHANNEL_REFUSED, "%s",
			  channel_type_text(message.type));
}

static void
expect_answer(uint32_t worker, uint64_t token, enum channel_type type)
{
	struct channel_message message = expect(worker, type);

	cr_assert_eq(message.answer.token, token);
}

/* --- what workers say ------------------------------------------------------------------------- */

static int
memfd_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

/* Notice number `id` from client 9. */
static struct notice
notice_to(uint64_t to, uint8_t id, const char *text)
{
	struct notice notice = { .to = to,
				 .from = 9,
				 .time_ms = 1000,
				 .origin = NOTICE_OF_CLIENT,
				 .text = wire_span_str(text) };

	notice.id[15] = id;
	return notice;
}

static void
accept_notice(uint32_t worker, uint64_t token, const struct notice *notice)
{
	uint8_t bytes[NOTICE_SIZE_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct channel_message message = { .type = CHANNEL_ACCEPT };

	cr_assert_eq(notice_put(&out, notice), NOTICE_FINE);
	message.accept.token = token;
	message.accept.client = notice->from;
	message.accept.length = out.len;
	int fd = memfd_of(bytes, out.len);
	cr_assert_eq(channel_send(workers[worker], &message, fd), 0);
	close(fd);
}

static void
keep(uint32_t worker, uint64_t to, uint8_t id, const char *text)
{
	struct notice notice = notice_to(to, id, text);

	accept_notice(worker, 500u + id, &notice);
	expect_answer(worker, 500u + id, CHANNEL_COMMITTED);
}

static void
presence(uint32_t worker, enum channel_type type, uint64_t client, uint64_t session)
{
	struct channel_message message = { .type = type };

	message.presence.client = client;
	message.presence.session = session;
	message.presence.since_us = 5000000;
	cr_assert_eq(channel_send(workers[worker], &message, -1), 0);
}

static void
confirm(uint32_t worker, uint64_t token, uint64_t client, const struct channel_notice *notice)
{
	struct channel_message message = { .type = CHANNEL_CONFIRMED };

	message.confirmed.token = token;
	message.confirmed.client = client;
	message.confirmed.kind = notice->kind;
	memcpy(message.confirmed.id, notice->id, sizeof message.confirmed.id);
	cr_assert_eq(channel_send(workers[worker], &message, -1), 0);
}

/* The next NOTICE, whose text is this. */
static struct channel_notice
expect_notice(uint32_t worker, uint64_t client, const char *text)
{
	uint8_t bytes[NOTICE_SIZE_MAX];
	struct notice notice;
	int fd;
	struct channel_message message = told(worker, &fd);

	cr_assert_eq(message.type, CHANNEL_NOTICE, "%s", channel_type_text(message.type));
	cr_assert_eq(message.notice.client, client);
	cr_assert_leq(message.notice.length, sizeof bytes);
	cr_assert_eq(pread(fd, bytes, sizeof bytes, 0), (ssize_t)message.notice.length);
	close(fd);
	struct wire_span body = wire_span(bytes, message.notice.length);
	if (message.notice.kind == CHANNEL_STORED_NOTICE) {
		cr_assert_eq(notice_get(&notice, body), NOTICE_FINE);
		cr_assert_eq(notice.to, client);
		body = notice.text;
	}
	cr_assert(wire_span_equal(body, wire_span_str(text)), "not %s", text);
	return message.notice;
}

/* --- settings and keys ------------------------------------------------------------------------ */

Test(control_messages, workers_know_their_settings)
{
	struct channel_message message = expect(0, CHANNEL_DATAGRAM);

	cr_assert_eq(message.datagram.settings.sessions_max, 4, "its share");
	cr_assert_eq(message.datagram.settings.size, 1232);
	message = expect(0, CHANNEL_CLIENT_KEYS);
	cr_assert_eq(message.keys.count, 0);
	expect_start(1);
	expect_silence(0);
	worker_comes(0);
	expect_start(0);
	expect_silence(1);
}

/* A client's worker must know where the hosts of the others are. */
/* Without descriptors there is no way to give a worker its keys: that is tried again soon. */
Test(control_messages, settings_that_could_not_be_told)
{
	struct rlimit limit, none;
	int fd;

	expect_start(0);
	expect_start(1);
	expect_silence(0);
	control->messages.store.changed = false; /* or its totals are asked for within a second */
	cr_assert_gt(control_messages_deadline(control), child_clock_ms() + 2000);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	control->config.keys = calloc(1, sizeof *control->config.keys);
	control->config.key_count = 1;
	control_messages_untell(control, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	control_messages_run(control, child_clock_ms());
	uint64_t deadline = control_messages_deadline(control);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_lt(deadline, child_clock_ms() + 1000);
	expect(0, CHANNEL_DATAGRAM); /* the half of it */
	expect(0, CHANNEL_DATAGRAM);
	cr_assert_eq(told(0, &fd).type, CHANNEL_CLIENT_KEYS);
	cr_assert_geq(fd, 0);
	close(fd);
}

Test(control_messages, hosts_that_are_elsewhere)
{
	const struct channel_listen listen = { .index = 1, .id = "msul1" };
	struct channel_message message;

	expect_start(0);
	expect_start(1);
	control_on_listener(control, &listen, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	message = expect(0, CHANNEL_ELSEWHERE);
	cr_assert_eq(message.elsewhere.index, 1);
	cr_assert_eq(message.elsewhere.worker, 1);
	cr_assert_str_eq(message.elsewhere.id, "msul1");
	expect_silence(1);
	/* Once, and again in a new sync. */
	cr_assert(control_load(control));
	expect_start(0);
	expect_silence(0);
	worker_comes(0);
	expect(0, CHANNEL_ELSEWHERE);
	expect_start(0);
}

Test(control_messages_off, nothing_is_taken)
{
	struct channel_message message = { .type = CHANNEL_ONLINE };

	start("");
	expect_silence(0);
	cr_assert_not(control_messages_on_worker(control, 0, &message, -1));
}

static void
write_keys(const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", stage.dir, name);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	fclose(file);
	cr_assert_eq(chmod(path, 0600), 0);
}

#define KEY_A               \
	"00000000000000a1 " \
	"0101010101010101010101010101010101010101010101010101010101010101\n"

/* relay.conf with this at its end. */
static void
reload_with(const char *more)
{
	FILE *file = fopen(stage.conf_path, "a");

	cr_assert_not_null(file);
	cr_assert_geq(fputs(more, file), 0);
	fclose(file);
}

Test(control_messages, keys_come_by_reload_and_do_not_go)
{
	struct channel_message message;
	struct datagram_key key;
	struct notice notice = notice_to(0xb2, 1, "hi");
	char conf[256];
	int fd;

	expect_start(0);
	cr_assert(control_messages_knows(control, 0xb2));
	write_keys("keys", KEY_A);
	snprintf(conf, sizeof conf, "host msul1 { links_max = 3 }\n");
	reload_with(conf);
	/* The section is there once: the option is another way to say it. */
	char option[200];
	snprintf(option, sizeof option, "datagram.keys=%s/keys", stage.dir);
	const char *const options[] = { option };
	stage.source.options = options;
	stage.source.option_count = 1;
	cr_assert(control_load(control), "%s", said);
	expect(0, CHANNEL_DATAGRAM);
	message = told(0, &fd);
	cr_assert_eq(message.type, CHANNEL_CLIENT_KEYS);
	cr_assert_eq(message.keys.count, 1);
	cr_assert_eq(pread(fd, &key, sizeof key, 0), (ssize_t)sizeof key);
	cr_assert_eq(key.client, 0xa1);
	cr_assert_eq(key.secret[0], 1);
	cr_assert_lt(pwrite(fd, &key, sizeof key, 0), 0, "it is sealed");
	close(fd);
	accept_notice(0, 77, &notice);
	message = expect(0, CHANNEL_REFUSED);
	cr_assert_eq(message.answer.token, 77);
	cr_assert_eq(message.answer.why, CHANNEL_REFUSED_UNKNOWN_CLIENT);

	/* Started with keys: no reload takes them away. */
	stage.started.relay.datagram_keys = option;
	stage.source.option_count = 0;
	cr_assert_not(control_load(control));
	cr_assert_eq(control->config.key_count, 1);
	stage.started.relay.datagram_keys = NULL;
}

/* --- tokens ----------------------------------------------------------------------------------- */

Test(control_messages, accepted_is_committed)
{
	struct notice notice = notice_to(5, 1, "hello");

	expect_start(0);
	accept_notice(0, 41, &notice);
	expect_answer(0, 41, CHANNEL_COMMITTED);
	/* The same again, as after the end of a control process; then its id for another text. */
	accept_notice(0, 42, &notice);
	expect_answer(0, 42, CHANNEL_COMMITTED);
	notice = notice_to(5, 1, "something else");
	accept_notice(0, 43, &notice);
	expect_answer(0, 43, CHANNEL_REFUSED);
}

Test(control_messages, what_is_no_notice)
{
	struct channel_message message = { .type = CHANNEL_ACCEPT };
	struct notice notice = notice_to(5, 0, "no id");
	struct notice other = notice_to(5, 1, "of another");

	expect_start(0);
	message.accept = (struct channel_accept){ .token = 1, .client = 9, .length = 20 };
	cr_assert_eq(channel_send(workers[0], &message, -1), 0);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_MALFORMED);
	int fd = memfd_of("short", 5);
	cr_assert_eq(channel_send(workers[0], &message, fd), 0);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_MALFORMED);
	message.accept.length = UINT64_MAX;
	cr_assert_eq(channel_send(workers[0], &message, fd), 0);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_TOO_LONG);
	message.type = CHANNEL_STORE_REPLY;
	cr_assert_eq(channel_send(workers[0], &message, fd), 0);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_TOO_LONG);
	close(fd);
	accept_notice(0, 2, &notice);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_MALFORMED);
	/* Client 9 speaks for nobody else. */
	other.origin = NOTICE_OF_WEBPAGER;
	other.from = 0;
	accept_notice(0, 3, &other);
	cr_assert_eq(expect(0, CHANNEL_REFUSED).answer.why, CHANNEL_REFUSED_MALFORMED);
}

/* Its successor has other tokens. */
Test(control_messages, a_worker_that_went_is_told_nothing)
{
	struct notice notice = notice_to(5, 1, "hello");

	expect_start(0);
	accept_notice(0, 41, &notice);
	struct channel_message message;
	int fd;
	cr_assert_eq(channel_receive(control->workers[0].channel, &message, &fd), 1);
	cr_assert(control_messages_on_worker(control, 0, &message, fd));
	close(fd);
	worker_comes(0);
	expect_start(0);
	expect_silence(0);
	/* But it was committed. */
	presence(0, CHANNEL_ONLINE, 5, 1);
	expect_notice(0, 5, "hello");
}

/* --- delivery --------------------------------------------------------------------------------- */

Test(control_messages, what_waits_comes_oldest_first_a_few_at_a_time)
{
	struct channel_notice first[CHANNEL_NOTICES_OPEN_MAX], next;
	char text[32];

	expect_start(0);
	expect_start(1);
	for (uint8_t i = 1; i <= 11; i++) {
		snprintf(text, sizeof text, "number %u", i);
		keep(0, 5, i, text);
	}
	presence(1, CHANNEL_ONLINE, 5, 1);
	for (unsigned i = 0; i < CHANNEL_NOTICES_OPEN_MAX; i++) {
		snprintf(text, sizeof text, "number %u", i + 1);
		first[i] = expect_notice(1, 5, text);
	}
	expect_silence(1);
	/* Each that is confirmed lets another one come, when that is on the disk. */
	confirm(1, 61, 5, &first[3]);
	expect_answer(1, 61, CHANNEL_COMMITTED);
	next = expect_notice(1, 5, "number 9");
	expect_silence(1);
	confirm(1, 62, 5, &next);
	expect_answer(1, 62, CHANNEL_COMMITTED);
	expect_notice(1, 5, "number 10");
	/* A confirm again is harmless. */
	confirm(1, 63, 5, &next);
	expect_answer(1, 63, CHANNEL_COMMITTED);
	expect_silence(1);

	/* In another session everything comes again that was not confirmed, and nothing else. */
	presence(1, CHANNEL_ONLINE, 5, 2);
	expect_notice(1, 5, "number 1");
	expect_notice(1, 5, "number 2");
	expect_notice(1, 5, "number 3");
	expect_notice(1, 5, "number 5");
}

Test(control_messages, what_is_accepted_while_a_client_is_online)
{
	struct channel_notice notice;

	expect_start(0);
	expect_start(1);
	presence(1, CHANNEL_ONLINE, 5, 1);
	expect_silence(1);
	keep(0, 5, 1, "now");
	notice = expect_notice(1, 5, "now");
	keep(0, 6, 2, "not for you");
	expect_silence(1);
	confirm(1, 1, 5, &notice);
	expect_answer(1, 1, CHANNEL_COMMITTED);
	presence(1, CHANNEL_OFFLINE, 5, 1);
	run_round(0);
	keep(0, 5, 3, "later");
	expect_silence(1);
	presence(0, CHANNEL_ONLINE, 5, 4);
	expect_notice(0, 5, "later");
}

Test(control_messages, what_was_given_up_comes_again)
{
	const struct channel_presence again = { .client = 5, .session = 1, .since_us = 5000000 };
	struct channel_notice notice;
	char text[32];

	expect_start(0);
	expect_start(1);
	presence(1, CHANNEL_ONLINE, 5, 1);
	for (uint8_t i = 1; i <= CHANNEL_NOTICES_OPEN_MAX + 1; i++) {
		snprintf(text, sizeof text, "number %u", i);
		keep(0, 5, i, text);
		if (i <= CHANNEL_NOTICES_OPEN_MAX)
			notice = expect_notice(1, 5, text);
	}
	expect_silence(1);
	/* While the answer to a look behind the last one is under way: it is not for this look. */
	confirm(1, 61, 5, &notice);
	expect_answer(1, 61, CHANNEL_COMMITTED);
	control_messages_run(control, child_clock_ms());
	control_presence_online(control, 1, &again);
	for (unsigned i = 1; i < CHANNEL_NOTICES_OPEN_MAX; i++) {
		snprintf(text, sizeof text, "number %u", i);
		expect_notice(1, 5, text);
	}
	expect_notice(1, 5, "number 9");
	expect_silence(1);
}

/* What waits for 60 clients whose worker does not read stays on the disk, but for a little; and all
 * of it comes when it reads. */
Test(control_messages, a_worker_that_reads_nothing)
{
	enum {
		CLIENTS = 60,
		ALL = CLIENTS * CHANNEL_NOTICES_OPEN_MAX
	};
	struct channel *channel;
	unsigned came = 0;
	int fd;

	expect_start(0);
	expect_start(1);
	channel = control->workers[0].channel;
	control->config.relay.datagram.sessions_max = CLIENTS;
	for (uint64_t client = 1; client <= CLIENTS; client++) {
		for (uint8_t i = 1; i <= CHANNEL_NOTICES_OPEN_MAX; i++) {
			struct notice notice = notice_to(client, i, "text");
			notice.id[0] = (uint8_t)client;
			accept_notice(1, i, &notice);
		}
		for (uint8_t i = 1; i <= CHANNEL_NOTICES_OPEN_MAX; i++)
			expect(1, CHANNEL_COMMITTED);
	}
	for (uint64_t client = 1; client <= CLIENTS; client++) {
		presence(0, CHANNEL_ONLINE, client, 1);
		run_round(1);
	}
	for (int i = 0; i < 20; i++)
		run_round(5);
	cr_assert_leq(channel_queued(channel), 100);
	cr_assert_neq(control->messages.retry_at, 0);
	control->messages.retry_at = UINT64_MAX;
	uint32_t asked = control->messages.use;
	for (int i = 0; i < 200; i++)
		run_round(0);
	cr_assert_lt(control->messages.use - asked, 100, "read over and over");
	control->messages.retry_at = child_clock_ms();
	for (; came < ALL; came++) {
		cr_assert_eq(told(0, &fd).type, CHANNEL_NOTICE);
		close(fd);
		cr_assert_eq(channel_flush(channel), 0);
	}
	expect_silence(0);
}

/* The bound was lowered below who is online: not a line for each who comes. */
Test(control_messages, crowds_are_said_once_a_minute)
{
	struct channel_presence presence = { .session = 1 };

	control->config.relay.datagram.sessions_max = 1;
	said[0] = '\0';
	while (control->messages.client_count < 1 + CONTROL_WORKERS_MAX) {
		presence.client++;
		control_presence_online(control, 0, &presence);
	}
	cr_assert_str_eq(said, "");
	presence.client++;
	control_presence_online(control, 0, &presence);
	cr_assert_not_null(strstr(said, "no room for another client"), "%s", said);
	for (int i = 0; i < 3; i++) {
		said[0] = '\0';
		control_presence_online(control, 0, &presence);
		cr_assert_str_eq(said, "");
	}
	control->messages.crowded_said_at -= 60000;
	control_presence_online(control, 0, &presence);
	cr_assert_not_null(strstr(said, "4 of them"), "%s", said);
}

Test(control_messages, what_waits_for_a_client_is_counted)
{
	struct channel_notice first, second;

	expect_start(0);
	keep(0, 5, 1, "before");
	presence(0, CHANNEL_ONLINE, 5, 1);
	first = expect_notice(0, 5, "before");
	const struct control_client *client = control_presence_find(control, 5);
	cr_assert_eq(client->waiting, 1u);
	keep(0, 5, 2, "now");
	second = expect_notice(0, 5, "now");
	cr_assert_eq(client->waiting, 2u);
	keep(0, 5, 2, "now");
	cr_assert_eq(client->waiting, 2u, "it was there before");
	confirm(0, 9, 5, &second);
	expect_answer(0, 9, CHANNEL_COMMITTED);
	confirm(0, 10, 5, &second);
	expect_answer(0, 10, CHANNEL_COMMITTED);
	cr_assert_eq(client->waiting, 1u, "confirmed once");
	confirm(0, 11, 5, &first);
	expect_answer(0, 11, CHANNEL_COMMITTED);
	cr_assert_eq(client->waiting, 0u);
	const struct control_store_counts *store = &control->messages.store;
	cr_assert_eq(store->notices, 2u);
	cr_assert_eq(store->repeated, 1u);
	cr_assert_eq(store->confirmed, 2u);
	cr_assert_geq(store->commits, 5u);
	cr_assert_null(control_messages_trouble(control));
}

Test(control_messages, trouble_lasts_until_something_was_written)
{
	struct message_view view = { .verb = MESSAGE_PUT, .status = MESSAGE_NO_SPACE };
	struct control_store_counts *store = &control->messages.store;

	expect_start(0);
	control_store_count(&control->messages, &view);
	cr_assert_eq(store->refused[MESSAGE_NO_SPACE], 1u);
	view = (struct message_view){ .verb = MESSAGE_TOTALS, .totals = { .count = 7 } };
	control_store_count(&control->messages, &view);
	cr_assert_eq(store->totals.count, 7u);
	cr_assert_str_eq(control_messages_trouble(control), message_status_text(MESSAGE_NO_SPACE));
	view = (struct message_view){ .verb = MESSAGE_SEEN };
	control_store_count(&control->messages, &view);
	cr_assert_not_null(control_messages_trouble(control), "a message needs more room");
	view = (struct message_view){ .verb = MESSAGE_PUT, .message.kind = MESSAGE_NOTICE };
	control_store_count(&control->messages, &view);
	cr_assert_null(control_messages_trouble(control));
	view.status = MESSAGE_DAMAGED;
	control_store_count(&control->messages, &view);
	cr_assert_not_null(control_messages_trouble(control));
	view = (struct message_view){ .verb = MESSAGE_TOTALS };
	control_store_count(&control->messages, &view);
	cr_assert_null(control_messages_trouble(control), "it could be read, so it is there again");
}

Test(control_messages, a_late_goodbye_ends_no_other_session)
{
	expect_start(0);
	presence(0, CHANNEL_ONLINE, 5, 1);
	presence(0, CHANNEL_ONLINE, 5, 2);
	presence(0, CHANNEL_OFFLINE, 5, 1);
	run_round(0);
	cr_assert_not_null(control_presence_find(control, 5));
	presence(0, CHANNEL_OFFLINE, 5, 2);
	run_round(0);
	cr_assert_null(control_presence_find(control, 5));
	presence(0, CHANNEL_ONLINE, 5, 3);
	run_round(0);
	worker_comes(0);
	cr_assert_null(control_presence_find(control, 5), "its worker is gone, and so is it");
}

Test(control_messages, durable_replies)
{
	struct channel_message message = { .type = CHANNEL_STORE_REPLY };
	struct channel_notice reply;

	expect_start(0);
	message.accept = (struct channel_accept){
		.token = 8, .client = 5, .session = 0x1122, .number = 3, .length = 6
	};
	int fd = memfd_of("answer", 6);
	cr_assert_eq(channel_send(workers[0], &message, fd), 0);
	expect_answer(0, 8, CHANNEL_COMMITTED);
	close(fd);
	presence(0, CHANNEL_ONLINE, 5, 9);
	reply = expect_notice(0, 5, "answer");
	cr_assert_eq(reply.kind, CHANNEL_STORED_REPLY);
	cr_assert_eq(reply.session, 0x1122);
	cr_assert_eq(reply.number, 3);
	confirm(0, 9, 5, &reply);
	expect_answer(0, 9, CHANNEL_COMMITTED);
	presence(0, CHANNEL_ONLINE, 5, 10);
	expect_silence(0);
}

/* A store that cannot be read for a while. */
Test(control_messages, what_waits_comes_when_the_store_is_there_again)
{
	char path[120], away[120];

	expect_start(0);
	keep(0, 5, 1, "patience");
	snprintf(path, sizeof path, "%s/messages.db", stage.dir);
	snprintf(away, sizeof away, "%s/away.db", stage.dir);
	cr_assert_eq(rename(path, away), 0);
	write_keys("messages.db", "this is no store");
	presence(0, CHANNEL_ONLINE, 5, 1);
	expect_silence(0);
	cr_assert_eq(rename(away, path), 0);
	expect_notice(0, 5, "patience");
}

/* --- the webpager ----------------------------------------------------------------------------- */

static char pager_path[120], sender_path[120];
static int sender;

static void
open_pager(void)
{
	const struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct sockaddr_un from = { .sun_family = AF_UNIX }, to = { .sun_family = AF_UNIX };
	struct listener listener;

	snprintf(pager_path, sizeof pager_path, "%s/pager", stage.dir);
	snprintf(sender_path, sizeof sender_path, "%s/sender", stage.dir);
	cr_assert_eq(listener_open_datagrams(&listener, pager_path, 0600, nobody), 0);
	control_webpager_open(control, listener.fd);
	sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(from.sun_path, sender_path, strlen(sender_path));
	memcpy(to.sun_path, pager_path, strlen(pager_path));
	cr_assert_eq(bind(sender, (struct sockaddr *)&from, sizeof from), 0);
	cr_assert_eq(connect(sender, (struct sockaddr *)&to, sizeof to), 0);
}

static void
page(const void *bytes, size_t len)
{
	cr_assert_eq(send(sender, bytes, len, 0), (ssize_t)len);
}

/* What the sender is answered. */
static const char *
answered(void)
{
	static char text[NOTICE_ANSWER_MAX + 1];
	uint64_t end = child_clock_ms() + WAIT_MS;
	ssize_t got;

	while ((got = recv(sender, text, sizeof text - 1, MSG_DONTWAIT)) < 0) {
		cr_assert_lt(child_clock_ms(), end, "no answer");
		run_round(5);
	}
	text[got] = '\0';
	return text;
}

static const uint8_t ORIGINAL[] = "\x09\x07\x02\x01\x0a\x0a\x0a\x02\x8f\xe4\x5e\x00\x04\x00"
				  "a@b\0\x02\x00N\0\x03\x00hi";

Test(control_messages, pages_of_both_forms)
{
	struct notice notice = notice_to(5, 0x7f, "from a shell");
	uint8_t bytes[NOTICE_PAGE_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	expect_start(0);
	open_pager();
	notice.origin = NOTICE_OF_WEBPAGER;
	notice.from = notice.time_ms = 0;
	cr_assert_eq(notice_page_put(&out, &notice), NOTICE_FINE);
	page(bytes, out.len);
	cr_assert_str_eq(answered(), "ok 0000000000000000000000000000007f\n");
	page(ORIGINAL, sizeof ORIGINAL);
	cr_assert_eq(strncmp(answered(), "ok ", 3), 0);
	presence(0, CHANNEL_ONLINE, 5, 1);
	expect_notice(0, 5, "from a shell");
	/* Number 6218895, and all that its sender said. */
	presence(0, CHANNEL_ONLINE, 6218895, 1);
	struct notice got;
	int fd;
	struct channel_message message = told(0, &fd);
	ssize_t len = pread(fd, bytes, sizeof bytes, 0);
	close(fd);
	cr_assert_eq(message.type, CHANNEL_NOTICE);
	cr_assert_eq(notice_get(&got, wire_span(bytes, (size_t)len)), NOTICE_FINE);
	cr_assert_eq(got.origin, NOTICE_OF_ORIGINAL);
	cr_assert(wire_span_equal(got.text, wire_span_str("hi")));
	cr_assert(wire_span_equal(got.mail, wire_span_str("a@b")));
	cr_assert_eq(control->messages.webpager.accepted, 2);
	close(sender);
	close(control->messages.webpager.fd);
}

Test(control_messages, pages_that_are_refused)
{
	expect_start(0);
	open_pager();
	page(ORIGINAL, sizeof ORIGINAL - 1);
	cr_assert_eq(strncmp(answered(), "refused ", 8), 0);
	cr_assert_not_null(strstr(said, "malformed datagram of process"), "%s", said);
	/* No more than a line in a second. */
	said[0] = '\0';
	for (int i = 0; i < 5; i++) {
		page("\x09", 1);
		cr_assert_eq(strncmp(answered(), "refused ", 8), 0);
	}
	cr_assert_str_eq(said, "");
	cr_assert_eq(control->messages.webpager.malformed, 6);
	/* Others may page, we may not. */
	control->config.relay.webpager_users = (char[]){ "somebody" };
	page(ORIGINAL, sizeof ORIGINAL);
	cr_assert_str_eq(answered(), "refused not_allowed\n");
	control->config.relay.webpager_users = NULL;
	struct datagram_key key = { .client = 1 };
	control->config.keys = &key;
	control->config.key_count = 1;
	page(ORIGINAL, sizeof ORIGINAL);
	cr_assert_str_eq(answered(), "refused unknown_client\n");
	control->config.keys = NULL;
	control->config.key_count = 0;
	cr_assert_eq(control->messages.webpager.accepted, 0);
	const uint64_t *refused = control->messages.webpager.refused;
	cr_assert_eq(refused[NOTICE_NOT_ALLOWED], 1u);
	cr_assert_eq(refused[NOTICE_UNKNOWN_CLIENT], 1u);
	cr_assert_eq(refused[NOTICE_MALFORMED], 6u);
	close(sender);
	close(control->messages.webpager.fd);
}

/* A socket of that name, which pages as `to_path` what is no page. */
static int
page_as(const char *name, const char *to_path)
{
	struct sockaddr_un from = { .sun_family = AF_UNIX }, to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(from.sun_path, name, strlen(name));
	memcpy(to.sun_path, to_path, strlen(to_path));
	cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	cr_assert_eq(sendto(fd, "\x09", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
	return fd;
}

/* A relative name means another file here than there. */
Test(control_messages, a_sender_of_a_relative_name_is_not_answered)
{
	char bytes[NOTICE_ANSWER_MAX];

	expect_start(0);
	open_pager();
	cr_assert_eq(chdir(stage.dir), 0);
	int relative = page_as("relative", pager_path);
	page("\x09", 1);
	cr_assert_eq(strncmp(answered(), "refused ", 8), 0);
	cr_assert_eq(control->messages.webpager.malformed, 2);
	cr_assert_lt(recv(relative, bytes, sizeof bytes, MSG_DONTWAIT), 0);
	close(relative);
	close(sender);
	close(control->messages.webpager.fd);
}

/* Its answers would be pages, and be answered. */
Test(control_messages, the_webpager_does_not_answer_itself)
{
	char away[130];

	expect_start(0);
	open_pager();
	snprintf(away, sizeof away, "%s.away", pager_path);
	cr_assert_eq(rename(pager_path, away), 0);
	control->config.relay.webpager_socket = pager_path;
	int impostor = page_as(pager_path, away);
	cr_assert_eq(rename(away, pager_path), 0);
	for (int i = 0; i < 3; i++) {
		page("\x09", 1);
		cr_assert_eq(strncmp(answered(), "refused ", 8), 0);
	}
	cr_assert_eq(control->messages.webpager.malformed, 4);
	control->config.relay.webpager_socket = NULL;
	close(impostor);
	close(sender);
	close(control->messages.webpager.fd);
}
