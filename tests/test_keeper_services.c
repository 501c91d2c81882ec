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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/log.h"
#include "tests/temp_dir.h"

/* Leaves a server that ends when it is let go of, one that does not care, and one
 * that talks on its sentinel as long as somebody listens. */
#define SERVER                                                             \
	"fork and exit 0; open $l, '<&=6'; vec($r, 6, 1) = 1; select $r, " \
	"undef, undef, undef; exit 0"
#define STUBBORN "fork and exit 0; $SIG{$_} = 'IGNORE' for qw(INT TERM HUP); sleep 300"

#define TALKER                                                           \
	"fork and exit 0; open $l, '<&=6'; open $s, '>&=5'; for (;;) { " \
	"vec($r = '', 6, 1) = 1; vec($w = '', 5, 1) = 1; "               \
	"select $r, $w, undef, undef; exit 0 if vec $r, 6, 1; "          \
	"syswrite $s, 'x' x 512 if vec $w, 5, 1 }"

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
	temp_dir_make();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cr_assert_eq(channel_pair(ends), 0);
	control.channel = channel_new(ends[0]);
	other_end = channel_new(ends[1]);
	keeper_services_init(&services, temp_dir, &control, false);
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

static struct channel_message
start_message(uint32_t number, size_t length)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_START };

	message.service_start.index = 3;
	message.service_start.generation = number;
	message.service_start.length = (uint32_t)length;
	message.service_start.uid = OWNER_NOBODY_UID;
	message.service_start.gid = OWNER_NOBODY_GID;
	message.service_start.start_timeout_ms = WAIT_MS;
	snprintf(message.service_start.name, sizeof message.service_start.name, "hello");
	snprintf(message.service_start.path, sizeof message.service_start.path,
		 "%s/" KEEPER_SERVICES_DIR "/hello.%u", temp_dir, number);
	return message;
}

static void
give(const struct channel_message *message, const char *words, size_t length)
{
	int fd = memfd_create("words", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, words, length), (ssize_t)length);
	cr_assert(keeper_services_on_message(&services, message, fd));
	close(fd);
}

/* PROGRAM -e TEXT or PROGRAM -c TEXT. */
static void
start(uint32_t number, const char *program, const char *option, const char *text,
      uint64_t timeout_ms)
{
	char words[1024];
	int len = snprintf(words, sizeof words, "%s%c%s%c%s", program, 0, option, 0, text);
	struct channel_message message = start_message(number, (size_t)len + 1);

	message.service_start.start_timeout_ms = timeout_ms;
	give(&message, words, (size_t)len + 1);
}

static void
end(uint32_t number)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_END };

	message.service_process.index = 3;
	message.service_process.generation = number;
	cr_assert(keeper_services_on_message(&services, &message, -1));
}

static bool
has_socket(uint32_t number)
{
	struct channel_message message = start_message(number, 0);
	struct stat st;

	return lstat(message.service_start.path, &st) == 0 && S_ISSOCK(st.st_mode);
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

/* Whoever the service runs as, he must not be able to keep the keeper busy. */
Test(keeper_services, server_that_talks_is_not_listened_to)
{
	struct pollfd slots[KEEPER_GENERATIONS_MAX];

	start(1, "perl", "-e", TALKER, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	cr_assert_eq(keeper_services_fill(&services, slots), 1);
	cr_assert_eq(poll(slots, 1, 50), 0, "woken for nothing");
	end(1);
	wait_until_empty(0);
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

Test(keeper_services, what_is_no_command_or_place_is_refused)
{
	struct channel_message message = start_message(1, 5);

	message.service_start.length = 4096;
	give(&message, "true\0", 5); /* less than it says */
	cr_assert_eq(told().what, SERVICE_PROCESS_FAILED);

	message = start_message(2, 4);
	give(&message, "true", 4); /* its NUL is missing */
	cr_assert_eq(told().what, SERVICE_PROCESS_FAILED);

	message = start_message(3, 0);
	give(&message, "", 0);
	cr_assert_eq(told().what, SERVICE_PROCESS_FAILED);

	message = start_message(4, 5);
	cr_assert(keeper_services_on_message(&services, &message, -1));
	cr_assert_eq(told().what, SERVICE_PROCESS_FAILED);

	static const char *const names[] = { "hello",   "svc/../hello", "svc/.hello",
					     "svc/a/b", "svc/",         "svcs/hello" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		message = start_message(5 + (uint32_t)i, 5);
		snprintf(message.service_start.path, sizeof message.service_start.path, "%s/%s",
			 temp_dir, names[i]);
		give(&message, "true\0", 5);
		cr_assert_eq(told().what, SERVICE_PROCESS_FAILED, "%s", names[i]);
	}
	cr_assert_eq(services.generation_count, 0);
}

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
	snprintf(ours, sizeof ours, "%s/" KEEPER_SERVICES_DIR, temp_dir);
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
