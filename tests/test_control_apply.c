/*
 * test_control_apply.c - `hosts apply` while something else changes: what was not taken over is not
 * there at the next start either.
 */
#include "tests/control_stage.h"

#include "relay/control_load.h"
#include "relay/log.h"
#include "relay/storage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 2000

static struct control_stage stage;
static char state_dir[80];
static int client;
static uint32_t last_id;

static void
write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert(fputs(text, file) >= 0);
	cr_assert_eq(fclose(file), 0);
}

/* Settings that are another configuration, or none that can be read. */
static void
write_settings(const char *more)
{
	static char good[2048];
	char text[4096];

	if (good[0] == '\0') {
		FILE *file = fopen(stage.conf_path, "r");
		cr_assert_not_null(file);
		cr_assert_gt(fread(good, 1, sizeof good - 1, file), 0);
		fclose(file);
	}
	snprintf(text, sizeof text, "%s%s\n", good, more);
	write_to(stage.conf_path, text);
}

static void
set_up(void)
{
	uint8_t hello[256];

	log_set_level(LOG_ERROR);
	log_set_sink(NULL, NULL);
	cr_assert(control_stage_init(&stage, ""));
	/* Beside hosts.tab it would be the same file. */
	snprintf(state_dir, sizeof state_dir, "%s/state", stage.dir);
	cr_assert_eq(mkdir(state_dir, 0700), 0);
	free(stage.started.relay.state_dir);
	stage.started.relay.state_dir = strdup(state_dir);
	client = control_stage_connect(&stage);
	cr_assert(client >= 0);
	for (int i = 0; i < 3; i++)
		control_stage_round(&stage, 0);
	cr_assert(recv(client, hello, sizeof hello, 0) > CONTROL_FRAME_HEADER);
}

static void
tear_down(void)
{
	close(client);
	control_stage_fini(&stage);
}

TestSuite(control_apply, .init = set_up, .fini = tear_down);

/* Sends a table with one host; until it is on its way to the disk. */
static void
begin(const char *host, uint64_t if_generation)
{
	Relay__Control__Request request;
	static char verb[] = "hosts apply";
	char table[128];
	uint8_t bytes[256];

	relay__control__request__init(&request);
	request.id = ++last_id;
	request.verb = verb;
	request.if_generation = if_generation;
	snprintf(table, sizeof table, "%s:msu:library:%s.example:127.0.0.1\n", host, host);
	request.body = (ProtobufCBinaryData){ .len = strlen(table), .data = (uint8_t *)table };
	size_t len = relay__control__request__pack(&request, bytes + CONTROL_FRAME_HEADER);
	control_frame_put_length(bytes, len);
	len += CONTROL_FRAME_HEADER;
	cr_assert_eq(send(client, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	for (int i = 0; i < ROUNDS_MAX && stage.control.apply == NULL; i++)
		control_stage_round(&stage, 5);
	cr_assert_not_null(stage.control.apply);
}

static Relay__Control__Code
code(void)
{
	static uint8_t bytes[CONTROL_FRAME_MAX];
	size_t wanted = CONTROL_FRAME_HEADER;
	size_t len = 0;

	for (int i = 0; i < ROUNDS_MAX && len < wanted; i++) {
		ssize_t got = recv(client, bytes + len, wanted - len, 0);
		if (got <= 0) {
			control_stage_round(&stage, 5);
			continue;
		}
		len += (size_t)got;
		if (len == CONTROL_FRAME_HEADER && wanted == len)
			control_frame_look(bytes, len, sizeof bytes, &wanted);
	}
	cr_assert_eq(len, wanted, "no answer in time");
	Relay__Control__Reply *reply = relay__control__reply__unpack(
	    NULL, len - CONTROL_FRAME_HEADER, bytes + CONTROL_FRAME_HEADER);
	cr_assert_not_null(reply);
	cr_assert_eq(reply->id, last_id);
	Relay__Control__Code is = reply->code;
	relay__control__reply__free_unpacked(reply, NULL);
	return is;
}

static void
apply(const char *host)
{
	begin(host, 0);
	cr_assert_eq(code(), RELAY__CONTROL__CODE__OK);
}

/* The one host of the table in force, and of the one that the next start takes. */
static void
check_hosts(const char *host)
{
	struct config_source source = stage.source;
	struct config next = { .hosts = NULL };
	static struct report report;

	cr_assert_eq(stage.control.config.host_count, 1);
	cr_expect_str_eq(stage.control.config.hosts[0].id, host, "in force");
	storage_stop(stage.control.storage); /* all is on the disk */
	source.state_dir = state_dir;
	memset(&report, 0, sizeof report);
	cr_assert(config_load(&next, &source, &report));
	cr_assert_eq(next.host_count, 1);
	cr_expect_str_eq(next.hosts[0].id, host, "at the next start");
	config_free(&next);
	report_fini(&report);
}

Test(control_apply, kept_for_the_next_start)
{
	apply("one");
	apply("two");
	check_hosts("two");
}

Test(control_apply, generation_that_changes_meanwhile)
{
	apply("one");
	begin("two", stage.control.generation);
	write_settings("defaults { queue_timeout = 7s }");
	cr_assert(control_load(&stage.control));
	cr_assert_eq(code(), RELAY__CONTROL__CODE__GENERATION_CONFLICT);
	check_hosts("one");
}

Test(control_apply, generation_that_changes_meanwhile_the_first_time)
{
	begin("two", stage.control.generation);
	write_settings("defaults { queue_timeout = 7s }");
	cr_assert(control_load(&stage.control));
	cr_assert_eq(code(), RELAY__CONTROL__CODE__GENERATION_CONFLICT);
	check_hosts("msul1");
}

Test(control_apply, configuration_that_breaks_meanwhile)
{
	apply("one");
	begin("two", 0);
	write_settings("no such thing");
	cr_assert_eq(code(), RELAY__CONTROL__CODE__FAILED);
	write_settings("");
	check_hosts("one");
}

Test(control_apply, configuration_that_breaks_meanwhile_the_first_time)
{
	begin("two", 0);
	write_settings("no such thing");
	cr_assert_eq(code(), RELAY__CONTROL__CODE__FAILED);
	write_settings("");
	check_hosts("msul1");
}
