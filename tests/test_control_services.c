/*
 * test_control_services.c - the table of services in the control process: what it asks of the
 * keeper and tells the home worker, and what it makes of their answers.  The test is both of them.
 */
#include "relay/control_services.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/log.h"
#include "relay/service_definition.h"
#include "tests/control_stage.h"

#define SERVICE                                               \
	"service \"hello\" {\n"                               \
	"\tsocket = \"/tmp/relay-no-such-directory/hello\"\n" \
	"\tcommand = {\"true\", \"two words\", \"\"}\n\tcalls_max = 3\n\trecycle_calls = 9\n}\n"

static struct control_stage stage;
static struct control *control;
static struct control_service *service;
static struct channel *worker; /* the worker's end */
static unsigned complaints;    /* lines of the log that tell of a socket */

static void
count_lines(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	complaints += strstr(text, "cannot listen") != NULL;
}

/* --- the keeper and the worker ---------------------------------------------------------------- */

static bool
is_about_services(enum channel_type type)
{
	return type == CHANNEL_SYNC_BEGIN || type == CHANNEL_SYNC_END ||
	       (type >= CHANNEL_SERVICE_LISTEN && type <= CHANNEL_SERVICE_CALLS);
}

/* What control says next that is about services or a sync, with its descriptor; false = nothing. */
static bool
hear(struct channel *channel, struct channel_message *message, int *fd)
{
	while (channel_receive(channel, message, fd) == 1) {
		if (is_about_services(message->type))
			return true;
		if (*fd >= 0)
			close(*fd);
	}
	return false;
}

static struct channel_message
expect(struct channel *channel, enum channel_type type)
{
	struct channel_message message;
	int fd = -1;

	cr_assert(hear(channel, &message, &fd), "nothing instead of %s", channel_type_text(type));
	cr_assert_eq(message.type, type, "%s instead of %s", channel_type_text(message.type),
		     channel_type_text(type));
	if (type == CHANNEL_SERVICE_ADD)
		cr_assert_geq(fd, 0, "without its socket");
	if (fd >= 0)
		close(fd);
	return message;
}

static void
expect_generation(uint32_t number, enum service_generation_state state)
{
	struct channel_message message = expect(worker, CHANNEL_SERVICE_GENERATION);

	cr_assert_eq(message.service_generation.generation, number);
	cr_assert_eq(message.service_generation.state, state);
}

static void
expect_silence(struct channel *channel)
{
	struct channel_message message;
	int fd;

	control_pump(control);
	cr_assert_not(hear(channel, &message, &fd), "%s", channel_type_text(message.type));
}

static void
listener_comes(void)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	message.service_socket.index = service->index;
	memcpy(message.service_socket.path, service->sockets[CONTROL_SERVICE_PUBLIC].path,
	       sizeof message.service_socket.path);
	cr_assert(control_services_on_keeper(control, &message, fd));
	close(fd);
}

static void
process_is(uint32_t number, enum service_process what, int status)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_PROCESS };

	message.service_process.index = service->index;
	message.service_process.generation = number;
	message.service_process.what = what;
	message.service_process.status = status;
	cr_assert(control_services_on_keeper(control, &message, -1));
	control_pump(control);
}

static void
calls_are(uint32_t number, uint32_t running, uint64_t calls)
{
	struct channel_service_calls message = {
		.index = service->index, .generation = number, .running = running, .calls = calls
	};

	control_services_on_calls(control, 0, &message);
	control_pump(control);
}

/* What is due later is due now. */
static void
time_passes(void)
{
	cr_assert_neq(service->start_at, 0, "nothing is due");
	service->start_at = 1;
	control_pump(control);
}

static void
worker_comes(void)
{
	struct channel_worker message = { .number = 0, .pid = 77 };
	int ends[2];

	channel_free(worker);
	cr_assert_eq(channel_pair(ends), 0);
	worker = channel_new(ends[1]);
	control_on_worker(control, &message, ends[0]);
	control_pump(control);
}

static void
init(void)
{
	log_set_sink(count_lines, NULL);
	cr_assert(control_stage_init(&stage, SERVICE));
	control = &stage.control;
	stage.options.worker_count = 1;
	service = control_service_find(control, "hello");
	cr_assert_not_null(service);
}

static void
fini(void)
{
	channel_free(control->workers[0].channel);
	channel_free(worker);
	control_stage_fini(&stage);
}

TestSuite(control_services, .init = init, .fini = fini);

/* All has come, and generation 1 is in use. */
static void
begin(void)
{
	expect(stage.keeper, CHANNEL_SYNC_BEGIN);
	struct channel_message message = expect(stage.keeper, CHANNEL_SERVICE_LISTEN);
	cr_assert_str_eq(message.service_name.name, "hello");
	cr_assert_eq(message.service_name.digest, service_definition_digest(service->config));
	cr_assert_eq(message.service_name.extended, 0);
	expect(stage.keeper, CHANNEL_SYNC_END);
	expect_silence(stage.keeper);
	listener_comes();
	control_on_listed(control);
	worker_comes();
	expect(stage.keeper, CHANNEL_SERVICE_START);
	expect(worker, CHANNEL_SYNC_BEGIN);
	message = expect(worker, CHANNEL_SERVICE_ADD);
	cr_assert_str_eq(message.service.name, "hello");
	cr_assert_eq(message.service.calls_max, 3);
	expect(worker, CHANNEL_SYNC_END);
	process_is(1, SERVICE_PROCESS_WARM, 0);
	expect_generation(1, SERVICE_GENERATION_USE);
}

/* --- tests ------------------------------------------------------------------------------------ */

Test(control_services, start_names_what_the_keeper_knows)
{
	struct channel_message message;
	int fd;

	control_on_listed(control);
	control_pump(control);
	do {
		cr_assert(hear(stage.keeper, &message, &fd));
	} while (message.type != CHANNEL_SERVICE_START);
	cr_assert_eq(fd, -1);
	cr_assert_eq(message.service_name.index, service->index);
	cr_assert_eq(message.service_name.generation, 1);
	cr_assert_eq(message.service_name.digest, service_definition_digest(service->config));
	cr_assert_str_eq(message.service_name.name, "hello");
	cr_assert_neq(strstr(service->starting->path, "/svc/hello.1"), NULL);
}

Test(control_services, old_generation_ends_when_it_is_unused)
{
	begin();
	calls_are(1, 1, 4);
	control_service_restart(control, service, 1);
	control_pump(control);
	cr_assert_eq(expect(stage.keeper, CHANNEL_SERVICE_START).service_name.generation, 2);
	expect_silence(worker);
	process_is(2, SERVICE_PROCESS_WARM, 0);
	expect_generation(2, SERVICE_GENERATION_USE);
	expect_generation(1, SERVICE_GENERATION_DRAIN);
	calls_are(1, 1, 4);
	expect_silence(stage.keeper);
	calls_are(1, 0, 4);
	struct channel_message message = expect(stage.keeper, CHANNEL_SERVICE_END);
	cr_assert_eq(message.service_process.generation, 1);
	expect_generation(1, SERVICE_GENERATION_GONE);
	cr_assert(TAILQ_EMPTY(&service->draining));
	cr_assert_eq(service->calls, 4, "its calls are counted on");
}

Test(control_services, failed_start_is_tried_later_and_later)
{
	uint32_t number = 1;
	uint32_t last = 0;

	begin();
	process_is(1, SERVICE_PROCESS_GONE, 0);
	expect_generation(1, SERVICE_GENERATION_GONE);
	cr_assert_eq(service->backoff_ms, 100, "it had no good life");
	for (int i = 0; i < 10; i++) {
		time_passes();
		number = expect(stage.keeper, CHANNEL_SERVICE_START).service_name.generation;
		cr_assert_gt(number, 1);
		last = service->backoff_ms;
		process_is(number, SERVICE_PROCESS_FAILED, 3 << 8);
		cr_assert_eq(service->backoff_ms, last * 2 > 10000 ? 10000 : last * 2);
		cr_assert(control_service_has_failed(service));
	}
	cr_assert_eq(last, 10000);
	time_passes();
	number = expect(stage.keeper, CHANNEL_SERVICE_START).service_name.generation;
	process_is(number, SERVICE_PROCESS_WARM, 0);
	expect_generation(number, SERVICE_GENERATION_USE);
	cr_assert_not(control_service_has_failed(service));

	/* One that had a good life is followed at once, as if nothing had been. */
	service->current->warm_at -= 1000;
	process_is(number, SERVICE_PROCESS_GONE, 0);
	cr_assert_eq(service->backoff_ms, 0);
	expect(stage.keeper, CHANNEL_SERVICE_START);
}

Test(control_services, enough_calls_begin_another)
{
	begin();
	calls_are(1, 1, 8);
	expect_silence(stage.keeper);
	calls_are(1, 1, 9);
	expect(stage.keeper, CHANNEL_SERVICE_START);
	calls_are(1, 1, 10);
	expect_silence(stage.keeper);
}

Test(control_services, keeper_that_missed_something_is_told_again)
{
	begin();
	control->behind = true;
	control_pump(control);
	expect(stage.keeper, CHANNEL_SYNC_BEGIN);
	expect(stage.keeper, CHANNEL_SERVICE_LISTEN);
	expect(stage.keeper, CHANNEL_SYNC_END);
	listener_comes();
	expect_silence(stage.keeper);
	expect(worker, CHANNEL_SERVICE_ADD);

	/* One that nobody asked for: its path was taken away. */
	listener_comes();
	control_pump(control);
	expect(stage.keeper, CHANNEL_SERVICE_START);
	expect(worker, CHANNEL_SERVICE_ADD);
}

Test(control_services, worker_that_missed_something_is_told_again)
{
	begin();
	control_service_restart(control, service, 1);
	control_pump(control);
	expect(stage.keeper, CHANNEL_SERVICE_START);
	calls_are(1, 1, 1);
	process_is(2, SERVICE_PROCESS_WARM, 0);
	expect_generation(2, SERVICE_GENERATION_USE);
	expect_generation(1, SERVICE_GENERATION_DRAIN);
	control->workers[0].behind = true;
	control_pump(control);
	expect(worker, CHANNEL_SYNC_BEGIN);
	expect(worker, CHANNEL_SERVICE_ADD);
	expect_generation(2, SERVICE_GENERATION_USE);
	expect_generation(1, SERVICE_GENERATION_DRAIN);
	expect(worker, CHANNEL_SYNC_END);
	expect_silence(stage.keeper);
}

Test(control_services, another_worker_takes_over)
{
	begin();
	control_service_restart(control, service, 1);
	control_pump(control);
	expect(stage.keeper, CHANNEL_SERVICE_START);
	calls_are(1, 1, 1);
	process_is(2, SERVICE_PROCESS_WARM, 0);
	worker_comes();
	expect(worker, CHANNEL_SYNC_BEGIN);
	expect(worker, CHANNEL_SERVICE_ADD);
	expect_generation(2, SERVICE_GENERATION_USE);
	expect(worker, CHANNEL_SYNC_END);
	struct channel_message message = expect(stage.keeper, CHANNEL_SERVICE_END);
	cr_assert_eq(message.service_process.generation, 1, "its calls went with the worker");
	expect_silence(worker);
}

/* So much is queued that nothing of services is added. */
static void
fill_queue(struct channel *channel)
{
	const struct channel_message message = { .type = CHANNEL_RETRY };

	while (channel_queued(channel) < 300)
		cr_assert_eq(channel_send(channel, &message, -1), 0);
}

static void
empty_queue(struct channel *from, struct channel *to)
{
	struct channel_message message;
	int fd;

	do {
		while (channel_receive(to, &message, &fd) == 1) {
			if (fd >= 0)
				close(fd);
		}
		cr_assert_eq(channel_flush(from), 0);
	} while (channel_queued(from) > 0);
	while (channel_receive(to, &message, &fd) == 1) {
		if (fd >= 0)
			close(fd);
	}
}

Test(control_services, worker_hears_of_an_end_that_found_no_room)
{
	begin();
	fill_queue(control->workers[0].channel);
	process_is(1, SERVICE_PROCESS_GONE, 0);
	empty_queue(control->workers[0].channel, worker);
	control_pump(control);
	expect(worker, CHANNEL_SYNC_BEGIN);
	expect(worker, CHANNEL_SERVICE_ADD);
	expect(worker, CHANNEL_SYNC_END);
}

Test(control_services, waits_for_a_keeper_that_is_busy)
{
	begin();
	fill_queue(control->keeper);
	service->start_at = 1;
	control->services.look_at = UINT64_MAX;
	control_pump(control);
	cr_assert_eq(service->start_at, 1);
	cr_assert_eq(control_services_deadline(control), UINT64_MAX, "the queue says when");
	empty_queue(control->keeper, stage.keeper);
	cr_assert_eq(control_services_deadline(control), 1);
}

Test(control_services, socket_that_found_no_descriptor_is_asked_for_again)
{
	struct control_service_socket *own = &service->sockets[CONTROL_SERVICE_PUBLIC];
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };
	struct rlimit before, none;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	control_pump(control);
	memcpy(message.service_socket.path, own->path, sizeof own->path);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fd + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert(control_services_on_keeper(control, &message, fd));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
	cr_assert_eq(own->fd, -1);
	cr_assert_neq(own->retry_at, 0);
}

Test(control_services, socket_that_cannot_be_made_is_told_once)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };

	control_pump(control);
	memcpy(message.service_socket.path, service->sockets[CONTROL_SERVICE_PUBLIC].path,
	       sizeof message.service_socket.path);
	for (int i = 0; i < 5; i++) {
		message.service_socket.error = -ENOENT;
		cr_assert(control_services_on_keeper(control, &message, -1));
	}
	cr_assert_eq(complaints, 1);
	message.service_socket.error = -EACCES;
	cr_assert(control_services_on_keeper(control, &message, -1));
	cr_assert_eq(complaints, 2, "another reason");
	message.service_socket.error = 0;
	listener_comes();
	message.service_socket.error = -EACCES;
	cr_assert(control_services_on_keeper(control, &message, -1));
	cr_assert_eq(complaints, 3, "it was there meanwhile");
}

/* Of an ident, whose user has no session any more. */
Test(control_services, ident_moves_with_its_run_directory)
{
	struct control_service_socket *own = &service->sockets[CONTROL_SERVICE_PUBLIC];
	char *ident = service->config->settings.ident;

	begin();
	control->config.services[0].settings.ident = service->config->settings.socket;
	own->uid = 4000000000u;
	strcpy(own->path, "/home/nobody-s/.prefork-interp/here/shello");
	control->services.look_at = 0;
	control_pump(control);
	cr_assert_not(control->services.moved);
	cr_assert_neq(control_services_deadline(control), UINT64_MAX, "it is looked at again");

	strcpy(own->path, "/var/run/user/4000000000/prefork-interp/shello");
	control->services.look_at = 0;
	control_pump(control);
	cr_assert(control->services.moved, "the configuration is read again");
	control->services.moved = false;
	control->services.look_at = 0;
	control_pump(control);
	cr_assert_not(control->services.moved, "once");
	control->config.services[0].settings.ident = ident;
}

Test(control_services, what_is_not_known_is_not_heeded)
{
	begin();
	process_is(9, SERVICE_PROCESS_WARM, 0);
	process_is(9, SERVICE_PROCESS_GONE, 0);
	process_is(9, SERVICE_PROCESS_FAILED, 0);
	calls_are(9, 0, 100);
	struct channel_service_calls stranger = { .index = UINT32_MAX };
	control_services_on_calls(control, 0, &stranger);
	expect_silence(stage.keeper);
	expect_silence(worker);
	cr_assert_eq(service->current->number, 1);
}

/* The keeper has read something else: that is said, and it is tried again. */
Test(control_services, what_the_keeper_does_not_know_is_told)
{
	struct control_service_socket *own = &service->sockets[CONTROL_SERVICE_PUBLIC];
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };

	begin();
	control_service_restart(control, service, 1);
	control_pump(control);
	process_is(2, SERVICE_PROCESS_FAILED, SERVICE_STATUS_STALE);
	cr_assert_not_null(strstr(service->last, "says something else by now: reload"));
	cr_assert_neq(service->start_at, 0);
	cr_assert_eq(service->current->number, 1, "what runs is left alone");

	message.service_socket.index = service->index;
	message.service_socket.error = -ESTALE;
	message.service_socket.extended = 1;
	cr_assert(control_services_on_keeper(control, &message, -1));
	cr_assert_eq(own->retry_at, 0, "it is the other one");
	message.service_socket.extended = 0;
	cr_assert(control_services_on_keeper(control, &message, -1));
	cr_assert_neq(own->retry_at, 0);
	cr_assert_not_null(strstr(service->last, "hello: relay.conf says something else by now"));
}

/* What changes is named at once, so that the keeper does not have to find it in a later file. */
Test(control_services, changed_definition_is_named_at_once)
{
	struct config_service *before = control->config.services;
	struct config_service limits = *before, later = *before;

	begin();
	limits.settings.calls_max++;
	control->config.services = &limits;
	control_services_apply(control);
	expect_silence(stage.keeper);
	later.settings.start_timeout_ms++;
	control->config.services = &later;
	control_services_apply(control);
	control_pump(control);
	struct channel_message message = expect(stage.keeper, CHANNEL_SERVICE_LISTEN);
	cr_assert_eq(message.service_name.digest, service_definition_digest(&later));
	listener_comes();
	expect_silence(stage.keeper); /* no other generation for that */
	control->config.services = before;
	control_services_apply(control);
}
