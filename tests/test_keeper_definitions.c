/*
 * test_keeper_definitions.c - the keeper's own reading of the services: what is found, what stays
 * in force, how often the file is read, and what the digest covers.
 */
#include "relay/keeper_definitions.h"

#include <criterion/criterion.h>
#include <string.h>

#include "relay/log.h"
#include "tests/keeper_site.h"

#define HEAD "service \"hello\" {\n\tsocket = \"/tmp/relay-no-such-directory/hello\"\n"
#define ONE  HEAD "\tcommand = {\"true\", \"one\"}\n}\n"
#define TWO  HEAD "\tcommand = {\"true\", \"two\"}\n}\n"

static struct keeper_definitions definitions;
static uint64_t now = 1000000;

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
	log_set_sink(ignore, NULL);
	keeper_site_make();
	keeper_definitions_init(&definitions, &keeper_site_settings, &keeper_site_source);
}

static void
fini(void)
{
	keeper_definitions_fini(&definitions);
	temp_dir_remove();
}

TestSuite(keeper_definitions, .init = init, .fini = fini);

static const struct config_service *
find(uint64_t digest)
{
	return keeper_definitions_find(&definitions, "hello", digest, now);
}

static void
finds(uint64_t digest, const char *word)
{
	const struct config_service *found = find(digest);

	cr_assert_not_null(found, "%s", word);
	cr_assert_str_eq(found->name, "hello");
	cr_assert_str_eq(found->settings.command[1], word);
}

static uint64_t
write_and_digest(const char *text)
{
	keeper_site_write(text);
	return keeper_site_digest("hello");
}

Test(keeper_definitions, file_is_read_when_it_has_to_be)
{
	uint64_t one = write_and_digest(ONE);

	cr_assert_eq(definitions.reads, 0);
	finds(one, "one");
	finds(one, "one");
	cr_assert_eq(definitions.reads, 1);

	uint64_t two = write_and_digest(TWO);
	cr_assert_neq(one, two);
	finds(one, "one");
	cr_assert_eq(definitions.reads, 1, "the one in force needs no file");
	finds(two, "two");
	cr_assert_eq(definitions.reads, 2, "a file that changed is read at once");
	cr_assert_null(find(one));
	finds(two, "two");
}

Test(keeper_definitions, reading_is_bounded)
{
	uint64_t one = write_and_digest(ONE);

	finds(one, "one");
	for (uint64_t i = 1; i <= 1000; i++)
		cr_assert_null(find(one + i));
	cr_assert_eq(definitions.reads, 1);
	now += KEEPER_DEFINITIONS_READ_MS - 1;
	cr_assert_null(find(one + 1));
	cr_assert_eq(definitions.reads, 1);
	now++;
	cr_assert_null(find(one + 1));
	cr_assert_null(find(one + 1));
	cr_assert_eq(definitions.reads, 2);
	finds(one, "one");

	/* A broken one is not read again and again either. */
	keeper_site_write("service {");
	for (int i = 0; i < 100; i++)
		cr_assert_null(find(one + 1));
	cr_assert_eq(definitions.reads, 3);
	finds(one, "one");
	cr_assert_eq(unlink(keeper_site_conf), 0);
	cr_assert_null(find(one + 1));
	finds(one, "one");
}

Test(keeper_definitions, what_was_read_last_waits_beside_it)
{
	uint64_t one = write_and_digest(ONE);
	finds(one, "one");
	uint64_t two = write_and_digest(TWO);
	cr_assert_null(keeper_definitions_find(&definitions, "other", 1, now));
	finds(one, "one");
	/* It was there when it was read, and control takes it over late. */
	cr_assert_eq(unlink(keeper_site_conf), 0);
	finds(two, "two");
	cr_assert_null(find(one));
}

Test(keeper_definitions, what_is_forgotten_is_read_again)
{
	uint64_t one = write_and_digest(ONE);

	finds(one, "one");
	keeper_site_write("");
	keeper_definitions_forget(&definitions, "other");
	finds(one, "one");
	keeper_definitions_forget(&definitions, "hello");
	cr_assert_null(find(one), "it was removed");
	keeper_site_write(ONE);
	finds(one, "one");

	keeper_definitions_mark(&definitions);
	finds(one, "one");
	keeper_definitions_sweep(&definitions);
	keeper_site_write("");
	finds(one, "one");
	keeper_definitions_mark(&definitions);
	keeper_definitions_sweep(&definitions);
	cr_assert_null(find(one));
}

Test(keeper_definitions, options_count)
{
	static const char *const options[] = { "service hello.command=true,option" };
	uint64_t one = write_and_digest(ONE);

	keeper_site_source.options = options;
	keeper_site_source.option_count = 1;
	uint64_t other = keeper_site_digest("hello");
	cr_assert_null(find(one), "the option wins");
	finds(other, "option");

	keeper_site_source.conf_file = NULL;
	keeper_definitions_forget(&definitions, "hello");
	now += KEEPER_DEFINITIONS_READ_MS;
	cr_assert_null(find(other), "without the file it has no socket: refused");
}

/* As many as there may be, and then others: all are found. */
Test(keeper_definitions, table_is_full)
{
	static struct keeper_definition *all = definitions.in_force;
	uint64_t one = write_and_digest(ONE);

	for (size_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "name%zu", i);
		all[i].service.name = strdup(name);
	}
	finds(one, "one");
	finds(one, "one");
	cr_assert_eq(definitions.reads, 1);
}

Test(keeper_definitions, socket_of_the_relay_is_none_of_a_service)
{
	char text[512];

	snprintf(text, sizeof text,
		 "service \"hello\" {\n\tsocket = \"%s/control\"\n\tcommand = {\"true\"}\n}\n",
		 temp_dir);
	/* To a control that does not know better it is one. */
	keeper_site_write(text);
	struct config config;
	struct report report = { .count = 0 };
	bool good = config_load(&config, &keeper_site_source, &report);
	report_fini(&report);
	cr_assert(good);
	uint64_t digest = service_definition_digest(&config.services[0]);
	config_free(&config);
	cr_assert_null(find(digest), "the settings in force count");
}

Test(keeper_definitions, digest_tells_all_that_counts_apart)
{
	static const char *const texts[] = {
		ONE,
		TWO,
		HEAD "\tcommand = {\"true\"}\n}\n",
		HEAD "\tcommand = {\"trueone\"}\n}\n",
		HEAD "\tcommand = {\"true\", \"one\", \"\"}\n}\n",
		HEAD "\tcommand = {\"true\", \"one\"}\n\tstart_timeout = 7s\n}\n",
		HEAD "\tcommand = {\"true\", \"one\"}\n\tallow_uids = {\"0\"}\n}\n",
		HEAD "\tconnect = \"/tmp/relay-no-such-directory/there\"\n}\n",
		"service \"hello\" {\n\tsocket = \"/tmp/relay-no-such-directory/another\"\n"
		"\tcommand = {\"true\", \"one\"}\n}\n",
		"service \"hello\" {\n\tident = \"hello\"\n\tcommand = {\"true\", \"one\"}\n}\n",
	};

	enum {
		COUNT = sizeof texts / sizeof texts[0]
	};

	uint64_t digests[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		digests[i] = write_and_digest(texts[i]);
		for (size_t k = 0; k < i; k++)
			cr_assert_neq(digests[i], digests[k], "%s%s", texts[k], texts[i]);
	}
	/* What is the worker's business alone is none of the keeper's. */
	cr_assert_eq(write_and_digest(HEAD "\tcommand = {\"true\", \"one\"}\n\tcalls_max = 9\n}\n"),
		     digests[0]);
}
