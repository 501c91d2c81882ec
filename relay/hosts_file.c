/*
 * hosts_file.c - takes hosts.tab apart, leaves out what cannot work and lets the last of several
 * entries win.
 *
 * Never opens a file and never resolves a name.  Owns nothing: the hosts belong to struct config.
 */
#include "relay/hosts_file.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "wire/hosts_tab.h"

/* A DNS name has at most 253 characters, an IPv6 literal with its zone fewer. */
#define ADDRESS_MAX 255

struct reader {
	struct config *config;
	struct report *report;
	const char *path;
	size_t room; /* entries that config->hosts can take */
	unsigned line;
};

static void
complain(struct reader *reader, enum report_severity severity, const char *text)
{
	report_add(reader->report, severity, reader->path, reader->line, "%s", text);
}

/* Cuts a host short for a message. */
static int
shown(struct wire_span s)
{
	return s.len > 120 ? 120 : (int)s.len;
}

void
hosts_file_free_host(struct config_host *host)
{
	free(host->id);
	free(host->domain);
	free(host->role);
	free(host->name);
	free(host->address);
	settings_fini(SETTING_SECTION_HOST, &host->section);
	*host = (struct config_host){ .id = NULL };
}

/* What stood in the address field of a line without a usable address was an empty pair of brackets.
 */
static bool
has_empty_brackets(struct wire_span line)
{
	static const char brackets[] = ":[]";
	const uint8_t *at = line.data;
	const uint8_t *end = line.data + line.len;

	for (unsigned field = 1; field < 5; field++) {
		at = memchr(at, ':', (size_t)(end - at));
		if (at == NULL)
			return false;
		at++;
	}
	/* The colon before the field is there to be compared as well. */
	return wire_span_starts(wire_span(at - 1, (size_t)(end - at) + 1), wire_span_str(brackets));
}

/* A line that the original took no notice of. */
static void
on_ignored(struct reader *reader, struct wire_span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (strchr(" \t\r\n", line.data[i]) == NULL) {
			if (has_empty_brackets(line))
				complain(reader, REPORT_ERROR, "host left out: empty brackets");
			else
				complain(reader, REPORT_WARNING,
					 "ignored: not id:domain:role:name:address");
			return;
		}
	}
}

static bool
is_ipv6(const char *address)
{
	char literal[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	size_t len = strcspn(address, "%"); /* fe80::1%eth0 */

	if (len >= sizeof literal)
		return false;
	memcpy(literal, address, len);
	literal[len] = '\0';
	return inet_pton(AF_INET6, literal, &parsed) == 1;
}

/* NULL, or why no resolver will ever take the address. */
static const char *
address_fault(const char *address)
{
	if (strlen(address) > ADDRESS_MAX)
		return "an address over 255 bytes";
	for (const char *at = address; *at != '\0'; at++) {
		if (*at <= ' ' || *at >= 0x7f)
			return "a blank or a character that is not ASCII in the address";
		if (strchr("[]/\"\\", *at) != NULL)
			return "a bracket, slash or quote in the address";
	}
	if (strchr(address, ':') != NULL && !is_ipv6(address))
		return "what is in brackets is not an IPv6 address";
	return NULL;
}

static char *
copy(struct wire_span s)
{
	return s.len > 0 ? strndup((const char *)s.data, s.len) : strdup("");
}

static bool
copy_entry(struct config_host *host, const struct hosts_tab_entry *entry, unsigned line)
{
	*host = (struct config_host){
		.id = copy(entry->id),
		.domain = copy(entry->domain),
		.role = copy(entry->role),
		.name = copy(entry->name),
		.address = copy(entry->address),
		.line = line,
		.credentials = CONFIG_CREDENTIALS_NONE,
	};
	if (host->id != NULL && host->domain != NULL && host->role != NULL && host->name != NULL &&
	    host->address != NULL)
		return true;
	hosts_file_free_host(host);
	return false;
}

static bool
make_room(struct reader *reader)
{
	struct config *config = reader->config;

	if (config->host_count < reader->room)
		return true;
	size_t more = reader->room == 0 ? 16 : reader->room * 2;
	struct config_host *hosts = realloc(config->hosts, more * sizeof *hosts);
	if (hosts == NULL)
		return false;
	config->hosts = hosts;
	reader->room = more;
	return true;
}

/* False: no room or no memory, which ends the reading. */
static bool
on_host(struct reader *reader, const struct hosts_tab_entry *entry)
{
	struct config *config = reader->config;
	struct config_host host;
	size_t dir_len = strlen(config->relay.socket_dir);

	if (hosts_tab_check_id(entry->id, dir_len) != WIRE_OK) {
		report_add(reader->report, REPORT_ERROR, reader->path, reader->line,
			   "host left out: its socket %s/%.*s would have a path of %zu bytes, "
			   "%d are possible",
			   config->relay.socket_dir, shown(entry->id), (const char *)entry->id.data,
			   dir_len + 1 + entry->id.len, HOSTS_TAB_PATH_MAX);
		return true;
	}
	if (config->host_count == CONFIG_HOSTS_MAX) {
		report_add(reader->report, REPORT_FATAL, reader->path, reader->line,
			   "more than %d hosts", CONFIG_HOSTS_MAX);
		return false;
	}
	if (!make_room(reader) || !copy_entry(&host, entry, reader->line)) {
		complain(reader, REPORT_FATAL, "out of memory");
		return false;
	}
	const char *fault = address_fault(host.address);
	if (fault != NULL) {
		report_add(reader->report, REPORT_ERROR, reader->path, reader->line,
			   "host %.120s left out: %s", host.id, fault);
		hosts_file_free_host(&host);
		return true;
	}
	if (host.id[0] == '#')
		report_add(reader->report, REPORT_WARNING, reader->path, reader->line,
			   "'#' begins no comment here: this is a host called %.120s", host.id);
	config->hosts[config->host_count++] = host;
	return true;
}

/* One line; false at the end of the file or when nothing more is to be read. */
static bool
take_line(struct reader *reader, const uint8_t **at, const uint8_t *end)
{
	struct hosts_tab_entry entry;
	const uint8_t *start = *at;
	enum wire_status status = hosts_tab_next(&entry, at, end);

	switch (status) {
	case WIRE_OK:
		return on_host(reader, &entry);
	case WIRE_MORE:
		return false;
	case WIRE_SKIP:
		on_ignored(reader, wire_span(start, (size_t)(*at - start)));
		break;
	case WIRE_BAD_ID:
		report_add(reader->report, REPORT_ERROR, reader->path, reader->line,
			   "host left out: \"%.*s\" cannot be the name of a socket",
			   shown(entry.id), (const char *)entry.id.data);
		break;
	case WIRE_BAD_FORM:
		complain(reader, REPORT_ERROR, "host left out: malformed brackets in the address");
		break;
	case WIRE_BAD_LONG:
	case WIRE_BAD_ORDER:
	case WIRE_BAD_REFUSED:
		report_add(reader->report, REPORT_FATAL, reader->path, reader->line,
			   "a line over %d bytes", HOSTS_TAB_LINE_MAX);
		return false;
	}
	return true;
}

static int
by_id_then_line(const void *left, const void *right)
{
	const struct config_host *a = *(struct config_host *const *)left;
	const struct config_host *b = *(struct config_host *const *)right;
	int order = strcmp(a->id, b->id);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* Frees the hosts that a later line replaces and closes the gaps. */
static bool
drop_replaced(struct reader *reader)
{
	struct config *config = reader->config;
	size_t count = config->host_count;
	size_t kept = 0;

	if (count < 2)
		return true;
	struct config_host **sorted = malloc(count * sizeof(struct config_host *));
	if (sorted == NULL) {
		report_add(reader->report, REPORT_FATAL, reader->path, 0, "out of memory");
		return false;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = &config->hosts[i];
	qsort(sorted, count, sizeof(struct config_host *), by_id_then_line);
	for (size_t i = 0; i + 1 < count; i++) {
		if (strcmp(sorted[i]->id, sorted[i + 1]->id) != 0)
			continue;
		report_add(reader->report, REPORT_WARNING, reader->path, sorted[i + 1]->line,
			   "host %.120s: replaces that of line %u", sorted[i]->id, sorted[i]->line);
		hosts_file_free_host(sorted[i]);
	}
	free(sorted);
	for (size_t i = 0; i < count; i++)
		if (config->hosts[i].id != NULL)
			config->hosts[kept++] = config->hosts[i];
	config->host_count = kept;
	return true;
}

bool
hosts_file_parse(struct config *config, const struct text_file *file, const char *path,
		 struct report *report)
{
	struct reader reader = {
		.config = config,
		.report = report,
		.path = path,
		.line = 1,
	};
	size_t before = report->totals[REPORT_FATAL];
	const uint8_t *at = file->data;

	while (take_line(&reader, &at, file->data + file->len))
		reader.line++;
	if (report->totals[REPORT_FATAL] != before || !drop_replaced(&reader))
		return false;
	if (config->host_count == 0)
		report_add(report, REPORT_WARNING, reader.path, 0, "no usable host");
	return true;
}

void
hosts_file_drop(struct config *config)
{
	for (size_t i = 0; i < config->host_count; i++)
		hosts_file_free_host(&config->hosts[i]);
	free(config->hosts);
	config->hosts = NULL;
	config->host_count = 0;
}
