/*
 * config_print.c - shows a configuration as the relay.conf that would produce it.
 *
 * Never reads anything.  Owns nothing.
 */
#include "relay/config.h"

#include <string.h>

static void
print_setting(FILE *out, const struct setting *setting, const void *structure)
{
	char text[SETTINGS_VALUE_TEXT_MAX];
	struct setting_value value = setting_load(setting, structure);

	setting_format(setting, value, text, sizeof text);
	if (text[0] == '\0')
		fprintf(out, "\t# %s is not set\n", setting->key);
	else
		fprintf(out, "\t%s = %s\n", setting->key, text);
}

static void
print_section(FILE *out, const char *name, enum setting_section section, const void *structure)
{
	fprintf(out, "%s {\n", name);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings_table[i].section == section)
			print_setting(out, &settings_table[i], structure);
	fprintf(out, "}\n\n");
}

/* A host's id, a service's name in quotes; what would end the quotes early is marked. */
static void
print_title(FILE *out, const char *title)
{
	putc('"', out);
	for (; *title != '\0'; title++) {
		unsigned char c = (unsigned char)*title;

		if (c < ' ' || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fprintf(out, "%s%c", strchr("\"\\$", c) != NULL ? "\\" : "", c);
	}
	putc('"', out);
}

/* Bytes of hosts.tab inside of a comment. */
static void
print_comment(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		putc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static bool
is_own(const struct setting *setting, const struct config *config, const struct config_host *host)
{
	return setting->section == SETTING_SECTION_HOST &&
	       !setting_equal(setting, setting_load(setting, &host->section),
			      setting_load(setting, &config->defaults_section));
}

static void
print_host(FILE *out, const struct config *config, const struct config_host *host)
{
	bool ipv6 = strchr(host->address, ':') != NULL;

	fprintf(out, "# line %u: %s%s%s port %u, ", host->line, ipv6 ? "[" : "", host->address,
		ipv6 ? "]" : "", host->port);
	print_comment(out, host->name);
	fprintf(out, ", ");
	print_comment(out, host->role);
	fprintf(out, " of ");
	print_comment(out, host->domain);
	fprintf(out, "\nhost ");
	print_title(out, host->id);
	fprintf(out, " {\n");
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (is_own(&settings_table[i], config, host))
			print_setting(out, &settings_table[i], &host->section);
	fprintf(out, "}\n");
}

static void
print_service(FILE *out, const struct config_service *service)
{
	fprintf(out, "# called at ");
	print_comment(out, service->path);
	fprintf(out, "\nservice ");
	print_title(out, service->name);
	fprintf(out, " {\n");
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings_table[i].section == SETTING_SECTION_SERVICE)
			print_setting(out, &settings_table[i], &service->settings);
	fprintf(out, "}\n\n");
}

static void
print_gateway(FILE *out, const struct config_gateway *gateway)
{
	fprintf(out, "gateway ");
	print_title(out, gateway->name);
	fprintf(out, " {\n");
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings_table[i].section == SETTING_SECTION_GATEWAY)
			print_setting(out, &settings_table[i], &gateway->settings);
	fprintf(out, "}\n\n");
}

void
config_print(FILE *out, const struct config *config)
{
	print_section(out, "relay", SETTING_SECTION_RELAY, &config->relay);
	print_section(out, "control", SETTING_SECTION_CONTROL, &config->relay);
	print_section(out, "exporter", SETTING_SECTION_EXPORTER, &config->relay);
	print_section(out, "datagram", SETTING_SECTION_DATAGRAM, &config->relay);
	print_section(out, "webpager", SETTING_SECTION_WEBPAGER, &config->relay);
	print_section(out, "defaults", SETTING_SECTION_HOST, &config->defaults_section);
	for (size_t i = 0; i < config->service_count; i++)
		print_service(out, &config->services[i]);
	for (size_t i = 0; i < config->gateway_count; i++)
		print_gateway(out, &config->gateways[i]);
	fprintf(out, "# %zu host%s\n", config->host_count, config->host_count == 1 ? "" : "s");
	if (config->hosts_path != NULL) {
		fprintf(out, "# of ");
		print_comment(out, config->hosts_path);
		fprintf(out, config->accepted.applied ? " (applied)\n" : "\n");
	}
	for (size_t i = 0; i < config->host_count; i++)
		print_host(out, config, &config->hosts[i]);
}
