/*
 * test_settings.c - the table of settings, and the text of each type of value, both ways and at its
 * bounds.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "relay/service_paths.h"
#include "relay/setting_list.h"
#include "relay/settings.h"

#define MIB UINT64_C(1048576)

static const struct setting *
host(const char *key)
{
	const struct setting *setting = setting_find(SETTING_SECTION_HOST, key);

	cr_assert_not_null(setting, "%s", key);
	return setting;
}

static const struct setting *
relay(const char *key)
{
	const struct setting *setting = setting_find(SETTING_SECTION_RELAY, key);

	cr_assert_not_null(setting, "%s", key);
	return setting;
}

static void
takes(const struct setting *setting, const char *text, uint64_t number)
{
	struct setting_value value = { .number = 0 };
	char why[256] = "";

	cr_assert(setting_parse(setting, text, &value, why, sizeof why), "%s = %s: %s",
		  setting->key, text, why);
	cr_assert_eq(value.number, number, "%s = %s: %" PRIu64, setting->key, text, value.number);
}

/* `expect` is a part of the explanation. */
static void
refuses(const struct setting *setting, const char *text, const char *expect)
{
	struct setting_value value = { .number = 4711, .text = "untouched" };
	char why[256] = "";

	cr_assert_not(setting_parse(setting, text, &value, why, sizeof why), "%s = %s",
		      setting->key, text);
	cr_assert_not_null(strstr(why, expect), "%s = %s: %s", setting->key, text, why);
	cr_assert_eq(value.number, 4711);
	cr_assert_str_eq(value.text, "untouched");
}

/* A setting of no section, for the types and bounds that the table does not use. */
static struct setting
made_up(enum setting_type type, uint64_t min, uint64_t max)
{
	return (struct setting){ .key = "made_up", .type = type, .min = min, .max = max };
}

Test(settings, numbers)
{
	takes(host("links_max"), "1", 1);
	takes(host("links_max"), "0005", 5);
	takes(host("links_max"), "1024", 1024);
	refuses(host("links_max"), "0", "\"0\" is out of range: allowed 1 to 1024");
	refuses(host("links_max"), "1025", "out of range: allowed 1 to 1024");
	refuses(host("links_max"), "18446744073709551617", "is not a whole number");

	static const char *const wrong[] = { "",   " 5",  "5 ",   "+5",  "-5",
					     "5x", "0x5", "five", "5.0", "5k" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		refuses(host("links_max"), wrong[i], "is not a whole number: allowed 1 to 1024");

	struct setting all = made_up(SETTING_UINT, 0, UINT64_MAX);
	takes(&all, "18446744073709551615", UINT64_MAX);
	refuses(&all, "18446744073709551616", "is not a whole number");
}

Test(settings, sizes)
{
	const struct setting *line_max = host("line_max");

	takes(line_max, "4096", 4096);
	takes(line_max, "4096B", 4096);
	takes(line_max, "64k", 64 * 1024);
	takes(line_max, "64K", 64 * 1024);
	takes(line_max, "64KiB", 64 * 1024);
	takes(line_max, "16MiB", 16 * MIB);
	takes(line_max, "16mib", 16 * MIB);
	takes(line_max, "16m", 16 * MIB);
	takes(host("queue_bytes_max"), "2GiB", 2048 * MIB);
	takes(host("queue_bytes_max"), "2g", 2048 * MIB);
	refuses(line_max, "63", "out of range: allowed 64B to 256MiB");
	refuses(line_max, "257MiB", "out of range: allowed 64B to 256MiB");
	/* Is it 1000 or 1024? */
	refuses(line_max, "1MB", "is not a size such as");
	refuses(line_max, "1kB", "is not a size");
	refuses(line_max, "16 MiB", "is not a size");
	refuses(line_max, "MiB", "is not a size");
	refuses(line_max, "", "is not a size");
	refuses(line_max, "1.5M", "is not a size");
	refuses(line_max, "99999999999999999G", "is not a size");
}

Test(settings, durations)
{
	const struct setting *idle = host("idle_timeout");

	takes(idle, "300", 300000);
	takes(idle, "300s", 300000);
	takes(idle, "250ms", 250);
	takes(idle, "5m", 300000);
	takes(idle, "1h", 3600000);
	takes(idle, "7d", 604800000);
	takes(host("down_grace"), "0", 0);
	refuses(idle, "9ms", "out of range: allowed 10ms to 7d");
	refuses(idle, "8d", "out of range: allowed 10ms to 7d");
	refuses(idle, "5M", "is not a duration such as");
	refuses(idle, "5 s", "is not a duration");
	refuses(idle, "-5s", "is not a duration");
	refuses(idle, "s", "is not a duration");
	refuses(idle, "1h30m", "is not a duration");
	refuses(idle, "99999999999999999999ms", "is not a duration");
	refuses(idle, "999999999999999999d", "is not a duration");
}

Test(settings, modes_and_flags)
{
	takes(relay("socket_mode"), "0755", 0755);
	takes(relay("socket_mode"), "777", 0777);
	takes(relay("socket_mode"), "0", 0);
	refuses(relay("socket_mode"), "1777", "out of range: allowed 0000 to 0777");
	refuses(relay("socket_mode"), "0789", "is not an octal mode");
	refuses(relay("socket_mode"), "rwx", "is not an octal mode");

	struct setting flag = made_up(SETTING_BOOL, 0, 1);
	takes(&flag, "yes", 1);
	takes(&flag, "on", 1);
	takes(&flag, "true", 1);
	takes(&flag, "no", 0);
	takes(&flag, "off", 0);
	takes(&flag, "false", 0);
	refuses(&flag, "1", "is not yes or no: allowed no to yes");
	refuses(&flag, "", "is not yes or no");
}

Test(settings, texts)
{
	struct setting_value value;
	char why[256], path[128];

	cr_assert(setting_parse(relay("user"), "www-data", &value, why, sizeof why));
	cr_assert_str_eq(value.text, "www-data");
	refuses(relay("user"), "", "out of range: allowed 1 to 32 bytes");
	refuses(relay("user"), "abcdefghijabcdefghijabcdefghijabc", "out of range");
	refuses(relay("user"), "a\nb", "is not a text without control characters");
	refuses(relay("run_dir"), "run", "is not an absolute path");
	refuses(relay("run_dir"), "/run\x7f", "is not an absolute path without control");
	refuses(relay("run_dir"), "", "out of range");

	/* The longest directory is one in which a socket still fits: 105, "/", 1 byte. */
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[105] = '\0';
	cr_assert(setting_parse(relay("socket_dir"), path, &value, why, sizeof why));
	path[105] = 'x';
	path[106] = '\0';
	refuses(relay("socket_dir"), path, "allowed 1 to 105 bytes");
	path[93] = '\0';
	cr_assert(setting_parse(relay("run_dir"), path, &value, why, sizeof why));
	path[93] = 'x';
	path[94] = '\0';
	refuses(relay("run_dir"), path, "allowed 1 to 93 bytes");
}

static void
prints(const struct setting *setting, uint64_t number, const char *expect)
{
	char text[64];

	setting_format(setting, (struct setting_value){ .number = number }, text, sizeof text);
	cr_assert_str_eq(text, expect);
}

Test(settings, format)
{
	prints(host("links_max"), 5, "5");
	prints(host("line_max"), 16 * MIB, "16MiB");
	prints(host("line_max"), 1024 * MIB, "1GiB");
	prints(host("line_max"), 1536, "1536B");
	prints(host("line_max"), 0, "0B");
	prints(host("idle_timeout"), 300000, "5m");
	prints(host("idle_timeout"), 301000, "301s");
	prints(host("idle_timeout"), 1, "1ms");
	prints(host("idle_timeout"), 0, "0s");
	prints(host("idle_timeout"), 2 * 86400000, "2d");
	prints(relay("socket_mode"), 0755, "0755");

	struct setting flag = made_up(SETTING_BOOL, 0, 1);
	prints(&flag, 1, "yes");
	prints(&flag, 0, "no");

	char text[64];
	setting_format(relay("user"), (struct setting_value){ .text = "a\"b\\c${d" }, text,
		       sizeof text);
	cr_assert_str_eq(text, "\"a\\\"b\\\\c\\${d\"");
	setting_format(relay("user"), (struct setting_value){ .text = NULL }, text, sizeof text);
	cr_assert_str_eq(text, "");
	/* Cut, but still in quotes and inside of the buffer. */
	memset(text, '!', sizeof text);
	setting_format(relay("user"), (struct setting_value){ .text = "\"\"\"\"\"\"" }, text, 8);
	cr_assert_leq(strlen(text), 7);
	cr_assert_eq(text[strlen(text) - 1], '"');
	cr_assert_eq(text[8], '!');
}

/* Every row: its default is a good value, its bounds are taken, printing and reading agree. */
Test(settings, table)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		bool is_text = setting->type == SETTING_STRING || setting->type == SETTING_PATH ||
			       setting->type == SETTING_LINE || setting->type == SETTING_NAME;
		char text[128], why[256];
		struct setting_value value;

		cr_assert_eq(setting_find(setting->section, setting->key), setting,
			     "%s is unique in its section", setting->key);
		cr_assert_lt(setting->min, setting->max);
		cr_assert_gt(strlen(setting->help), 0u);
		if (setting->fallback[0] != '\0')
			cr_assert(
			    setting_parse(setting, setting->fallback, &value, why, sizeof why),
			    "%s: %s", setting->key, why);
		if (setting_is_list(setting)) {
			cr_assert_geq(setting->min, 1, "%s: {} is never the same as unset",
				      setting->key);
			cr_assert_leq(setting->max, SETTINGS_LIST_MAX, "%s", setting->key);
			cr_assert_eq(setting->size, sizeof(char **));
		}
		if (is_text || setting_is_list(setting))
			continue;
		uint64_t bounds[] = { setting->min, setting->max };
		for (size_t b = 0; b < 2; b++) {
			value.number = bounds[b];
			setting_format(setting, value, text, sizeof text);
			takes(setting, text, bounds[b]);
		}
		if (setting->size == sizeof(uint32_t))
			cr_assert_leq(setting->max, UINT32_MAX, "%s", setting->key);
	}
	cr_assert_null(setting_find(SETTING_SECTION_HOST, "workers"));
	cr_assert_null(setting_find(SETTING_SECTION_RELAY, "pipeline"));
	cr_assert_null(setting_find(SETTING_SECTION_RELAY, ""));
	cr_assert_null(setting_find(SETTING_SECTION_HOST, "ident"));
	cr_assert_neq(setting_find(SETTING_SECTION_SERVICE, "idle_timeout"),
		      setting_find(SETTING_SECTION_HOST, "idle_timeout"));
}

Test(settings, defaults)
{
	struct host_section section;
	struct host_settings h;
	struct relay_settings r;

	settings_init(SETTING_SECTION_HOST, &section);
	h = section.settings;
	cr_assert_eq(h.links_max, 5);
	cr_assert_eq(h.pipeline, 1);
	cr_assert_eq(h.spread, 1);
	cr_assert_eq(h.clients_max, 10000);
	cr_assert_eq(h.queue_max, 10000);
	cr_assert_eq(h.queue_bytes_max, 64 * MIB);
	cr_assert_eq(h.line_max, 16 * MIB);
	cr_assert_eq(h.connect_timeout_ms, 60000);
	cr_assert_eq(h.queue_timeout_ms, 60000);
	cr_assert_eq(h.reply_timeout_ms, 300000);
	cr_assert_eq(h.idle_timeout_ms, 3600000);
	cr_assert_eq(h.down_grace_ms, 1000);
	cr_assert_str_eq(h.busy_line, "con_lost");

	settings_init(SETTING_SECTION_RELAY, &r);
	cr_assert_eq(r.workers, 0);
	cr_assert_eq(r.port, 0);
	cr_assert_eq(r.socket_mode, 0755);
	cr_assert_eq(r.memory_max, 512 * MIB);
	cr_assert_eq(r.stop_timeout_ms, 10000);
	cr_assert_null(r.user);
	cr_assert_null(r.socket_dir);
	cr_assert_null(r.datagram_listen, "off unless it is asked for");
	cr_assert_null(r.webpager_socket);
	cr_assert_eq(r.datagram.size, 1232);
	cr_assert_eq(r.datagram.reply_max, MIB);
	cr_assert_eq(r.datagram.resend_first_ms, 10000);
	cr_assert_eq(r.datagram.resend_tries, 5);
	cr_assert_eq(r.datagram.presence_timeout_ms, 120000);
}

/* A line is kept in the structure itself, whole or not at all. */
Test(settings, line)
{
	const struct setting *setting = host("busy_line");
	struct setting_value value;
	struct host_section h, copy;
	char longest[HOST_BUSY_LINE_SIZE + 1], why[256];

	memset(longest, 'x', sizeof longest);
	longest[HOST_BUSY_LINE_SIZE] = '\0';
	settings_init(SETTING_SECTION_HOST, &h);
	cr_assert_not(setting_parse(setting, longest, &value, why, sizeof why));
	cr_assert_not(setting_parse(setting, "", &value, why, sizeof why));
	cr_assert_not(setting_parse(setting, "a\nb", &value, why, sizeof why));
	longest[HOST_BUSY_LINE_SIZE - 1] = '\0';
	cr_assert(setting_parse(setting, longest, &value, why, sizeof why));
	cr_assert(setting_store(setting, &h, value));
	cr_assert_str_eq(h.settings.busy_line, longest);
	copy = h;
	cr_assert(setting_store(setting, &h, (struct setting_value){ .text = "busy" }));
	cr_assert_str_eq(setting_load(setting, &h).text, "busy");
	cr_assert_str_eq(copy.settings.busy_line, longest, "a copy is a value of its own");
	cr_assert_not(
	    setting_equal(setting, setting_load(setting, &h), setting_load(setting, &copy)));
	settings_fini(SETTING_SECTION_HOST, &h);
	cr_assert_str_eq(h.settings.busy_line, "");
}

Test(settings, defaults_of_a_service)
{
	struct service_settings s;

	memset(&s, 0xff, sizeof s);
	settings_init(SETTING_SECTION_SERVICE, &s);
	cr_assert_null(s.ident);
	cr_assert_null(s.socket);
	cr_assert_null(s.command);
	cr_assert_null(s.connect);
	cr_assert_null(s.user);
	cr_assert_null(s.autoreload);
	cr_assert_null(s.allow_uids);
	cr_assert_eq(s.calls_max, 4);
	cr_assert_eq(s.recycle_calls, 0);
	cr_assert_eq(s.call_timeout_ms, 0);
	cr_assert_eq(s.request_timeout_ms, 30000);
	cr_assert_eq(s.idle_timeout_ms, 0);
	cr_assert_eq(s.start_timeout_ms, 60000);
}

/* Each value of a service goes to its own member, and nothing of it is shared with who gave it. */
Test(settings, store_and_load_a_service)
{
	struct service_settings s;
	char one[] = "one", two[] = "two";
	char *const list[] = { one, two, NULL };
	const struct setting_value given = { .number = 77, .text = "/text", .list = list };

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section != SETTING_SECTION_SERVICE)
			continue;
		settings_init(SETTING_SECTION_SERVICE, &s);
		cr_assert(setting_store(setting, &s, given));
		struct setting_value got = setting_load(setting, &s);
		cr_assert(setting_equal(setting, got, given), "%s", setting->key);
		cr_assert_not(setting_equal(setting, got, (struct setting_value){ 0 }), "%s",
			      setting->key);
		for (size_t j = 0; j < SETTING_COUNT; j++) {
			const struct setting *other = &settings_table[j];
			if (j == i || other->section != SETTING_SECTION_SERVICE)
				continue;
			struct setting_value value = setting_load(other, &s);
			cr_assert_null(value.text);
			cr_assert_null(value.list);
			cr_assert_neq(value.number, 77, "%s", other->key);
		}
		settings_fini(SETTING_SECTION_SERVICE, &s);
	}
	settings_init(SETTING_SECTION_SERVICE, &s);
	const struct setting *command = &settings_table[SETTING_service_command];
	cr_assert(setting_store(command, &s, given));
	one[0] = two[0] = 'X';
	cr_assert_str_eq(s.command[0], "one");
	cr_assert_str_eq(s.command[1], "two");
	cr_assert_null(s.command[2]);
	/* In place of the old one; then of nothing. */
	char *const longer[] = { s.command[1], s.command[0], s.command[0], NULL };
	cr_assert(setting_store(command, &s, (struct setting_value){ .list = longer }));
	cr_assert_str_eq(s.command[0], "two");
	cr_assert_str_eq(s.command[2], "one");
	cr_assert(setting_store(command, &s, (struct setting_value){ 0 }));
	cr_assert_null(s.command);
}

Test(settings, store_and_load)
{
	struct relay_settings r;
	struct host_section h;

	settings_init(SETTING_SECTION_RELAY, &r);
	cr_assert(setting_store(relay("user"), &r, (struct setting_value){ .text = "www" }));
	cr_assert(setting_store(relay("user"), &r, (struct setting_value){ .text = "wwx" }));
	cr_assert_str_eq(r.user, "wwx");
	cr_assert_eq(setting_load(relay("user"), &r).text, r.user);
	cr_assert(setting_store(relay("port"), &r, (struct setting_value){ .number = 5663 }));
	cr_assert_eq(r.port, 5663);
	cr_assert_eq(setting_load(relay("port"), &r).number, 5663);
	settings_fini(SETTING_SECTION_RELAY, &r);
	cr_assert_null(r.user);
	cr_assert_eq(r.port, 0);

	/* Every number goes to its own member and nowhere else. */
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings_table[i].section != SETTING_SECTION_HOST ||
		    settings_table[i].type == SETTING_LINE ||
		    settings_table[i].type == SETTING_NAME ||
		    settings_table[i].type == SETTING_PATH)
			continue;
		memset(&h, 0, sizeof h);
		cr_assert(
		    setting_store(&settings_table[i], &h, (struct setting_value){ .number = 77 }));
		for (size_t j = 0; j < SETTING_COUNT; j++)
			if (settings_table[j].section == SETTING_SECTION_HOST)
				cr_assert_eq(setting_load(&settings_table[j], &h).number,
					     i == j ? 77 : 0, "%s", settings_table[j].key);
	}
}
