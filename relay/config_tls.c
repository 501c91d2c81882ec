/*
 * config_tls.c - makes the gateways of a configuration, and refuses by name what of the secure side
 * could never work.
 *
 * Binds, connects and resolves nothing; the files are config_credentials.c's.  Owns nothing: all
 * goes to the caller's struct config.
 */
#include "relay/config_tls.h"

#include "relay/config_credentials.h"
#include "relay/listen_address.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hosts that are refused one by one before the rest is left unsaid. */
#define REFUSALS_MAX 8

struct gateways {
	struct config *config;
	const struct relay_conf *conf;
	struct report *report;
	bool refused;
};

/* The section with the number `index` of relay.conf is being looked at. */
struct subject {
	struct gateways *all;
	size_t index;
	struct config_gateway *gateway;
};

__attribute__((format(printf, 2, 3))) static void
refuse(const struct subject *subject, const char *format, ...)
{
	struct gateways *all = subject->all;
	char text[REPORT_TEXT_MAX];
	va_list args;

	int n = snprintf(text, sizeof text,
			 "gateway \"%.80s\": ", relay_conf_gateway_name(all->conf, subject->index));
	va_start(args, format);
	vsnprintf(text + n, sizeof text - (size_t)n, format, args);
	va_end(args);
	relay_conf_say(all->conf, all->conf->gateways[subject->index], REPORT_FATAL, text,
		       all->report);
	all->refused = true;
}

/* --- gateways --------------------------------------------------------------------------------- */

static bool
is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "._-");

	return len > 0 && len <= CONFIG_GATEWAY_NAME_MAX && name[len] == '\0';
}

static in_port_t
port_of(const struct listen_address *address)
{
	if (address->any.sa_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)&address->storage)->sin6_port;
	return ((const struct sockaddr_in *)(const void *)&address->storage)->sin_port;
}

/* Whether a gateway that was added before, or an earlier address of this one, has it. */
static bool
is_taken(const struct subject *subject, size_t place)
{
	const struct config *config = subject->all->config;
	char *const *list = subject->gateway->settings.listen;

	for (size_t i = 0; i < place; i++)
		if (strcmp(list[i], list[place]) == 0)
			return true;
	for (size_t i = 0; i < config->gateway_count; i++)
		for (char **other = config->gateways[i].settings.listen; *other != NULL; other++)
			if (strcmp(*other, list[place]) == 0)
				return true;
	return false;
}

static void
check_listen(const struct subject *subject)
{
	char *const *list = subject->gateway->settings.listen;
	struct listen_address address;

	if (list == NULL)
		refuse(subject, "listen is not set");
	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		if (!listen_address_parse(list[i], &address) || address.any.sa_family == AF_UNIX ||
		    port_of(&address) == 0)
			refuse(subject, "listen: \"%s\" is not ADDRESS:PORT or [IPv6]:PORT",
			       list[i]);
		else if (is_taken(subject, i))
			refuse(subject, "listen: \"%s\" is there twice", list[i]);
	}
}

/* NAME:PORT or [IPv6]:PORT taken apart.  False: it is neither. */
static bool
split_connect(const char *text, char **name, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	unsigned long number = 0;
	char *end = NULL;

	if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
		return false;
	number = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || number == 0 || number > UINT16_MAX)
		return false;
	size_t len = (size_t)(colon - text);
	bool brackets = text[0] == '[' && text[len - 1] == ']' && len > 2;
	/* Two colons without brackets are a literal whose end nobody knows. */
	if (!brackets && memchr(text, ':', len) != NULL)
		return false;
	*port = (uint16_t)number;
	*name = brackets ? strndup(text + 1, len - 2) : strndup(text, len);
	return *name != NULL && strpbrk(*name, " \t[]/") == NULL;
}

static void
check_allow(const struct subject *subject)
{
	char *const *list = subject->gateway->settings.allow;

	if (list == NULL)
		refuse(subject, "allow is not set: nobody could come in");
	for (; list != NULL && *list != NULL; list++) {
		size_t len = strlen(*list);

		if (len == 0 || len >= HOST_TLS_NAME_SIZE || strpbrk(*list, " \t/@") != NULL)
			refuse(subject,
			       "allow: \"%.80s\" is no name that a certificate has: a DNS name or "
			       "an address",
			       *list);
	}
}

static void
check_gateway(const struct subject *subject)
{
	struct config_gateway *gateway = subject->gateway;
	const struct gateway_settings *set = &gateway->settings;

	if (!is_name(gateway->name))
		refuse(subject, "a name has letters, digits, '.', '_' and '-', %d at most",
		       CONFIG_GATEWAY_NAME_MAX);
	check_listen(subject);
	if (set->connect == NULL)
		refuse(subject, "connect is not set");
	else if (!split_connect(set->connect, &gateway->connect_name, &gateway->connect_port))
		refuse(subject, "connect: \"%.80s\" is not ADDRESS:PORT, [IPv6]:PORT or NAME:PORT",
		       set->connect);
	check_allow(subject);
	if (set->ca == NULL || set->cert == NULL || set->key == NULL)
		refuse(subject, "ca, cert and key are needed");
}

static int
by_name(const void *left, const void *right)
{
	return strcmp(((const struct config_gateway *)left)->name,
		      ((const struct config_gateway *)right)->name);
}

static bool
add_gateways(struct gateways *all)
{
	struct config *config = all->config;
	size_t count = all->conf->gateway_count;

	if (count == 0)
		return true;
	if (count > CONFIG_GATEWAYS_MAX) {
		report_add(all->report, REPORT_FATAL, all->conf->path, 0,
			   "%zu gateways are too many: %d at most", count, CONFIG_GATEWAYS_MAX);
		all->refused = true;
		return true;
	}
	config->gateways = calloc(count, sizeof *config->gateways);
	if (config->gateways == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct config_gateway *gateway = &config->gateways[i];
		struct subject subject = { .all = all, .index = i, .gateway = gateway };

		settings_init(SETTING_SECTION_GATEWAY, &gateway->settings);
		gateway->credentials = CONFIG_CREDENTIALS_NONE;
		gateway->name = strdup(relay_conf_gateway_name(all->conf, i));
		if (gateway->name == NULL ||
		    !relay_conf_apply_gateway(all->conf, i, &gateway->settings)) {
			free(gateway->name);
			settings_fini(SETTING_SECTION_GATEWAY, &gateway->settings);
			return false;
		}
		check_gateway(&subject);
		config->gateway_count++;
	}
	qsort(config->gateways, config->gateway_count, sizeof *config->gateways, by_name);
	return true;
}

/* --- hosts ------------------------------------------------------------------------------------ */

/* Where a host's settings are from: its own section, or `defaults`. */
static struct conf_origin
origin_of(const struct relay_conf *conf, const struct config_host *host)
{
	for (size_t i = 0; i < conf->host_count; i++)
		if (strcmp(relay_conf_host_id(conf, i), host->id) == 0)
			return conf->hosts[i];
	return conf->defaults;
}

static void
check_hosts(struct gateways *all)
{
	struct config *config = all->config;
	size_t refusals = 0;
	char text[256];

	for (size_t i = 0; i < config->host_count && refusals < REFUSALS_MAX; i++) {
		const struct config_host *host = &config->hosts[i];
		const struct host_section *set = &host->section;

		if (set->settings.tls == HOST_TLS_OFF ||
		    (set->ca != NULL && set->cert != NULL && set->key != NULL))
			continue;
		snprintf(text, sizeof text, "host \"%.120s\": tls = require needs ca, cert and key",
			 host->id);
		relay_conf_say(all->conf, origin_of(all->conf, host), REPORT_FATAL, text,
			       all->report);
		all->refused = true;
		refusals++;
	}
}

/* --- all -------------------------------------------------------------------------------------- */

static bool
no_memory(struct gateways *all)
{
	report_add(all->report, REPORT_FATAL, NULL, 0, "out of memory");
	return false;
}

bool
config_tls_load(struct config *config, const struct relay_conf *conf, bool serving,
		struct report *report)
{
	struct gateways all = { .config = config, .conf = conf, .report = report };

	if (!add_gateways(&all))
		return no_memory(&all);
	check_hosts(&all);
	/* Files of what was refused are not looked for. */
	return !all.refused && config_credentials_load(config, serving, report);
}

void
config_tls_drop(struct config *config)
{
	for (size_t i = 0; i < config->gateway_count; i++) {
		free(config->gateways[i].name);
		free(config->gateways[i].connect_name);
		settings_fini(SETTING_SECTION_GATEWAY, &config->gateways[i].settings);
	}
	free(config->gateways);
	config->gateways = NULL;
	config->gateway_count = 0;
	config_credentials_drop(config);
}
