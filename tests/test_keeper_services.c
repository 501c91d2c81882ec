/*
 * test_keeper_services.c - the processes of services in the keeper: what is told of their set-up
 * and end, how they are ended, and that those who do not listen are killed.
 *
 * The services are a few words of perl and sh: each knows that its sentinel is descriptor 5 and its
 * leash descriptor 6.
 */
#include "relay/keeper_services.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/log.h"
#include "tests/keeper_site.h"

/* Leaves a server that ends when it is let go of, and one that does not care. */
#define SERVER                                                             \
	"fork and exit 0; open $l, '<&=6'; vec($r, 6, 1) = 1; select $r, " \
	"undef, undef, undef; exit 0"
#define STUBBORN "fork and exit 0; $SIG{$_} = 'IGNORE' for qw(INT TERM HUP); sleep 300"

enum {
	WAIT_MS = 20000,
	GRACE_MS = 10000, /* of a server that was let go of */
};

static struct child control;
static struct channel *other_end; /* what control reads */
static struct keeper_services services;

static void
ignore(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	(void)text;
}

static void
init(void)
{
	int ends[2];

	log_set_sink(ignore, NULL);
	keeper_site_make();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cr_assert_eq(channel_pair(ends), 0);
	control.channel = channel_new(ends[0]);
	other_end = channel_new(ends[1]);
	keeper_services_init(&services, &keeper_site_settings, &keeper_site_source, &control,
			     false);
}

static void
fini(void)
{
	keeper_services_fini(&services);
	channel_free(control.channel);
	channel_free(other_end);
	temp_dir_remove();
}

TestSuite(keeper_services, .init = init, .fini = fini);

/* One round of the keeper's loop, at a time that may be later than it is. */
static void
run_round(uint64_t now)
{
	static struct pollfd slots[KEEPER_GENERATIONS_MAX];
	int wait_status;
	pid_t pid;

	keeper_services_clock(&services, now);
	nfds_t count = keeper_services_fill(&services, slots);
	cr_assert_geq(poll(slots, count, 5), 0);
	keeper_services_run(&services, slots, count);
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		keeper_services_reap(&services, pid, wait_status);
}

/* What control is told next. */
static struct channel_service_process
told(void)
{
	uint64_t end = child_clock_ms() + WAIT_MS;
	struct channel_message message;
	int fd;

	while (channel_receive(other_end, &message, &fd) != 1) {
		cr_assert_lt(child_clock_ms(), end, "control is told nothing");
		run_round(child_clock_ms());
	}
	cr_assert_eq(message.type, CHANNEL_SERVICE_PROCESS);
	return message.service_process;
}

static bool
is_silent(void)
{
	struct channel_message message;
	int fd;

	return channel_receive(other_end, &message, &fd) == 0;
}

static void
wait_until_empty(uint64_t ahead_ms)
{
	uint64_t end = child_clock_ms() + WAIT_MS;

	while (services.generation_count > 0) {
		cr_assert_lt(child_clock_ms(), end, "it does not end");
		run_round(child_clock_ms() + ahead_ms);
	}
}

/* What control says; its digest is that of relay.conf as it is. */
static struct channel_message
service_message(enum channel_type type, uint32_t number)
{
	struct channel_message message = { .type = type };

	message.service_name.index = 3;
	message.service_name.generation = number;
	message.service_name.digest = keeper_site_digest("hello");
	snprintf(message.service_name.name, sizeof message.service_name.name, "hello");
	return message;
}

static void
give(const struct channel_message *message)
{
	cr_assert(keeper_services_on_message(&services, message));
}

/* PROGRAM -e TEXT or PROGRAM -c TEXT. */
static void
configure(const char *program, const char *option, const char *text, uint64_t timeout_ms)
{
	char section[1024];

	snprintf(section, sizeof section,
		 "service \"hello\" {\n\tsocket = \"%s/public\"\n"
		 "\tcommand = {\"%s\", \"%s\", \"%s\"}\n\tstart_timeout = %llums\n}\n",
		 temp_dir, program, option, text, (unsigned long long)timeout_ms);
	keeper_site_write(section);
}

static void
start(uint32_t number, const char *program, const char *option, const char *text,
      uint64_t timeout_ms)
{
	configure(program, option, text, timeout_ms);
	struct channel_message message = service_message(CHANNEL_SERVICE_START, number);
	give(&message);
}

static void
end(uint32_t number)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_END };

	message.service_process.index = 3;
	message.service_process.generation = number;
	cr_assert(keeper_services_on_message(&services, &message));
}

static bool
has_socket(uint32_t number)
{
	char name[64];
	struct stat st;

	snprintf(name, sizeof name, SERVICE_PRIVATE_DIR "/hello.%u", number);
	return lstat(temp_path(name), &st) == 0 && S_ISSOCK(st.st_mode);
}

Test(keeper_services, is_warm_and_ends_when_let_go)
{
	start(1, "perl", "-e", SERVER, WAIT_MS);
	cr_assert(has_socket(1));
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	cr_assert_eq(is.index, 3);
	cr_assert_eq(is.generation, 1);
	cr_assert_eq(services.generation_last, 1);
	run_round(child_clock_ms() + 1000000);
	cr_assert_eq(services.generation_count, 1, "time does nothing to it");

	end(1);
	cr_assert_not(has_socket(1), "no new call comes");
	wait_until_empty(0);
	cr_assert(is_silent(), "who asked for the end knows of it");
	end(1); /* again: there is none */
}

Test(keeper_services, stubborn_server_is_killed)
{
	start(1, "perl", "-e", STUBBORN, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	end(1);
	for (int i = 0; i < 20; i++)
		run_round(child_clock_ms() + GRACE_MS / 2);
	cr_assert_eq(services.generation_count, 1, "it has its time");
	wait_until_empty(GRACE_MS);
}

Test(keeper_services, server_that_goes_is_told)
{
	start(1, "sh", "-c", "sleep 0.1 & exit 0", WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_GONE);
	cr_assert_eq(is.generation, 1);
	cr_assert_eq(services.generation_count, 0);
	cr_assert_not(has_socket(1));
}

Test(keeper_services, failed_set_ups)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{ "exit 3", 3 << 8 },
		{ "kill -9 $$", SIGKILL },
		{ "exec /nothing/of/the/kind 2>/dev/null", 127 << 8 },
		{ "exit 0", 0 },                  /* without a server */
		{ "sleep 300 & exit 1", 1 << 8 }, /* with one, which is killed */
		{ "exec 3>&- 5>&-; exit 0", 0 },  /* it let go of its sentinel before its end */
	};

	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start(i + 1, "sh", "-c", cases[i].text, WAIT_MS);
		struct channel_service_process is = told();
		cr_assert_eq(is.what, SERVICE_PROCESS_FAILED, "%s", cases[i].text);
		cr_assert_eq(is.generation, i + 1);
		cr_assert_eq(is.status, cases[i].status, "%s: %d", cases[i].text, is.status);
		wait_until_empty(0);
		cr_assert_not(has_socket(i + 1));
		cr_assert(is_silent());
	}
}

Test(keeper_services, set_up_that_takes_too_long_is_killed)
{
	start(1, "sh", "-c", "trap '' TERM INT; sleep 300; exit 0", 30);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_FAILED);
	cr_assert_eq(is.status, -1);
	wait_until_empty(0);
	cr_assert(is_silent(), "it is told once");
}

Test(keeper_services, set_up_that_is_not_wanted_any_more_is_killed)
{
	start(1, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	end(1);
	wait_until_empty(0);
	cr_assert(is_silent());
}

/* --- a control process that was taken over ---------------------------------------------------- */

/* Writes a word into the file `ran`, and is no service. */
static void
configure_word(const char *word)
{
	char text[256];

	snprintf(text, sizeof text, "echo %s >>%s/ran; exit 7", word, temp_dir);
	configure("sh", "-c", text, WAIT_MS);
}

static void
expect_failed(uint32_t number, int status)
{
	struct channel_service_process is = told();

	cr_assert_eq(is.what, SERVICE_PROCESS_FAILED);
	cr_assert_eq(is.generation, number);
	cr_assert_eq(is.status, status, "%d instead of %d", is.status, status);
}

static void
expect_ran(const char *words)
{
	FILE *file = fopen(temp_path("ran"), "r");
	char text[256] = "";

	if (file != NULL) {
		text[fread(text, 1, sizeof text - 1, file)] = '\0';
		fclose(file);
	}
	cr_assert_str_eq(text, words);
}

static struct channel_service_socket
listener(int *fd)
{
	struct channel_message message;

	cr_assert_eq(channel_receive(other_end, &message, fd), 1, "control is told nothing");
	cr_assert_eq(message.type, CHANNEL_SERVICE_LISTENER);
	return message.service_socket;
}

Test(keeper_services, what_is_not_configured_is_not_started)
{
	static const char *const names[] = {
		"",      ".",       "..",   "other", "../hello", "hello/", "hello/../../hello",
		"Hello", "/bin/sh", "svc/x"
	};
	struct channel_message message;
	uint32_t number = 1;

	configure_word("right");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++, number++) {
		message = service_message(CHANNEL_SERVICE_START, number);
		strcpy(message.service_name.name, names[i]);
		give(&message);
		expect_failed(number, SERVICE_STATUS_STALE);
	}
	message = service_message(CHANNEL_SERVICE_START, number);
	memset(message.service_name.name, 'a',
	       sizeof message.service_name.name); /* without an end */
	give(&message);
	expect_failed(number++, SERVICE_STATUS_STALE);
	message = service_message(CHANNEL_SERVICE_START, number);
	message.service_name.digest ^= 1;
	give(&message);
	expect_failed(number++, SERVICE_STATUS_STALE);
	cr_assert_eq(services.generation_count, 0);
	cr_assert_neq(access(temp_path(SERVICE_PRIVATE_DIR), F_OK), 0,
		      "not even a directory is made");
	expect_ran("");

	message = service_message(CHANNEL_SERVICE_START, number);
	give(&message);
	expect_failed(number, 7 << 8);
	expect_ran("right\n");
}

Test(keeper_services, service_that_runs_elsewhere_is_not_started)
{
	keeper_site_write("service \"hello\" {\n\tsocket = \"/tmp/relay-no-such-directory/hello\"\n"
			  "\tconnect = \"/tmp/relay-no-such-directory/there\"\n}\n");
	struct channel_message message = service_message(CHANNEL_SERVICE_START, 1);
	give(&message);
	expect_failed(1, SERVICE_STATUS_NONE);
}

Test(keeper_services, number_that_is_in_use_is_not_started)
{
	start(1, "perl", "-e", SERVER, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	struct channel_message message = service_message(CHANNEL_SERVICE_START, 1);
	message.service_name.index = 4;
	give(&message);
	expect_failed(1, SERVICE_STATUS_NONE);
	cr_assert(has_socket(1));
	cr_assert_eq(services.generation_count, 1);
}

Test(keeper_services, definition_in_force_outlives_the_file)
{
	configure_word("one");
	struct channel_message one = service_message(CHANNEL_SERVICE_START, 1);
	give(&one);
	expect_failed(1, 7 << 8);

	/* It changes, and control knows nothing of that. */
	configure_word("two");
	one.service_name.generation = 2;
	give(&one);
	expect_failed(2, 7 << 8);
	expect_ran("one\none\n");

	/* Somebody makes the keeper read it: what is in force stays. */
	struct channel_message message = one;
	strcpy(message.service_name.name, "nobody");
	give(&message);
	expect_failed(2, SERVICE_STATUS_STALE);
	one.service_name.generation = 3;
	give(&one);
	expect_failed(3, 7 << 8);

	/* Not even a file that cannot be read changes that, but nothing new comes of it. */
	struct channel_message two = service_message(CHANNEL_SERVICE_START, 4);
	keeper_site_write("service \"hello\" {\n\tnonsense = 1\n}\n");
	one.service_name.generation = 5;
	give(&one);
	expect_failed(5, 7 << 8);
	message = one;
	message.service_name.digest ^= 1;
	give(&message);
	expect_failed(5, SERVICE_STATUS_STALE);
	expect_ran("one\none\none\none\n");

	/* A reload: the new one, and the old one never again. */
	configure_word("two");
	give(&two);
	expect_failed(4, 7 << 8);
	one.service_name.generation = 6;
	give(&one);
	expect_failed(6, SERVICE_STATUS_STALE);
	expect_ran("one\none\none\none\ntwo\n");
}

Test(keeper_services, socket_is_where_relay_conf_says)
{
	struct stat st;
	int fd;

	configure("true", "", "", WAIT_MS);
	struct channel_message message = service_message(CHANNEL_SERVICE_LISTEN, 0);
	message.service_name.digest ^= 1;
	give(&message);
	struct channel_service_socket is = listener(&fd);
	cr_assert_eq(is.error, -ESTALE);
	cr_assert_eq(is.index, 3);
	cr_assert_eq(fd, -1);
	message = service_message(CHANNEL_SERVICE_LISTEN, 0);
	message.service_name.extended = 1;
	give(&message);
	is = listener(&fd);
	cr_assert_eq(is.error, -EINVAL, "it has no such socket");
	cr_assert_eq(is.extended, 1);
	cr_assert_eq(services.sockets.count, 0);

	message.service_name.extended = 0;
	give(&message);
	is = listener(&fd);
	cr_assert_eq(is.error, 0);
	cr_assert_str_eq(is.path, temp_path("public"));
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(lstat(temp_path("public"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);

	message.type = CHANNEL_SERVICE_UNLISTEN;
	strcpy(message.service_name.name, temp_path("public") + 1);
	give(&message);
	cr_assert_eq(services.sockets.count, 1, "only by its name");
	strcpy(message.service_name.name, "hello");
	give(&message);
	cr_assert_eq(services.sockets.count, 0);
	cr_assert_neq(lstat(temp_path("public"), &st), 0);
}

Test(keeper_services, what_a_sync_does_not_name_is_in_force_no_more)
{
	int fd;

	configure_word("one");
	struct channel_message message = service_message(CHANNEL_SERVICE_LISTEN, 0);
	give(&message);
	listener(&fd);
	close(fd);
	configure_word("two");
	keeper_services_mark(&services);
	give(&message);
	listener(&fd);
	close(fd);
	keeper_services_sweep(&services);
	message.type = CHANNEL_SERVICE_START;
	message.service_name.generation = 1;
	give(&message);
	expect_failed(1, 7 << 8);
	keeper_services_mark(&services);
	keeper_services_sweep(&services);
	message.service_name.generation = 2;
	give(&message);
	expect_failed(2, SERVICE_STATUS_STALE);
	expect_ran("one\n");
}

/* --- the end ---------------------------------------------------------------------------------- */

Test(keeper_services, those_of_the_last_control_end)
{
	start(1, "perl", "-e", SERVER, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	start(2, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	keeper_services_mark(&services);
	keeper_services_sweep(&services);
	cr_assert_eq(services.generation_count, 2);
	cr_assert(has_socket(1), "another sync of the same one changes nothing");
	control.pid = 4711;
	keeper_services_mark(&services);
	start(3, "perl", "-e", SERVER, WAIT_MS);
	keeper_services_sweep(&services);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	cr_assert_eq(is.generation, 3, "of the others nothing is told");
	uint64_t until = child_clock_ms() + WAIT_MS;
	while (services.generation_count > 1) {
		cr_assert_lt(child_clock_ms(), until);
		run_round(child_clock_ms());
	}
	cr_assert(has_socket(3));
	end(1); /* it is not this one's */
	cr_assert_eq(services.generation_count, 1);
}

Test(keeper_services, stop_ends_all)
{
	struct channel_service_process is;

	start(1, "perl", "-e", SERVER, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	start(2, "perl", "-e", STUBBORN, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	start(3, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	cr_assert_not(keeper_services_stop(&services, false));
	start(4, "perl", "-e", SERVER, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_FAILED, "nothing is begun any more");
	wait_until_empty(0);
	cr_assert(keeper_services_stop(&services, false));
}

static void
make_socket(char *path, size_t size, const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, size, "%s/left", dir);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

/* What an earlier relay left is removed, and only where it left it. */
Test(keeper_services, only_its_own_directory_is_swept)
{
	char theirs[128], ours[128], path[160];

	snprintf(theirs, sizeof theirs, "%s/theirs", temp_dir);
	snprintf(ours, sizeof ours, "%s/" SERVICE_PRIVATE_DIR, temp_dir);
	cr_assert_eq(mkdir(theirs, 0700), 0);
	make_socket(path, sizeof path, theirs);
	cr_assert_eq(symlink(theirs, ours), 0);
	service_child_sweep_dir(ours);
	cr_assert_eq(access(path, F_OK), 0, "a link led elsewhere");

	cr_assert_eq(unlink(ours), 0);
	cr_assert_eq(service_child_make_dir(ours), 0);
	cr_assert_eq(chmod(ours, 0770), 0);
	cr_assert_eq(service_child_make_dir(ours), -EPERM, "others could answer there");
	cr_assert_eq(chmod(ours, 0700), 0);
	make_socket(path, sizeof path, ours);
	if (geteuid() == 0) {
		cr_assert_eq(chown(ours, 65534, 65534), 0);
		service_child_sweep_dir(ours);
		cr_assert_eq(access(path, F_OK), 0, "the directory is somebody else's");
		cr_assert_eq(chown(ours, 0, 0), 0);
	}
	service_child_sweep_dir(ours);
	cr_assert_neq(access(path, F_OK), 0);
}
