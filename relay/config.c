/*
 * config.c - makes one configuration of all its sources, and says what is missing.
 *
 * Never keeps a file open and never resolves a name.  Owns nothing: all goes to the caller's struct
 * config, or is freed here when the configuration is refused.
 */
#include "relay/config.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "relay/config_datagram.h"
#include "relay/config_places.h"
#include "relay/config_services.h"
#include "relay/config_tls.h"
#include "relay/control_roles.h"
#include "relay/listen_address.h"
#include "relay/hosts_file.h"
#include "relay/hosts_table.h"
#include "relay/loncapa.h"
#include "relay/relay_conf.h"

static_assert(UINT16_MAX == 65535, "config_host.port holds any value of relay.port");

struct builder {
	struct config *config;
	const struct config_source *source;
	struct report *report;
	struct relay_conf conf;
	struct loncapa loncapa;
};

static bool
no_memory(struct builder *builder)
{
	report_add(builder->report, REPORT_FATAL, NULL, 0, "out of memory");
	return false;
}

/* Stores a value that is not from relay.conf; `name` is what the writer of the value calls it. */
static bool
take_text(struct builder *builder, enum setting_id id, const char *text, const char *name,
	  const char *file, unsigned line)
{
	const struct setting *setting = &settings_table[id];
	struct setting_value value;
	char why[512];

	if (!setting_parse(setting, text, &value, why, sizeof why)) {
		report_add(builder->report, REPORT_FATAL, file, line, "%s: %s", name, why);
		return false;
	}
	return setting_store(setting, &builder->config->relay, value) || no_memory(builder);
}

/* Whether section `relay` gave the setting already; port 0 cannot be given. */
static bool
is_set(const struct builder *builder, enum setting_id id)
{
	struct setting_value value = setting_load(&settings_table[id], &builder->config->relay);

	return value.text != NULL || value.number != 0;
}

/* The setting from a variable with something behind it: lonTabDir, "/hosts.tab". */
static bool
take_var(struct builder *builder, enum setting_id id, enum loncapa_var var, const char *suffix)
{
	const struct loncapa_value *value = &builder->loncapa.vars[var];
	char *text;

	if (is_set(builder, id) || value->text == NULL)
		return true;
	if (asprintf(&text, "%s%s", value->text, suffix) < 0)
		return no_memory(builder);
	bool good = take_text(builder, id, text, loncapa_var_name(var), value->file, value->line);
	free(text);
	return good;
}

/* Of a list of directories, as a service manager may give it, the first counts. */
static bool
take_environment(struct builder *builder, enum setting_id id, const char *name)
{
	const char *list = getenv(name);
	char variable[64];

	if (is_set(builder, id) || list == NULL || list[0] == '\0')
		return true;
	char *first = strndup(list, strcspn(list, ":"));
	if (first == NULL)
		return no_memory(builder);
	snprintf(variable, sizeof variable, "$%s", name);
	bool good = take_text(builder, id, first, "directory", variable, 0);
	free(first);
	return good;
}

static bool
require(struct builder *builder, enum setting_id id, const char *or_else)
{
	const struct setting *setting = &settings_table[id];
	const struct config_source *source = builder->source;
	const char *legacy = builder->loncapa.files[LONCAPA_FILE_COUNT - 1];

	if (is_set(builder, id))
		return true;
	if (legacy != NULL)
		report_add(builder->report, REPORT_FATAL, legacy, 0,
			   "%s is not set, nor %s in section relay of relay.conf", or_else,
			   setting->key);
	else
		report_add(builder->report, REPORT_FATAL, source->conf_file, 0,
			   "relay.%s is not set, and there is no loncapa.conf with %s",
			   setting->key, or_else);
	return false;
}

static bool
complete_relay(struct builder *builder)
{
	/* All of them, so that one look shows all that is missing or wrong; not `&&`. */
	bool good = true;

	good &= take_var(builder, SETTING_relay_socket_dir, LONCAPA_SOCK_DIR, "");
	good &= take_var(builder, SETTING_relay_hosts_file, LONCAPA_TAB_DIR, "/hosts.tab");
	good &= take_var(builder, SETTING_relay_host_id, LONCAPA_HOST_ID, "");
	good &= take_var(builder, SETTING_relay_port, LONCAPA_PORT, "");
	good &= take_environment(builder, SETTING_relay_run_dir, "RUNTIME_DIRECTORY");
	good &= take_var(builder, SETTING_relay_run_dir, LONCAPA_DAEMONS, "/logs");
	good &= take_environment(builder, SETTING_relay_state_dir, "STATE_DIRECTORY");
	good &= take_var(builder, SETTING_relay_state_dir, LONCAPA_DAEMONS, "/logs");
	if (!good)
		return false;
	good &= require(builder, SETTING_relay_socket_dir, "lonSockDir");
	good &= require(builder, SETTING_relay_hosts_file, "lonTabDir");
	good &= require(builder, SETTING_relay_host_id, "lonHostID");
	good &= require(builder, SETTING_relay_port, "londPort");
	good &= require(builder, SETTING_relay_run_dir, "lonDaemons or $RUNTIME_DIRECTORY");
	return good;
}

static bool
copy_var(struct builder *builder, enum loncapa_var var, char **out)
{
	const char *text = builder->loncapa.vars[var].text;

	if (text == NULL)
		return true;
	*out = strdup(text);
	return *out != NULL || no_memory(builder);
}

/* Beside what else the relay has there. */
static bool
complete_control(struct builder *builder)
{
	struct relay_settings *relay = &builder->config->relay;

	if (relay->control_socket == NULL &&
	    asprintf(&relay->control_socket, "%s/%s", relay->run_dir, SETTINGS_CONTROL_SOCKET) < 0)
		relay->control_socket = NULL;
	return relay->control_socket != NULL || no_memory(builder);
}

static bool
check_exporter(struct builder *builder)
{
	const char *where = builder->config->relay.exporter_listen;
	struct listen_address address;

	if (where == NULL || listen_address_parse(where, &address))
		return true;
	report_add(builder->report, REPORT_FATAL, NULL, 0,
		   "exporter.listen: \"%s\" is not " LISTEN_ADDRESS_FORMS, where);
	return false;
}

/* Who is not there gets no rights; that is no reason not to serve. */
static bool
check_people(struct builder *builder)
{
	struct control_roles roles;

	if (!control_roles_init(&roles, &builder->config->relay, builder->report))
		return no_memory(builder);
	control_roles_fini(&roles);
	return true;
}

/* "/" and an id follow, so that slashes at the end would only cost bytes of the path. */
static void
cut_slashes(char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
}

static bool
build_relay(struct builder *builder)
{
	struct config *config = builder->config;

	settings_init(SETTING_SECTION_RELAY, &config->relay);
	if (!relay_conf_apply_relay(&builder->conf, &config->relay))
		return no_memory(builder);
	if (!complete_relay(builder) || !copy_var(builder, LONCAPA_DAEMONS, &config->daemons_dir) ||
	    !copy_var(builder, LONCAPA_DOC_ROOT, &config->doc_root))
		return false;
	cut_slashes(config->relay.socket_dir);
	cut_slashes(config->relay.run_dir);
	return complete_control(builder) && check_people(builder) && check_exporter(builder);
}

static void
warn_section(struct builder *builder, struct conf_origin origin, const char *text)
{
	relay_conf_say(&builder->conf, origin, REPORT_WARNING, text, builder->report);
}

/* Two settings that make little sense together. */
static void
check_host_settings(struct builder *builder, const struct host_settings *settings,
		    struct conf_origin origin)
{
	char queue[64], line[64], text[256];

	if (settings->queue_bytes_max >= settings->line_max)
		return;
	setting_format(&settings_table[SETTING_host_queue_bytes_max],
		       (struct setting_value){ .number = settings->queue_bytes_max }, queue,
		       sizeof queue);
	setting_format(&settings_table[SETTING_host_line_max],
		       (struct setting_value){ .number = settings->line_max }, line, sizeof line);
	snprintf(text, sizeof text,
		 "queue_bytes_max %s is less than line_max %s: the longest lines can never wait",
		 queue, line);
	warn_section(builder, origin, text);
}

static int
by_id(const void *left, const void *right)
{
	const struct config_host *a = *(struct config_host *const *)left;
	const struct config_host *b = *(struct config_host *const *)right;

	return strcmp(a->id, b->id);
}

static int
id_to_host(const void *id, const void *entry)
{
	return strcmp(id, (*(struct config_host *const *)entry)->id);
}

/* The host sections of relay.conf, each over the host that it names. */
static bool
apply_host_sections(struct builder *builder, struct config_host **sorted)
{
	const struct config *config = builder->config;
	char text[REPORT_TEXT_MAX];

	for (size_t i = 0; i < builder->conf.host_count; i++) {
		struct conf_origin origin = builder->conf.hosts[i];
		const char *id = relay_conf_host_id(&builder->conf, i);
		struct config_host **found = NULL;

		if (config->host_count > 0)
			found = bsearch(id, sorted, config->host_count, sizeof *sorted, id_to_host);
		if (found == NULL) {
			snprintf(text, sizeof text, "host \"%.120s\": no such host in %.800s", id,
				 config->hosts_path);
			warn_section(builder, origin, text);
			continue;
		}
		if (!relay_conf_apply_host(&builder->conf, i, &(*found)->section))
			return no_memory(builder);
		check_host_settings(builder, &(*found)->settings, origin);
	}
	return true;
}

/* The strings are its own.  False: no memory. */
static bool
copy_section(struct host_section *to, const struct host_section *from)
{
	to->settings = from->settings;
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section == SETTING_SECTION_HOST && setting->type == SETTING_PATH &&
		    !setting_store(setting, to, setting_load(setting, from)))
			return false;
	}
	return true;
}

static bool
build_hosts(struct builder *builder)
{
	struct config *config = builder->config;

	settings_init(SETTING_SECTION_HOST, &config->defaults_section);
	if (!relay_conf_apply_defaults(&builder->conf, &config->defaults_section))
		return no_memory(builder);
	check_host_settings(builder, &config->defaults, builder->conf.defaults);
	if (!hosts_table_load(config, builder->source, builder->report))
		return false;

	struct config_host **sorted = malloc((config->host_count + 1) * sizeof *sorted);
	if (sorted == NULL)
		return no_memory(builder);
	bool copied = true;
	for (size_t i = 0; i < config->host_count; i++) {
		struct config_host *host = &config->hosts[i];

		host->port = (uint16_t)config->relay.port;
		copied &= copy_section(&host->section, &config->defaults_section);
		sorted[i] = host;
	}
	qsort(sorted, config->host_count, sizeof *sorted, by_id);
	bool good = copied ? apply_host_sections(builder, sorted) : no_memory(builder);
	free(sorted);
	return good;
}

static bool
build(struct builder *builder)
{
	const struct config_source *source = builder->source;
	bool conf = relay_conf_load(&builder->conf, source->conf_file, source->options,
				    source->option_count, builder->report);
	bool loncapa = loncapa_load(&builder->loncapa, source->loncapa_dir, builder->report);

	if (!conf || !loncapa || !build_relay(builder))
		return false;
	/* All of them, so that one look shows all that is wrong. */
	bool services = config_services_load(builder->config, &builder->conf,
					     source->accepted != NULL, builder->report);
	bool datagram = config_datagram_load(builder->config, &builder->conf, builder->report);
	/* Behind the services, which have places of their own. */
	bool places = config_places_check(builder->config, source->conf_file, builder->report);
	bool hosts = build_hosts(builder);
	/* What it reads is named by hosts too. */
	bool tls = hosts && config_tls_load(builder->config, &builder->conf,
					    source->accepted != NULL, builder->report);
	return tls && services && datagram && places;
}

bool
config_load(struct config *config, const struct config_source *source, struct report *report)
{
	struct builder builder = { .config = config, .source = source, .report = report };

	*config = (struct config){ .hosts = NULL };
	bool good = build(&builder);
	relay_conf_fini(&builder.conf);
	loncapa_fini(&builder.loncapa);
	if (!good)
		config_free(config);
	return good;
}

void
config_free(struct config *config)
{
	hosts_file_drop(config);
	config_services_drop(config);
	config_datagram_drop(config);
	config_tls_drop(config);
	settings_fini(SETTING_SECTION_HOST, &config->defaults_section);
	free(config->hosts_path);
	free(config->daemons_dir);
	free(config->doc_root);
	settings_fini(SETTING_SECTION_RELAY, &config->relay);
	*config = (struct config){ .hosts = NULL };
}
