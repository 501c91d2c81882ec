/*
 * config_diff.c - finds what differs between two configurations.
 *
 * Never changes or keeps a configuration, and decides nothing: what an entry means for listeners
 * and links is the business of whoever applies it.  Owns the array of entries.  The texts are made
 * in config_diff_text.c.
 */
#include "relay/config_diff.h"

#include "relay/config_tls.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(SETTING_control_socket <= CONFIG_DIFF_SETTINGS_MAX,
	      "a setting of hosts, services and gateways is a bit of config_diff_entry.settings");
static_assert(CONFIG_HOSTS_MAX < CONFIG_DIFF_NONE, "an index is never CONFIG_DIFF_NONE");

const char *
config_diff_kind_text(enum config_diff_kind kind)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		CONFIG_DIFF_KINDS(X)
#undef X
	};
	return texts[kind];
}

static bool
text_differs(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

static bool
setting_differs(const struct setting *setting, const void *before, const void *after)
{
	return !setting_equal(setting, setting_load(setting, before), setting_load(setting, after));
}

static void
add(struct config_diff *diff, struct config_diff_entry entry)
{
	diff->entries[diff->count++] = entry;
	diff->counts[entry.kind]++;
	diff->restarts += entry.restart;
}

static void
compare_section(struct config_diff *diff, enum setting_section section, enum config_diff_kind kind,
		const void *before, const void *after)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section == section && setting_differs(setting, before, after))
			add(diff, (struct config_diff_entry){
				      .kind = kind,
				      .restart = setting->apply == SETTING_RESTART,
				      .setting = (enum setting_id)i,
				      .before = CONFIG_DIFF_NONE,
				      .after = CONFIG_DIFF_NONE,
				  });
	}
}

/* `restart` for lonDaemons: the pid file and the log files that are open lie there. */
static void
compare_variable(struct config_diff *diff, enum loncapa_var variable, bool restart,
		 const char *before, const char *after)
{
	if (text_differs(before, after))
		add(diff, (struct config_diff_entry){
			      .kind = CONFIG_DIFF_VARIABLE,
			      .restart = restart,
			      .variable = variable,
			      .before = CONFIG_DIFF_NONE,
			      .after = CONFIG_DIFF_NONE,
			  });
}

static uint32_t
compare_parts(const struct config_host *before, const struct config_host *after)
{
	uint32_t parts = 0;

	if (text_differs(before->address, after->address))
		parts |= CONFIG_DIFF_ADDRESS;
	if (before->port != after->port)
		parts |= CONFIG_DIFF_PORT;
	if (text_differs(before->domain, after->domain))
		parts |= CONFIG_DIFF_DOMAIN;
	if (text_differs(before->role, after->role))
		parts |= CONFIG_DIFF_ROLE;
	if (text_differs(before->name, after->name))
		parts |= CONFIG_DIFF_NAME;
	return parts;
}

/* Files of another name are settings that differ. */
static uint32_t
compare_credentials(const struct config_diff *diff, uint32_t before, uint32_t after)
{
	if (before == CONFIG_CREDENTIALS_NONE || after == CONFIG_CREDENTIALS_NONE ||
	    config_credentials_same(&diff->before->credentials[before],
				    &diff->after->credentials[after]))
		return 0;
	return CONFIG_DIFF_CREDENTIALS;
}

static uint64_t
compare_settings(enum setting_section section, const void *before, const void *after, bool *restart)
{
	uint64_t settings = 0;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section == section && setting_differs(setting, before, after)) {
			settings |= UINT64_C(1) << i;
			*restart |= setting->apply == SETTING_RESTART;
		}
	}
	return settings;
}

static void
compare_host(struct config_diff *diff, uint32_t before, uint32_t after)
{
	const struct config_host *a = &diff->before->hosts[before];
	const struct config_host *b = &diff->after->hosts[after];
	struct config_diff_entry entry = { .before = before, .after = after };

	entry.parts =
	    compare_parts(a, b) | compare_credentials(diff, a->credentials, b->credentials);
	entry.settings =
	    compare_settings(SETTING_SECTION_HOST, &a->section, &b->section, &entry.restart);
	entry.kind =
	    entry.parts != 0 || entry.settings != 0 ? CONFIG_DIFF_CHANGED : CONFIG_DIFF_UNCHANGED;
	add(diff, entry);
}

/* A host as it is sorted: hosts of both configurations by id. */
struct place {
	const char *id;
	uint32_t index;
};

static int
by_id(const void *left, const void *right)
{
	return strcmp(((const struct place *)left)->id, ((const struct place *)right)->id);
}

static struct place *
sort_hosts(const struct config *config)
{
	struct place *places = malloc((config->host_count + 1) * sizeof *places);

	if (places == NULL)
		return NULL;
	for (size_t i = 0; i < config->host_count; i++)
		places[i] = (struct place){ .id = config->hosts[i].id, .index = (uint32_t)i };
	qsort(places, config->host_count, sizeof *places, by_id);
	return places;
}

/* Which hosts have the same id: for each, its index in the other configuration or NONE. */
struct pairs {
	uint32_t *of_before;
	uint32_t *of_after;
};

static void
pair_sorted(struct pairs *pairs, const struct place *a, size_t a_count, const struct place *b,
	    size_t b_count)
{
	size_t i = 0, j = 0;

	while (i < a_count && j < b_count) {
		int order = strcmp(a[i].id, b[j].id);

		if (order == 0) {
			pairs->of_before[a[i].index] = b[j].index;
			pairs->of_after[b[j].index] = a[i].index;
		}
		i += order <= 0;
		j += order >= 0;
	}
}

/* For each of `count` hosts: none. */
static uint32_t *
new_partners(size_t count)
{
	static_assert(CONFIG_DIFF_NONE == UINT32_MAX, "bytes of 0xff are CONFIG_DIFF_NONE");
	size_t size = (count + 1) * sizeof(uint32_t);
	uint32_t *partners = malloc(size);

	return partners != NULL ? memset(partners, 0xff, size) : NULL;
}

static bool
pair_hosts(struct pairs *pairs, const struct config *before, const struct config *after)
{
	size_t a_count = before->host_count, b_count = after->host_count;
	struct place *a = sort_hosts(before);
	struct place *b = sort_hosts(after);

	pairs->of_before = new_partners(a_count);
	pairs->of_after = new_partners(b_count);
	bool good = a != NULL && b != NULL && pairs->of_before != NULL && pairs->of_after != NULL;
	if (good)
		pair_sorted(pairs, a, a_count, b, b_count);
	free(a);
	free(b);
	return good;
}

static void
compare_hosts(struct config_diff *diff, const struct pairs *pairs)
{
	for (uint32_t i = 0; i < diff->before->host_count; i++)
		if (pairs->of_before[i] == CONFIG_DIFF_NONE)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_REMOVED,
				      .before = i,
				      .after = CONFIG_DIFF_NONE,
				  });
	for (uint32_t j = 0; j < diff->after->host_count; j++) {
		if (pairs->of_after[j] == CONFIG_DIFF_NONE)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_ADDED,
				      .before = CONFIG_DIFF_NONE,
				      .after = j,
				  });
		else
			compare_host(diff, pairs->of_after[j], j);
	}
}

static uint32_t
compare_service_parts(const struct config_service *before, const struct config_service *after)
{
	uint32_t parts = 0;

	if (text_differs(before->path, after->path) ||
	    text_differs(before->extended_path, after->extended_path))
		parts |= CONFIG_DIFF_PATH;
	if (before->run_as.uid != after->run_as.uid || before->run_as.gid != after->run_as.gid)
		parts |= CONFIG_DIFF_RUN_AS;
	if (before->caller_count != after->caller_count ||
	    (before->caller_count > 0 &&
	     memcmp(before->callers, after->callers, before->caller_count * sizeof(uid_t)) != 0))
		parts |= CONFIG_DIFF_CALLERS;
	return parts;
}

static void
compare_service(struct config_diff *diff, uint32_t before, uint32_t after)
{
	const struct config_service *a = &diff->before->services[before];
	const struct config_service *b = &diff->after->services[after];
	struct config_diff_entry entry = {
		.kind = CONFIG_DIFF_SERVICE_CHANGED,
		.before = before,
		.after = after,
		.parts = compare_service_parts(a, b),
	};

	entry.settings =
	    compare_settings(SETTING_SECTION_SERVICE, &a->settings, &b->settings, &entry.restart);
	if (entry.parts != 0 || entry.settings != 0)
		add(diff, entry);
}

/* Which configuration the next service by name is from: < 0 before, 0 both, > 0 after. */
static int
service_order(const struct config_diff *diff, uint32_t before, uint32_t after)
{
	if (after == diff->after->service_count)
		return -1;
	if (before == diff->before->service_count)
		return 1;
	return strcmp(diff->before->services[before].name, diff->after->services[after].name);
}

/* One walk over both, which are in the order of the names: what is gone, or the rest. */
static void
walk_services(struct config_diff *diff, bool removed)
{
	uint32_t i = 0, j = 0;

	while (i < diff->before->service_count || j < diff->after->service_count) {
		int order = service_order(diff, i, j);

		if (order < 0 && removed)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_SERVICE_REMOVED,
				      .before = i,
				      .after = CONFIG_DIFF_NONE,
				  });
		else if (order > 0 && !removed)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_SERVICE_ADDED,
				      .before = CONFIG_DIFF_NONE,
				      .after = j,
				  });
		else if (order == 0 && !removed)
			compare_service(diff, i, j);
		i += order <= 0;
		j += order >= 0;
	}
}

/* --- gateways --------------------------------------------------------------------------------- */

static void
compare_gateway(struct config_diff *diff, uint32_t before, uint32_t after)
{
	const struct config_gateway *a = &diff->before->gateways[before];
	const struct config_gateway *b = &diff->after->gateways[after];
	struct config_diff_entry entry = {
		.kind = CONFIG_DIFF_GATEWAY_CHANGED,
		.before = before,
		.after = after,
		.parts = compare_credentials(diff, a->credentials, b->credentials),
	};

	entry.settings =
	    compare_settings(SETTING_SECTION_GATEWAY, &a->settings, &b->settings, &entry.restart);
	if (entry.parts != 0 || entry.settings != 0)
		add(diff, entry);
}

/* As service_order. */
static int
gateway_order(const struct config_diff *diff, uint32_t before, uint32_t after)
{
	if (after == diff->after->gateway_count)
		return -1;
	if (before == diff->before->gateway_count)
		return 1;
	return strcmp(diff->before->gateways[before].name, diff->after->gateways[after].name);
}

/* As walk_services. */
static void
walk_gateways(struct config_diff *diff, bool removed)
{
	uint32_t i = 0, j = 0;

	while (i < diff->before->gateway_count || j < diff->after->gateway_count) {
		int order = gateway_order(diff, i, j);

		if (order < 0 && removed)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_GATEWAY_REMOVED,
				      .before = i,
				      .after = CONFIG_DIFF_NONE,
				  });
		else if (order > 0 && !removed)
			add(diff, (struct config_diff_entry){
				      .kind = CONFIG_DIFF_GATEWAY_ADDED,
				      .before = CONFIG_DIFF_NONE,
				      .after = j,
				  });
		else if (order == 0 && !removed)
			compare_gateway(diff, i, j);
		i += order <= 0;
		j += order >= 0;
	}
}

static void
compare_all(struct config_diff *diff, const struct pairs *pairs)
{
	const struct config *before = diff->before, *after = diff->after;

	compare_section(diff, SETTING_SECTION_RELAY, CONFIG_DIFF_RELAY, &before->relay,
			&after->relay);
	compare_section(diff, SETTING_SECTION_CONTROL, CONFIG_DIFF_RELAY, &before->relay,
			&after->relay);
	compare_section(diff, SETTING_SECTION_EXPORTER, CONFIG_DIFF_RELAY, &before->relay,
			&after->relay);
	compare_section(diff, SETTING_SECTION_DATAGRAM, CONFIG_DIFF_RELAY, &before->relay,
			&after->relay);
	compare_section(diff, SETTING_SECTION_WEBPAGER, CONFIG_DIFF_RELAY, &before->relay,
			&after->relay);
	compare_section(diff, SETTING_SECTION_HOST, CONFIG_DIFF_DEFAULT, &before->defaults_section,
			&after->defaults_section);
	compare_variable(diff, LONCAPA_DAEMONS, true, before->daemons_dir, after->daemons_dir);
	compare_variable(diff, LONCAPA_DOC_ROOT, false, before->doc_root, after->doc_root);
	compare_hosts(diff, pairs);
	walk_services(diff, true);
	walk_services(diff, false);
	walk_gateways(diff, true);
	walk_gateways(diff, false);
}

bool
config_diff_make(struct config_diff *diff, const struct config *before, const struct config *after)
{
	struct pairs pairs;
	/* Each setting of each section once, each variable once, the others once or twice. */
	size_t room = SETTING_COUNT + LONCAPA_VAR_COUNT + before->host_count + after->host_count +
		      before->service_count + after->service_count + before->gateway_count +
		      after->gateway_count;

	assert(before->host_count <= CONFIG_HOSTS_MAX);
	assert(after->host_count <= CONFIG_HOSTS_MAX);
	*diff = (struct config_diff){ .before = before, .after = after };
	diff->entries = calloc(room, sizeof *diff->entries);
	bool good = pair_hosts(&pairs, before, after) && diff->entries != NULL;
	if (good)
		compare_all(diff, &pairs);
	else
		config_diff_free(diff);
	free(pairs.of_before);
	free(pairs.of_after);
	return good;
}

void
config_diff_free(struct config_diff *diff)
{
	free(diff->entries);
	*diff = (struct config_diff){ .entries = NULL };
}

bool
config_diff_is_empty(const struct config_diff *diff)
{
	return diff->count == diff->counts[CONFIG_DIFF_UNCHANGED];
}
