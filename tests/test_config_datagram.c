/*
 * test_config_datagram.c - sections `datagram` and `webpager`: what is refused and why, the file of
 * keys, and that both print as they were written.
 */
#include "tests/config_site.h"

#include <sys/socket.h>

#include "relay/config_datagram.h"
#include "wire/datagram_keys.h"

#define KEY_A               \
	"00000000000000a1 " \
	"0101010101010101010101010101010101010101010101010101010101010101\n"
#define KEY_B               \
	"00000000000000b2 " \
	"0202020202020202020202020202020202020202020202020202020202020202\n"

TestSuite(config_datagram, .init = set_up, .fini = tear_down);

static void
write_keys(const char *text, mode_t mode)
{
	char path[256];

	temp_write("keys", text);
	cr_assert_eq(chmod(in_dir(path, sizeof path, "keys"), mode), 0);
}

/* relay.conf with this text, %s in it being the directory of the test. */
static bool
load_conf(const char *format)
{
	char text[2048];
	const char *at = strstr(format, "%s");

	if (at == NULL)
		snprintf(text, sizeof text, "%s", format);
	else
		snprintf(text, sizeof text, "%.*s%s%s", (int)(at - format), format, temp_dir,
			 at + 2);
	temp_write("relay.conf", text);
	return load();
}

Test(config_datagram, off_by_default)
{
	struct listen_address addresses[SETTINGS_DATAGRAM_LISTEN_MAX];

	cr_assert(load_conf("datagram { }\nwebpager { }"));
	says_nothing();
	cr_assert_eq(config_datagram_addresses(&config.relay, addresses), 0);
	cr_assert_null(config.keys);
}

Test(config_datagram, loopback_needs_no_keys)
{
	struct listen_address addresses[SETTINGS_DATAGRAM_LISTEN_MAX];

	cr_assert(load_conf("datagram { listen = {\"127.0.0.1:5050\", \"[::1]:5050\"} }"));
	says_nothing();
	cr_assert_eq(config_datagram_addresses(&config.relay, addresses), 2);
	cr_assert_eq(addresses[0].any.sa_family, AF_INET);
	cr_assert_eq(addresses[1].any.sa_family, AF_INET6);
	cr_assert(load_conf("datagram { listen = {\"127.9.8.7:1\"} }"));
}

Test(config_datagram, anything_else_needs_keys)
{
	static const char *const outside[] = { "0.0.0.0:5050",       "10.0.0.1:5050",
					       "[::]:5050",          "[::ffff:127.0.0.1]:5050",
					       "[2001:db8::1]:5050", "126.0.0.1:5050" };
	char text[256], why[128];

	for (size_t i = 0; i < COUNT_OF(outside); i++) {
		snprintf(text, sizeof text, "\n\ndatagram {\n listen = {\"%s\"} }", outside[i]);
		snprintf(why, sizeof why, "\"%s\" can be reached from outside", outside[i]);
		cr_assert_not(load_conf(text));
		says(REPORT_FATAL, "relay.conf", 3, why);
	}
	write_keys(KEY_A, 0600);
	cr_assert(load_conf("datagram { listen = {\"0.0.0.0:5050\", \"[::]:5050\"}\n"
			    " keys = \"%s/keys\" }"));
	says_nothing();
	cr_assert_eq(config.key_count, 1);
}

Test(config_datagram, bad_addresses)
{
	cr_assert_not(load_conf("datagram { listen = {\"127.0.0.1\"} }"));
	says(REPORT_FATAL, "relay.conf", 1, "\"127.0.0.1\" is not ADDRESS:PORT");
	cr_assert_not(load_conf("datagram { listen = {\"unix:/tmp/x\"} }"));
	says(REPORT_FATAL, "relay.conf", 1, "clients come by UDP");
	cr_assert_not(load_conf("datagram { listen = {\"127.0.0.1:0\"} }"));
	says(REPORT_FATAL, "relay.conf", 1, "port 0");
	cr_assert_not(
	    load_conf("datagram { listen = {\"[::1]:1\", \"127.0.0.1:1\", \"[::1]:1\"} }"));
	says(REPORT_FATAL, "relay.conf", 1, "\"[::1]:1\" is there twice");
	cr_assert_not(load_conf("datagram { listen = {} }"));
	says(REPORT_FATAL, "relay.conf", 1, "a list of 0 texts");
}

Test(config_datagram, keys)
{
	static const char conf[] = "datagram { listen = {\"127.0.0.1:5050\"} keys = \"%s/keys\" }";

	write_keys("# two clients\n\n" KEY_B KEY_A, 0640);
	cr_assert(load_conf(conf));
	says_nothing();
	cr_assert_eq(config.key_count, 2);
	cr_assert_eq(config.keys[0].client, 0xa1);
	cr_assert_eq(config.keys[1].client, 0xb2);
	cr_assert_eq(config.keys[1].secret[31], 2);
	config_datagram_drop(&config);
	cr_assert_null(config.keys);
	cr_assert_eq(config.key_count, 0);
}

Test(config_datagram, bad_keys)
{
	static const char conf[] = "datagram { listen = {\"127.0.0.1:5050\"} keys = \"%s/keys\" }";
	char path[256];

	cr_assert_not(load_conf(conf));
	says(REPORT_FATAL, "keys", 0, "datagram.keys: No such file");
	write_keys(KEY_A "12 34\n", 0600);
	cr_assert_not(load_conf(conf));
	says(REPORT_FATAL, "keys", 2, "datagram.keys: the id is not 16");
	write_keys(KEY_A KEY_A, 0600);
	cr_assert_not(load_conf(conf));
	says(REPORT_FATAL, "keys", 2, "datagram.keys: the id is there twice");
	write_keys("# none\n", 0600);
	cr_assert_not(load_conf(conf));
	says(REPORT_FATAL, "keys", 0, "there is no key in it");
	static const mode_t open_modes[] = { 0604, 0602, 0620, 0610, 0601, 0666 };
	for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
		write_keys(KEY_A, open_modes[i]);
		cr_assert_not(load_conf(conf), "%o", open_modes[i]);
		says(REPORT_FATAL, "keys", 0, "datagram.keys: a secret that ");
	}
	in_dir(path, sizeof path, "keys");
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_not(load_conf(conf));
	says(REPORT_FATAL, "keys", 0, "not a regular file");
	cr_assert_eq(unlink(path), 0);
}

Test(config_datagram, settings_that_contradict_each_other)
{
	cr_assert_not(load_conf("\ndatagram { busy_queue_time = 1s busy_clear_time = 2s }"));
	says(REPORT_FATAL, "relay.conf", 2, "busy_clear_time is more than busy_queue_time");
	cr_assert_not(load_conf("datagram { store_count = 10 store_client_count = 11 }"));
	says(REPORT_FATAL, "relay.conf", 1, "may not be more than store_count");
	cr_assert_not(load_conf("\n\nwebpager { socket = /run/x }"));
	says(REPORT_FATAL, "relay.conf", 3, "datagram.listen, which is not set");
	cr_assert_not(load_conf("datagram { }\ndatagram { }"));
	says(REPORT_FATAL, "relay.conf", 2, "section datagram: given twice");
}

Test(config_datagram, pagers)
{
	cr_assert(load_conf("datagram { listen = {\"127.0.0.1:5050\"} }\n"
			    "webpager { socket = /run/x users = \"root, 77 no-such-user\" }"));
	says(REPORT_WARNING, "relay.conf", 2, "there is no user no-such-user");
	cr_assert_eq(config.pager_count, 2);
	cr_assert_eq(config.pagers[0], 0);
	cr_assert_eq(config.pagers[1], 77);
}

Test(config_datagram, options)
{
	const char *const options[] = { "datagram.listen=127.0.0.1:5050,[::1]:5051",
					"datagram.resend_first=5ms", "webpager.socket=/run/x",
					"host msul1.busy_line=try_later" };
	const char *const outside[] = { "datagram.listen=10.0.0.1:5050" };

	cr_assert(load_with(options, COUNT_OF(options)));
	says_nothing();
	cr_assert_str_eq(config.relay.datagram_listen[1], "[::1]:5051");
	cr_assert_eq(config.relay.datagram.resend_first_ms, 5);
	cr_assert_str_eq(config.hosts[0].settings.busy_line, "try_later");
	cr_assert_str_eq(config.hosts[1].settings.busy_line, "con_lost");
	cr_assert_not(load_with(outside, 1));
	says(REPORT_FATAL, "-o datagram.listen=10.0.0.1:5050", 0, "can be reached from outside");
}

Test(config_datagram, print)
{
	char *text = NULL;
	size_t len = 0;
	struct config first;

	cr_assert(load_conf("datagram { listen = {\"127.0.0.1:5050\", \"[::1]:5050\"} rate = 7 }\n"
			    "webpager { socket = /run/x mode = 0666 }\n"
			    "host msul1 { busy_line = \"try \\\"later\\\"\" }"));
	FILE *out = open_memstream(&text, &len);
	config_print(out, &config);
	fclose(out);
	cr_assert_not_null(strstr(text, "\tlisten = {\"127.0.0.1:5050\", \"[::1]:5050\"}\n"));
	cr_assert_not_null(strstr(text, "\tmode = 0666\n"));
	cr_assert_not_null(strstr(text, "\tbusy_line = \"try \\\"later\\\"\"\n"));
	first = config;
	config = (struct config){ .hosts = NULL };
	temp_write("relay.conf", text);
	free(text);
	source.loncapa_dir = NULL;
	cr_assert(load());
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		if (setting_section_is_single(setting->section))
			cr_assert(setting_equal(setting, setting_load(setting, &first.relay),
						setting_load(setting, &config.relay)),
				  "%s", setting->key);
	}
	cr_assert_str_eq(config.hosts[0].settings.busy_line, "try \"later\"");
	config_free(&first);
}
