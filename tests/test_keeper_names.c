/*
 * test_keeper_names.c - what the keeper does for a control process that was taken over: nothing but
 * what relay.conf says under the name of a service.
 */
#include "relay/keeper_services.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/services_stage.h"

TestSuite(keeper_names, .init = init, .fini = fini);

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

Test(keeper_names, what_is_not_configured_is_not_started)
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

Test(keeper_names, service_that_runs_elsewhere_is_not_started)
{
	keeper_site_write("service \"hello\" {\n\tsocket = \"/tmp/relay-no-such-directory/hello\"\n"
			  "\tconnect = \"/tmp/relay-no-such-directory/there\"\n}\n");
	struct channel_message message = service_message(CHANNEL_SERVICE_START, 1);
	give(&message);
	expect_failed(1, SERVICE_STATUS_NONE);
}

Test(keeper_names, number_that_is_in_use_is_not_started)
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

Test(keeper_names, definition_in_force_outlives_the_file)
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

Test(keeper_names, socket_is_where_relay_conf_says)
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

Test(keeper_names, what_a_sync_does_not_name_is_in_force_no_more)
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
