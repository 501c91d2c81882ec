/*
 * test_config_diff.c - what a reload would change: hosts and settings, by name, and what only a
 * restart can take over.
 */
#include "tests/config_site.h"

#include "relay/config_diff.h"

static struct config before;
static struct config_diff diff;
static char text[CONFIG_DIFF_TEXT_MAX];

static void
tear_down_all(void)
{
	config_diff_free(&diff);
	config_free(&before);
	tear_down();
}

TestSuite(config_diff, .init = set_up, .fini = tear_down_all);

/* The configuration as it stands becomes the one before. */
static void
keep(void)
{
	config_free(&before);
	cr_assert(load());
	before = config;
	config = (struct config){ .hosts = NULL };
}

static void
compare(void)
{
	cr_assert(load());
	config_diff_free(&diff);
	cr_assert(config_diff_make(&diff, &before, &config));
}

static const char *
text_of(size_t entry)
{
	cr_assert_lt(entry, diff.count);
	config_diff_text(&diff, entry, text, sizeof text);
	return text;
}

static const char *
summary(void)
{
	config_diff_summary(&diff, text, sizeof text);
	return text;
}

static const char *
refusal(void)
{
	config_diff_refusal(&diff, text, sizeof text);
	return text;
}

Test(config_diff, nothing)
{
	keep();
	/* Other lines, the other order: the same hosts. */
	temp_write("hosts.tab", "# comment\nnsdl2:nsdl:access:nsdl.example:[::1]\n"
				"msul1:msu:library:msu.example:127.0.0.1\n");
	compare();
	cr_assert(config_diff_is_empty(&diff));
	cr_assert_eq(diff.count, 2);
	cr_assert_eq(diff.restarts, 0);
	cr_assert_eq(diff.entries[0].kind, CONFIG_DIFF_UNCHANGED);
	cr_assert_eq(diff.entries[0].before, 1);
	cr_assert_eq(diff.entries[0].after, 0);
	cr_assert_eq(diff.entries[1].before, 0);
	cr_assert_eq(diff.entries[1].after, 1);
	cr_assert_str_eq(text_of(0), "host \"nsdl2\" unchanged");
	cr_assert_str_eq(summary(), "hosts: 0 added, 0 removed, 0 changed, 2 unchanged");
	cr_assert_str_eq(refusal(), "");
}

Test(config_diff, hosts_come_go_and_change)
{
	temp_write("hosts.tab", "a:d:r:n:10.0.0.1\nb:d:r:n:10.0.0.2\nc:d:r:n:10.0.0.3\n"
				"d:d:r:n:10.0.0.4\n");
	keep();
	temp_write("hosts.tab", "e:d:r:n:10.0.0.5\nd:d:r:n:10.0.0.4\nc:d2:r2:n2:[::1]\n"
				"b:d:r:n:10.0.0.2\n");
	temp_write("relay.conf", "host b { pipeline = 4 idle_timeout = 90s }\n");
	compare();
	cr_assert_eq(diff.count, 5);
	cr_assert_not(config_diff_is_empty(&diff));
	cr_assert_str_eq(summary(), "hosts: 1 added, 1 removed, 2 changed, 1 unchanged");

	cr_assert_eq(diff.entries[0].kind, CONFIG_DIFF_REMOVED);
	cr_assert_eq(diff.entries[0].before, 0);
	cr_assert_eq(diff.entries[0].after, CONFIG_DIFF_NONE);
	cr_assert_str_eq(text_of(0), "host \"a\" removed");
	cr_assert_eq(diff.entries[1].kind, CONFIG_DIFF_ADDED);
	cr_assert_eq(diff.entries[1].before, CONFIG_DIFF_NONE);
	cr_assert_eq(diff.entries[1].after, 0);
	cr_assert_str_eq(text_of(1), "host \"e\" added: address 10.0.0.5, port 5663");
	cr_assert_eq(diff.entries[2].kind, CONFIG_DIFF_UNCHANGED);
	cr_assert_eq(diff.entries[2].before, 3);
	cr_assert_eq(diff.entries[2].after, 1);

	cr_assert_eq(diff.entries[3].kind, CONFIG_DIFF_CHANGED);
	cr_assert_eq(diff.entries[3].parts, CONFIG_DIFF_ADDRESS | CONFIG_DIFF_DOMAIN |
						CONFIG_DIFF_ROLE | CONFIG_DIFF_NAME);
	cr_assert_eq(diff.entries[3].settings, 0);
	cr_assert_str_eq(text_of(3), "host \"c\" changed: address 10.0.0.3 -> ::1, "
				     "domain d -> d2, role r -> r2, name n -> n2");

	cr_assert_eq(diff.entries[4].kind, CONFIG_DIFF_CHANGED);
	cr_assert_eq(diff.entries[4].parts, 0);
	cr_assert_eq(diff.entries[4].settings, UINT64_C(1) << SETTING_host_pipeline |
						   UINT64_C(1) << SETTING_host_idle_timeout);
	cr_assert_not(diff.entries[4].restart);
	cr_assert_str_eq(text_of(4), "host \"b\" changed: pipeline 1 -> 4, idle_timeout 1h -> 90s");
}

Test(config_diff, defaults_reach_the_hosts_that_inherit)
{
	temp_write("relay.conf", "host msul1 { pipeline = 9 }\n");
	keep();
	temp_write("relay.conf", "host msul1 { pipeline = 9 }\ndefaults { pipeline = 2 }\n");
	compare();
	cr_assert_eq(diff.count, 3);
	cr_assert_eq(diff.entries[0].kind, CONFIG_DIFF_DEFAULT);
	cr_assert_eq(diff.entries[0].setting, SETTING_host_pipeline);
	cr_assert_str_eq(text_of(0), "defaults.pipeline 1 -> 2");
	cr_assert_eq(diff.entries[1].kind, CONFIG_DIFF_UNCHANGED);
	cr_assert_eq(diff.entries[2].kind, CONFIG_DIFF_CHANGED);
	cr_assert_str_eq(text_of(2), "host \"nsdl2\" changed: pipeline 1 -> 2");
	cr_assert_str_eq(
	    summary(),
	    "hosts: 0 added, 0 removed, 1 changed, 1 unchanged; changed: defaults.pipeline");
}

Test(config_diff, live_settings)
{
	temp_write("relay.conf", "relay { stop_timeout = 5s }\n");
	keep();
	write_loncapa("PerlSetVar lonDocRoot /var/www\nPerlSetVar londPort 5664\n");
	temp_write("relay.conf", "");
	compare();
	cr_assert_eq(diff.restarts, 0);
	cr_assert_eq(diff.count, 5);
	cr_assert_str_eq(text_of(0), "relay.port 5663 -> 5664");
	cr_assert_str_eq(text_of(1), "relay.stop_timeout 5s -> 10s");
	cr_assert_eq(diff.entries[2].kind, CONFIG_DIFF_VARIABLE);
	cr_assert_eq(diff.entries[2].variable, LONCAPA_DOC_ROOT);
	cr_assert_str_eq(text_of(2), "lonDocRoot unset -> /var/www");
	cr_assert_eq(diff.entries[3].parts, CONFIG_DIFF_PORT);
	cr_assert_str_eq(text_of(4), "host \"nsdl2\" changed: port 5663 -> 5664");
	cr_assert_str_eq(refusal(), "");
}

Test(config_diff, what_needs_a_restart_is_named)
{
	char variable[300];

	keep();
	temp_write("relay.conf", "relay { workers = 3 }\n");
	compare();
	cr_assert_eq(diff.restarts, 1);
	cr_assert(diff.entries[0].restart);
	cr_assert_eq(diff.entries[0].setting, SETTING_relay_workers);
	cr_assert_str_eq(text_of(0), "relay.workers 0 -> 3 (needs a restart)");
	cr_assert_str_eq(refusal(), "relay.workers needs a restart");

	snprintf(variable, sizeof variable, "PerlSetVar lonDaemons %s/other\n", temp_dir);
	write_loncapa(variable);
	temp_write("relay.conf", "relay { workers = 3 user = www stop_timeout = 1s }\n");
	compare();
	cr_assert_str_eq(text_of(1), "relay.user unset -> \"www\" (needs a restart)");
	/* Directories and control socket follow from lonDaemons; the stop timeout is live. */
	cr_assert_eq(diff.restarts, 6);
	cr_assert_str_eq(refusal(), "relay.workers, relay.user, relay.run_dir, relay.state_dir, "
				    "control.socket, lonDaemons need a restart");
}

/* The structure of the loaded configuration that holds a setting. */
static void *
structure_of(const struct setting *setting)
{
	if (setting->section == SETTING_SECTION_HOST)
		return &config.hosts[1].settings;
	if (setting->section == SETTING_SECTION_SERVICE)
		return &config.services[0].settings;
	if (setting->section == SETTING_SECTION_GATEWAY)
		return &config.gateways[0].settings;
	return &config.relay;
}

static enum config_diff_kind
kind_of(const struct setting *setting)
{
	if (setting->section == SETTING_SECTION_HOST)
		return CONFIG_DIFF_CHANGED;
	if (setting->section == SETTING_SECTION_SERVICE)
		return CONFIG_DIFF_SERVICE_CHANGED;
	if (setting->section == SETTING_SECTION_GATEWAY)
		return CONFIG_DIFF_GATEWAY_CHANGED;
	return CONFIG_DIFF_RELAY;
}

/* One as no file could give it: without any of what it needs. */
static void
add_gateway(struct config *to)
{
	to->gateways = calloc(1, sizeof *to->gateways);
	cr_assert_not_null(to->gateways);
	to->gateways[0].name = strdup("g");
	to->gateways[0].credentials = CONFIG_CREDENTIALS_NONE;
	settings_init(SETTING_SECTION_GATEWAY, &to->gateways[0].settings);
	to->gateway_count = 1;
}

/* Every setting is compared, whichever the table holds. */
Test(config_diff, every_setting_counts)
{
	char word[] = "/other";
	char *const words[] = { word, NULL };

	temp_write("relay.conf", "service a { ident = i connect = /c }\n");
	keep();
	cr_assert(load());
	add_gateway(&before);
	add_gateway(&config);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		enum config_diff_kind kind = kind_of(setting);
		bool relay = kind == CONFIG_DIFF_RELAY;
		void *to = structure_of(setting);
		struct setting_value old = setting_load(setting, to);
		char *kept = old.text != NULL ? strdup(old.text) : NULL;

		cr_assert_null(old.list);
		cr_assert(setting_store(setting, to,
					(struct setting_value){ .number = old.number == 0,
								.text = "/other",
								.list = words }));
		config_diff_free(&diff);
		cr_assert(config_diff_make(&diff, &before, &config));
		/* Beside it there are the two hosts; a service that stays has no entry. */
		cr_assert_eq(diff.count, kind == CONFIG_DIFF_CHANGED ? 2 : 3, "%s", setting->key);
		size_t at = relay ? 0 : diff.count - 1;
		const struct config_diff_entry *entry = &diff.entries[at];
		cr_assert_eq(entry->kind, kind);
		cr_assert_eq(relay ? entry->setting : i, i);
		cr_assert_eq(entry->settings, relay ? 0 : UINT64_C(1) << i);
		cr_assert_eq(entry->restart, setting->apply == SETTING_RESTART);
		cr_assert_eq(diff.restarts, setting->apply == SETTING_RESTART);
		cr_assert_not(config_diff_is_empty(&diff));
		cr_assert(setting_store(
		    setting, to, (struct setting_value){ .number = old.number, .text = kept }));
		free(kept);
	}
	config_diff_free(&diff);
	cr_assert(config_diff_make(&diff, &before, &config));
	cr_assert(config_diff_is_empty(&diff));
}

Test(config_diff, services_come_go_and_change)
{
	temp_write("relay.conf", "service d { socket = /run/d connect = /x calls_max = 2 }\n"
				 "service a { socket = /run/a connect = /x }\n"
				 "service c { socket = /run/c command = { sh, x } }\n"
				 "service f { socket = /run/f connect = /x }\n");
	keep();
	/* In another order, and written in another way, b, c and f stay what they were. */
	temp_write("relay.conf", "service f { connect = \"/x\" socket = '/run/f' calls_max = 4 }\n"
				 "service e { socket = /run/e command = { sh, \"y z\" } }\n"
				 "service b { socket = /run/b connect = /x }\n"
				 "service d { socket = /run/d2 connect = /x idle_timeout = 1h }\n"
				 "service c { socket = /run/c command = { sh, x, y } }\n");
	compare();
	cr_assert_eq(diff.count, 2 + 5);
	cr_assert_eq(diff.restarts, 0);
	cr_assert_not(config_diff_is_empty(&diff));
	cr_assert_str_eq(summary(), "hosts: 0 added, 0 removed, 0 changed, 2 unchanged; "
				    "services: 2 added, 1 removed, 2 changed");
	cr_assert_str_eq(refusal(), "");

	const struct config_diff_entry *entry = &diff.entries[2];
	cr_assert_eq(entry[0].kind, CONFIG_DIFF_SERVICE_REMOVED);
	cr_assert_eq(entry[0].before, 0);
	cr_assert_eq(entry[0].after, CONFIG_DIFF_NONE);
	cr_assert_str_eq(text_of(2), "service \"a\" removed");
	cr_assert_eq(entry[1].kind, CONFIG_DIFF_SERVICE_ADDED);
	cr_assert_eq(entry[1].before, CONFIG_DIFF_NONE);
	cr_assert_eq(entry[1].after, 0);
	cr_assert_str_eq(text_of(3), "service \"b\" added: path /run/b, connect /x");
	cr_assert_eq(entry[2].kind, CONFIG_DIFF_SERVICE_CHANGED);
	cr_assert_eq(entry[2].before, 1);
	cr_assert_eq(entry[2].after, 1);
	cr_assert_eq(entry[2].parts, 0);
	cr_assert_eq(entry[2].settings, UINT64_C(1) << SETTING_service_command);
	cr_assert_str_eq(text_of(4), "service \"c\" changed: command {\"sh\", \"x\"} -> "
				     "{\"sh\", \"x\", \"y\"}");
	cr_assert_eq(entry[3].kind, CONFIG_DIFF_SERVICE_CHANGED);
	cr_assert_eq(entry[3].parts, CONFIG_DIFF_PATH);
	cr_assert_eq(entry[3].settings, UINT64_C(1) << SETTING_service_socket |
					    UINT64_C(1) << SETTING_service_calls_max |
					    UINT64_C(1) << SETTING_service_idle_timeout);
	cr_assert_str_eq(text_of(5),
			 "service \"d\" changed: path /run/d -> /run/d2, socket \"/run/d\" -> "
			 "\"/run/d2\", calls_max 2 -> 4, idle_timeout 0s -> 1h");
	cr_assert_str_eq(text_of(6), "service \"e\" added: path /run/e, command {\"sh\", \"y z\"}");
}

/* The same settings can come to mean something else. */
Test(config_diff, what_a_service_comes_to)
{
	temp_write("relay.conf",
		   "service a { ident = i connect = /c allow_uids = { root, \"1\" } }\n");
	keep();
	cr_assert(load());
	struct config_service *service = &config.services[0];
	service->caller_count--;
	config_diff_free(&diff);
	cr_assert(config_diff_make(&diff, &before, &config));
	cr_assert_eq(diff.entries[2].parts, CONFIG_DIFF_CALLERS);
	cr_assert_str_eq(text_of(2), "service \"a\" changed: users who may call 2 -> 1");
	service->caller_count++;
	service->callers[0] = 7;
	service->run_as = (struct owner){ .uid = 12, .gid = 34 };
	free(service->extended_path);
	service->extended_path = NULL;
	config_diff_free(&diff);
	cr_assert(config_diff_make(&diff, &before, &config));
	cr_assert_eq(diff.entries[2].parts,
		     CONFIG_DIFF_CALLERS | CONFIG_DIFF_RUN_AS | CONFIG_DIFF_PATH);
	cr_assert_eq(diff.entries[2].settings, 0);
	cr_assert_not_null(strstr(text_of(2), ", user and group the relay's -> 12:34, "));
}

/* From none, to none, and with nothing but services in between. */
Test(config_diff, services_from_and_to_nothing)
{
	temp_write("hosts.tab", "");
	keep();
	temp_write("relay.conf", "service a { socket = /run/s connect = /c }\n");
	compare();
	cr_assert_eq(diff.count, 1);
	cr_assert_eq(diff.entries[0].kind, CONFIG_DIFF_SERVICE_ADDED);
	keep();
	compare();
	cr_assert_eq(diff.count, 0);
	temp_write("relay.conf", "");
	compare();
	cr_assert_eq(diff.count, 1);
	cr_assert_eq(diff.entries[0].kind, CONFIG_DIFF_SERVICE_REMOVED);
	cr_assert_str_eq(summary(), "hosts: 0 added, 0 removed, 0 changed, 0 unchanged; "
				    "services: 0 added, 1 removed, 0 changed");
}

Test(config_diff, from_and_to_nothing)
{
	temp_write("hosts.tab", "");
	keep();
	temp_write("hosts.tab", "a:d:r:n:10.0.0.1\n");
	compare();
	cr_assert_eq(diff.counts[CONFIG_DIFF_ADDED], 1);
	keep();
	temp_write("hosts.tab", "");
	compare();
	cr_assert_eq(diff.count, 1);
	cr_assert_eq(diff.counts[CONFIG_DIFF_REMOVED], 1);
	keep();
	compare();
	cr_assert_eq(diff.count, 0);
	cr_assert(config_diff_is_empty(&diff));
}

Test(config_diff, texts_are_printable_and_bounded)
{
	char small[48];

	keep();
	temp_write("hosts.tab",
		   "we\x1bird\xff:d:r:n:10.0.0.1\n"
		   "nsdl2:nsdl:access:a rather long name that finds no room at all:[::1]\n"
		   "msul1:msu:library:msu.example:127.0.0.1\n");
	compare();
	cr_assert_str_eq(text_of(0), "host \"we\\x1bird\\xff\" added: address 10.0.0.1, port 5663");
	for (size_t size = 1; size <= sizeof small; size++) {
		memset(small, 'z', sizeof small);
		config_diff_text(&diff, 1, small, size);
		cr_assert_eq(strlen(small), strnlen(small, size - 1));
		if (size > 4)
			cr_assert_str_eq(small + strlen(small) - 3, "...", "%zu", size);
		for (size_t i = size; i < sizeof small; i++)
			cr_assert_eq(small[i], 'z', "nothing behind the room");
	}
	config_diff_summary(&diff, small, sizeof small);
	cr_assert_lt(strlen(small), sizeof small);
}

static struct config_host
make_host(size_t number, const char *address)
{
	struct config_host host = { .port = 5663, .credentials = CONFIG_CREDENTIALS_NONE };

	cr_assert_gt(asprintf(&host.id, "host%zu", number), 0);
	host.domain = strdup("d");
	host.role = strdup("r");
	host.name = strdup("n");
	host.address = strdup(address);
	return host;
}

/* All hosts there can be, backwards: each finds its own by id. */
Test(config_diff, many_hosts)
{
	enum {
		COUNT = CONFIG_HOSTS_MAX
	};

	before.hosts = calloc(COUNT, sizeof *before.hosts);
	config.hosts = calloc(COUNT, sizeof *config.hosts);
	before.host_count = config.host_count = COUNT;
	for (size_t i = 0; i < COUNT; i++) {
		before.hosts[i] = make_host(i, "10.0.0.1");
		/* The host numbered 0 goes, COUNT comes. */
		config.hosts[i] = make_host(COUNT - i, i % 1000 == 1 ? "10.0.0.2" : "10.0.0.1");
	}
	cr_assert(config_diff_make(&diff, &before, &config));
	cr_assert_eq(diff.counts[CONFIG_DIFF_REMOVED], 1);
	cr_assert_eq(diff.counts[CONFIG_DIFF_ADDED], 1);
	cr_assert_eq(diff.counts[CONFIG_DIFF_CHANGED], 66);
	cr_assert_eq(diff.count, COUNT + 1);
	for (size_t i = 2; i < diff.count; i++) {
		const struct config_diff_entry *entry = &diff.entries[i];

		cr_assert_eq(entry->after, i - 1);
		cr_assert_str_eq(before.hosts[entry->before].id, config.hosts[entry->after].id);
	}
}
