/*
 * relay_conf_apply.c - values of the tree of relay.conf, stored into the structures of settings.
 *
 * Never decides what a missing value means: then the structure keeps what it has.
 */
#include "relay/relay_conf_internal.h"

#include <assert.h>

#include "relay/setting_list.h"

/* Stores the value of a section's key, if it has one; it was checked when it came into the tree. */
static bool
apply_value(cfg_t *section, const struct setting *setting, void *structure)
{
	char *items[SETTINGS_LIST_MAX + 1];
	struct setting_value value = { .list = items };
	char why[512];

	if (setting_is_list(setting))
		return !relay_conf_list(section, setting, items) ||
		       setting_store(setting, structure, value);
	const char *text = cfg_getstr(section, setting->key);
	if (text == NULL)
		return true;
	bool good = setting_parse(setting, text, &value, why, sizeof why);
	assert(good);
	(void)good;
	return setting_store(setting, structure, value);
}

static bool
apply_section(cfg_t *section, enum setting_section kind, void *structure)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings_table[i].section == kind &&
		    !apply_value(section, &settings_table[i], structure))
			return false;
	return true;
}

bool
relay_conf_apply_relay(const struct relay_conf *conf, struct relay_settings *relay)
{
	static const char *const names[] = { SECTION_RELAY, SECTION_CONTROL, SECTION_EXPORTER,
					     SECTION_DATAGRAM, SECTION_WEBPAGER };
	enum setting_section section;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		bool known = relay_conf_section(names[i], &section);

		assert(known);
		(void)known;
		if (!apply_section(cfg_getsec(conf->tree, names[i]), section, relay))
			return false;
	}
	return true;
}

bool
relay_conf_apply_defaults(const struct relay_conf *conf, struct host_section *host)
{
	return apply_section(cfg_getsec(conf->tree, SECTION_DEFAULTS), SETTING_SECTION_HOST, host);
}

bool
relay_conf_apply_host(const struct relay_conf *conf, size_t index, struct host_section *host)
{
	return apply_section(cfg_getnsec(conf->tree, SECTION_HOST, (unsigned)index),
			     SETTING_SECTION_HOST, host);
}

const char *
relay_conf_host_id(const struct relay_conf *conf, size_t index)
{
	return cfg_title(cfg_getnsec(conf->tree, SECTION_HOST, (unsigned)index));
}

bool
relay_conf_apply_service(const struct relay_conf *conf, size_t index,
			 struct service_settings *service)
{
	return apply_section(cfg_getnsec(conf->tree, SECTION_SERVICE, (unsigned)index),
			     SETTING_SECTION_SERVICE, service);
}

const char *
relay_conf_service_name(const struct relay_conf *conf, size_t index)
{
	return cfg_title(cfg_getnsec(conf->tree, SECTION_SERVICE, (unsigned)index));
}

bool
relay_conf_apply_gateway(const struct relay_conf *conf, size_t index,
			 struct gateway_settings *gateway)
{
	return apply_section(cfg_getnsec(conf->tree, SECTION_GATEWAY, (unsigned)index),
			     SETTING_SECTION_GATEWAY, gateway);
}

const char *
relay_conf_gateway_name(const struct relay_conf *conf, size_t index)
{
	return cfg_title(cfg_getnsec(conf->tree, SECTION_GATEWAY, (unsigned)index));
}
