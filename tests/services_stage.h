/*
 * services_stage.h - the services of a keeper with a relay.conf, for the tests, which are its
 * control process and its loop.
 *
 * The services are a few words of perl and sh: each knows that its sentinel is descriptor 5 and its
 * leash descriptor 6.
 */
#ifndef TESTS_SERVICES_STAGE_H
#define TESTS_SERVICES_STAGE_H

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "relay/keeper_services.h"
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

static inline void
ignore(void *context, enum log_level level, const char *host, const char *text)
{
	(void)context;
	(void)level;
	(void)host;
	(void)text;
}

static inline void
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

static inline void
fini(void)
{
	keeper_services_fini(&services);
	channel_free(control.channel);
	channel_free(other_end);
	temp_dir_remove();
}

/* One round of the keeper's loop, at a time that may be later than it is. */
static inline void
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
static inline struct channel_service_process
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

static inline bool
is_silent(void)
{
	struct channel_message message;
	int fd;

	return channel_receive(other_end, &message, &fd) == 0;
}

static inline void
wait_until_empty(uint64_t ahead_ms)
{
	uint64_t end = child_clock_ms() + WAIT_MS;

	while (services.generation_count > 0) {
		cr_assert_lt(child_clock_ms(), end, "it does not end");
		run_round(child_clock_ms() + ahead_ms);
	}
}

/* What control says; its digest is that of relay.conf as it is. */
static inline struct channel_message
service_message(enum channel_type type, uint32_t number)
{
	struct channel_message message = { .type = type };

	message.service_name.index = 3;
	message.service_name.generation = number;
	message.service_name.digest = keeper_site_digest("hello");
	snprintf(message.service_name.name, sizeof message.service_name.name, "hello");
	return message;
}

static inline void
give(const struct channel_message *message)
{
	cr_assert(keeper_services_on_message(&services, message));
}

/* PROGRAM -e TEXT or PROGRAM -c TEXT. */
static inline void
configure(const char *program, const char *option, const char *text, uint64_t timeout_ms)
{
	char section[1024];

	snprintf(section, sizeof section,
		 "service \"hello\" {\n\tsocket = \"%s/public\"\n"
		 "\tcommand = {\"%s\", \"%s\", \"%s\"}\n\tstart_timeout = %llums\n}\n",
		 temp_dir, program, option, text, (unsigned long long)timeout_ms);
	keeper_site_write(section);
}

static inline void
start(uint32_t number, const char *program, const char *option, const char *text,
      uint64_t timeout_ms)
{
	configure(program, option, text, timeout_ms);
	struct channel_message message = service_message(CHANNEL_SERVICE_START, number);
	give(&message);
}

static inline void
end(uint32_t number)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_END };

	message.service_process.index = 3;
	message.service_process.generation = number;
	cr_assert(keeper_services_on_message(&services, &message));
}

static inline bool
has_socket(uint32_t number)
{
	char name[64];
	struct stat st;

	snprintf(name, sizeof name, SERVICE_PRIVATE_DIR "/hello.%u", number);
	return lstat(temp_path(name), &st) == 0 && S_ISSOCK(st.st_mode);
}

#endif
