/*
 * config_diff_text.c - a diff of two configurations in words, for a log line or the answer to who
 * asked for a reload.
 *
 * Never prints and never allocates: texts go into the caller's buffer.  What stands in hosts.tab is
 * shown in printable ASCII only, so that it can neither break a line nor speak to a terminal.
 */
#include "relay/config_diff.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "relay/setting_list.h"
#include "wire/wire.h"

/* Bytes of one value that are shown. */
enum {
	VALUE_MAX = 256
};

static void
put(struct wire_out *out, const char *text)
{
	wire_out_bytes(out, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void
put_format(struct wire_out *out, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	put(out, text);
}

/* NULL is shown as a word, which no value is: values that are texts stand in quotes. */
static void
put_printable(struct wire_out *out, const char *text)
{
	if (text == NULL || text[0] == '\0')
		text = "unset";
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c >= 0x7f)
			put_format(out, "\\x%02x", c);
		else
			wire_out_bytes(out, &c, 1);
	}
}

static void
put_id(struct wire_out *out, const struct config_host *host)
{
	put(out, "host \"");
	put_printable(out, host->id);
	put(out, "\"");
}

static void
put_name(struct wire_out *out, const struct config_service *service)
{
	put(out, "service \"");
	put_printable(out, service->name);
	put(out, "\"");
}

static void
put_gateway(struct wire_out *out, const struct config_gateway *gateway)
{
	put(out, "gateway \"");
	put_printable(out, gateway->name);
	put(out, "\"");
}

/* Ends the text; one that found no room ends in dots.  The room for the NUL was kept. */
static void
finish(struct wire_out *out)
{
	static const char dots[] = "...";
	size_t len = sizeof dots - 1;

	if (out->overflow && out->cap >= len) {
		if (out->len > out->cap - len)
			out->len = out->cap - len;
		memcpy(out->data + out->len, dots, len);
		out->len += len;
	}
	out->data[out->len] = '\0';
}

static void
put_values(struct wire_out *out, const struct setting *setting, const void *before,
	   const void *after)
{
	char text[VALUE_MAX];

	put(out, " ");
	setting_format(setting, setting_load(setting, before), text, sizeof text);
	put_printable(out, text);
	put(out, " -> ");
	setting_format(setting, setting_load(setting, after), text, sizeof text);
	put_printable(out, text);
}

/* "relay.port", "defaults.pipeline", "lonDaemons"; for a host its id. */
static void
put_subject(struct wire_out *out, const struct config_diff *diff,
	    const struct config_diff_entry *entry)
{
	switch (entry->kind) {
	case CONFIG_DIFF_RELAY:
		put_format(out, "%s.%s",
			   setting_section_name(settings_table[entry->setting].section),
			   settings_table[entry->setting].key);
		break;
	case CONFIG_DIFF_DEFAULT:
		put_format(out, "defaults.%s", settings_table[entry->setting].key);
		break;
	case CONFIG_DIFF_VARIABLE:
		put(out, loncapa_var_name(entry->variable));
		break;
	case CONFIG_DIFF_REMOVED:
		put_id(out, &diff->before->hosts[entry->before]);
		break;
	case CONFIG_DIFF_ADDED:
	case CONFIG_DIFF_CHANGED:
	case CONFIG_DIFF_UNCHANGED:
		put_id(out, &diff->after->hosts[entry->after]);
		break;
	case CONFIG_DIFF_SERVICE_REMOVED:
		put_name(out, &diff->before->services[entry->before]);
		break;
	case CONFIG_DIFF_SERVICE_ADDED:
	case CONFIG_DIFF_SERVICE_CHANGED:
		put_name(out, &diff->after->services[entry->after]);
		break;
	case CONFIG_DIFF_GATEWAY_REMOVED:
		put_gateway(out, &diff->before->gateways[entry->before]);
		break;
	case CONFIG_DIFF_GATEWAY_ADDED:
	case CONFIG_DIFF_GATEWAY_CHANGED:
		put_gateway(out, &diff->after->gateways[entry->after]);
		break;
	case CONFIG_DIFF_KIND_COUNT:
		break;
	}
}

static void
put_variable(struct wire_out *out, const struct config_diff *diff, enum loncapa_var variable)
{
	bool daemons = variable == LONCAPA_DAEMONS;

	put(out, " ");
	put_printable(out, daemons ? diff->before->daemons_dir : diff->before->doc_root);
	put(out, " -> ");
	put_printable(out, daemons ? diff->after->daemons_dir : diff->after->doc_root);
}

static void
put_part(struct wire_out *out, enum config_diff_part part, const struct config_host *a,
	 const struct config_host *b)
{
	const char *before = NULL, *after = NULL;

	switch (part) {
	case CONFIG_DIFF_PORT:
		put_format(out, "port %u -> %u", a->port, b->port);
		return;
	case CONFIG_DIFF_ADDRESS:
		put(out, "address ");
		before = a->address, after = b->address;
		break;
	case CONFIG_DIFF_DOMAIN:
		put(out, "domain ");
		before = a->domain, after = b->domain;
		break;
	case CONFIG_DIFF_ROLE:
		put(out, "role ");
		before = a->role, after = b->role;
		break;
	case CONFIG_DIFF_NAME:
		put(out, "name ");
		before = a->name, after = b->name;
		break;
	case CONFIG_DIFF_CREDENTIALS:
		put(out, "what is in its ca, cert or key");
		return;
	}
	put_printable(out, before);
	put(out, " -> ");
	put_printable(out, after);
}

/* Those of a host or service that differ; `between` stands before the first of them. */
static void
put_settings(struct wire_out *out, uint64_t settings, const char *between, const void *before,
	     const void *after)
{
	for (size_t i = 0; i < CONFIG_DIFF_SETTINGS_MAX; i++) {
		if ((settings >> i & 1) == 0)
			continue;
		put(out, between);
		put(out, settings_table[i].key);
		put_values(out, &settings_table[i], before, after);
		between = ", ";
	}
}

static void
put_changes(struct wire_out *out, const struct config_diff *diff,
	    const struct config_diff_entry *entry)
{
	static const enum config_diff_part parts[] = {

#define X(name, text, bit) name,
		CONFIG_DIFF_PARTS(X)
#undef X
	};
	const struct config_host *a = &diff->before->hosts[entry->before];
	const struct config_host *b = &diff->after->hosts[entry->after];
	const char *between = " changed: ";

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if ((entry->parts & parts[i]) == 0)
			continue;
		put(out, between);
		put_part(out, parts[i], a, b);
		between = ", ";
	}
	put_settings(out, entry->settings, between, &a->section, &b->section);
}

static void
put_run_as(struct wire_out *out, struct owner who)
{
	if (who.uid == OWNER_NOBODY_UID)
		put(out, "the relay's");
	else
		put_format(out, "%lu:%lu", (unsigned long)who.uid, (unsigned long)who.gid);
}

/* What does not show from the settings alone: paths of idents, numbers of users. */
static void
put_service_changes(struct wire_out *out, const struct config_diff *diff,
		    const struct config_diff_entry *entry)
{
	const struct config_service *a = &diff->before->services[entry->before];
	const struct config_service *b = &diff->after->services[entry->after];
	const char *between = " changed: ";

	if ((entry->parts & CONFIG_DIFF_PATH) != 0) {
		put(out, between);
		put(out, "path ");
		put_printable(out, a->path);
		put(out, " -> ");
		put_printable(out, b->path);
		between = ", ";
	}
	if ((entry->parts & CONFIG_DIFF_RUN_AS) != 0) {
		put(out, between);
		put(out, "user and group ");
		put_run_as(out, a->run_as);
		put(out, " -> ");
		put_run_as(out, b->run_as);
		between = ", ";
	}
	if ((entry->parts & CONFIG_DIFF_CALLERS) != 0) {
		put_format(out, "%susers who may call %" PRIu32 " -> %" PRIu32, between,
			   a->caller_count, b->caller_count);
		between = ", ";
	}
	put_settings(out, entry->settings, between, &a->settings, &b->settings);
}

static void
put_service_added(struct wire_out *out, const struct config_service *service)
{
	const char *connect = service->settings.connect;
	char command[VALUE_MAX];

	setting_list_format(service->settings.command, command, sizeof command);
	put(out, " added: path ");
	put_printable(out, service->path);
	put(out, connect != NULL ? ", connect " : ", command ");
	put_printable(out, connect != NULL ? connect : command);
}

static void
put_gateway_changes(struct wire_out *out, const struct config_diff *diff,
		    const struct config_diff_entry *entry)
{
	const char *between = " changed: ";

	if ((entry->parts & CONFIG_DIFF_CREDENTIALS) != 0) {
		put_format(out, "%swhat is in its ca, cert or key", between);
		between = ", ";
	}
	put_settings(out, entry->settings, between, &diff->before->gateways[entry->before].settings,
		     &diff->after->gateways[entry->after].settings);
}

void
config_diff_text(const struct config_diff *diff, size_t index, char *text, size_t size)
{
	const struct config_diff_entry *entry = &diff->entries[index];
	struct wire_out out = wire_out(text, size - 1);

	assert(index < diff->count);
	put_subject(&out, diff, entry);
	switch (entry->kind) {
	case CONFIG_DIFF_RELAY:
		put_values(&out, &settings_table[entry->setting], &diff->before->relay,
			   &diff->after->relay);
		break;
	case CONFIG_DIFF_DEFAULT:
		put_values(&out, &settings_table[entry->setting], &diff->before->defaults_section,
			   &diff->after->defaults_section);
		break;
	case CONFIG_DIFF_VARIABLE:
		put_variable(&out, diff, entry->variable);
		break;
	case CONFIG_DIFF_ADDED:
		put(&out, " added: address ");
		put_printable(&out, diff->after->hosts[entry->after].address);
		put_format(&out, ", port %u", diff->after->hosts[entry->after].port);
		break;
	case CONFIG_DIFF_CHANGED:
		put_changes(&out, diff, entry);
		break;
	case CONFIG_DIFF_REMOVED:
	case CONFIG_DIFF_UNCHANGED:
		put_format(&out, " %s", config_diff_kind_text(entry->kind));
		break;
	case CONFIG_DIFF_SERVICE_REMOVED:
		put(&out, " removed");
		break;
	case CONFIG_DIFF_SERVICE_ADDED:
		put_service_added(&out, &diff->after->services[entry->after]);
		break;
	case CONFIG_DIFF_SERVICE_CHANGED:
		put_service_changes(&out, diff, entry);
		break;
	case CONFIG_DIFF_GATEWAY_REMOVED:
		put(&out, " removed");
		break;
	case CONFIG_DIFF_GATEWAY_ADDED:
		put(&out, " added: connect ");
		put_printable(&out, diff->after->gateways[entry->after].settings.connect);
		break;
	case CONFIG_DIFF_GATEWAY_CHANGED:
		put_gateway_changes(&out, diff, entry);
		break;
	case CONFIG_DIFF_KIND_COUNT:
		break;
	}
	if (entry->restart)
		put(&out, " (needs a restart)");
	finish(&out);
}

static void
put_gateway_counts(struct wire_out *out, const struct config_diff *diff)
{
	size_t added = diff->counts[CONFIG_DIFF_GATEWAY_ADDED];
	size_t removed = diff->counts[CONFIG_DIFF_GATEWAY_REMOVED];
	size_t changed = diff->counts[CONFIG_DIFF_GATEWAY_CHANGED];

	if (added + removed + changed > 0)
		put_format(out, "; gateways: %zu added, %zu removed, %zu changed", added, removed,
			   changed);
}

/* Settings and variables come before all hosts and services. */
static bool
is_setting(const struct config_diff_entry *entry)
{
	return entry->kind < CONFIG_DIFF_REMOVED;
}

static void
put_service_counts(struct wire_out *out, const struct config_diff *diff)
{
	size_t added = diff->counts[CONFIG_DIFF_SERVICE_ADDED];
	size_t removed = diff->counts[CONFIG_DIFF_SERVICE_REMOVED];
	size_t changed = diff->counts[CONFIG_DIFF_SERVICE_CHANGED];

	if (added + removed + changed > 0)
		put_format(out, "; services: %zu added, %zu removed, %zu changed", added, removed,
			   changed);
}

void
config_diff_summary(const struct config_diff *diff, char *text, size_t size)
{
	struct wire_out out = wire_out(text, size - 1);
	const char *between = "; changed: ";

	put_format(&out, "hosts: %zu added, %zu removed, %zu changed, %zu unchanged",
		   diff->counts[CONFIG_DIFF_ADDED], diff->counts[CONFIG_DIFF_REMOVED],
		   diff->counts[CONFIG_DIFF_CHANGED], diff->counts[CONFIG_DIFF_UNCHANGED]);
	put_service_counts(&out, diff);
	put_gateway_counts(&out, diff);
	for (size_t i = 0; i < diff->count && is_setting(&diff->entries[i]); i++) {
		put(&out, between);
		put_subject(&out, diff, &diff->entries[i]);
		between = ", ";
	}
	finish(&out);
}

/* A host or service names the settings that are to blame. */
static void
put_restarts(struct wire_out *out, const struct config_diff *diff,
	     const struct config_diff_entry *entry)
{
	const char *between = ": ";

	put_subject(out, diff, entry);
	for (size_t i = 0; i < CONFIG_DIFF_SETTINGS_MAX; i++) {
		if ((entry->settings >> i & 1) == 0 || settings_table[i].apply != SETTING_RESTART)
			continue;
		put_format(out, "%s%s", between, settings_table[i].key);
		between = ", ";
	}
}

void
config_diff_refusal(const struct config_diff *diff, char *text, size_t size)
{
	struct wire_out out = wire_out(text, size - 1);
	const char *between = "";

	for (size_t i = 0; i < diff->count && diff->restarts > 0; i++) {
		const struct config_diff_entry *entry = &diff->entries[i];

		if (!entry->restart)
			continue;
		put(&out, between);
		if (is_setting(entry))
			put_subject(&out, diff, entry);
		else
			put_restarts(&out, diff, entry);
		between = ", ";
	}
	if (diff->restarts > 0)
		put(&out, diff->restarts == 1 ? " needs a restart" : " need a restart");
	finish(&out);
}
