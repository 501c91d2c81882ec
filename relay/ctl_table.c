/*
 * ctl_table.c - replies as tables and lines, by what the messages say of themselves.
 *
 * A path names a field from the row's message on ("gauges.queue_length"); "p99:counters.duration"
 * is a quantile of a histogram.  Never fails on a message it does not know: that is shown field by
 * field.  Owns nothing.
 */
#include "relay/ctl_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "relay/ctl_columns.h"
#include "relay/ctl_grid.h"
#include "relay/ctl_units.h"
#include "relay/ctl_value.h"

#define PATH_MAX_LEN 64

/* --- paths */

/* The field that `path` ends at; *message becomes the message it is in, NULL if that is not set. */
static const ProtobufCFieldDescriptor *
find(const ProtobufCMessage **message, const ProtobufCMessageDescriptor *type, const char *path)
{
	for (;;) {
		char name[PATH_MAX_LEN];
		size_t len = strcspn(path, ".");
		const ProtobufCFieldDescriptor *field;

		snprintf(name, sizeof name, "%.*s", (int)len, path);
		field = protobuf_c_message_descriptor_get_field_by_name(type, name);
		if (!field || path[len] == '\0')
			return field;
		if (*message)
			*message = ctl_value_message(*message, field);
		type = field->descriptor;
		path += len + 1;
	}
}

static const char *
without_quantile(const char *path, unsigned *percent)
{
	const char *colon = strchr(path, ':');

	*percent = colon ? (unsigned)strtoul(path + 1, NULL, 10) : 0;
	return colon ? colon + 1 : path;
}

/* Of a limit the row itself says what it counts. */
static bool
put_limit(FILE *to, const ProtobufCMessage *row, const char *path)
{
	const Relay__Control__Limit *limit = (const Relay__Control__Limit *)row;
	char text[CTL_UNIT_SIZE];
	bool used = strcmp(path, "used") == 0;

	if (row->descriptor != &relay__control__limit__descriptor ||
	    strcmp(limit->unit, "bytes") != 0 || (!used && strcmp(path, "max") != 0))
		return false;
	fputs(ctl_bytes(text, used ? limit->used : limit->max), to);
	return true;
}

static void
put_path(FILE *to, const ProtobufCMessage *row, const char *path)
{
	unsigned percent;
	const ProtobufCFieldDescriptor *field =
	    find(&row, row->descriptor, without_quantile(path, &percent));
	char text[CTL_UNIT_SIZE];

	if (!field || !row || put_limit(to, row, path))
		return;
	if (percent == 0)
		ctl_value_put(to, row, field);
	else if (ctl_value_message(row, field))
		fputs(ctl_quantile(text,
				   (const Relay__Control__Histogram *)ctl_value_message(row, field),
				   NULL, percent),
		      to);
}

/* A cell that `put` writes, by a stream in memory. */
static void
add_cell(struct ctl_grid *grid, const ProtobufCMessage *row, const char *path,
	 const ProtobufCFieldDescriptor *field)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (to) {
		if (path)
			put_path(to, row, path);
		else
			ctl_value_put(to, row, field);
	}
	if (!to || fclose(to) != 0)
		grid->failed = true;
	else
		ctl_grid_add(grid, text, len);
	free(text);
}

/* --- tables */

static void
print_grid(struct ctl_grid *grid, FILE *out)
{
	if (!ctl_grid_print(grid, out))
		fputs("relayctl: out of memory\n", stderr);
}

/* What is not shown is said: nobody looks for a column that he does not know. */
static void
tell_hidden(const struct ctl_columns *table, const bool *hidden)
{
	const char *before = "relayctl: no room for ";

	for (size_t i = 0; i < CTL_GRID_COLUMNS; i++)
		if (hidden[i]) {
			fprintf(stderr, "%s%s", before, table->column[i].heading);
			before = ", ";
		}
	if (before[0] == ',')
		fputs(" (all of it: -o json)\n", stderr);
}

/* `width` of the terminal; 0 = there is none. */
static void
print_table(struct ctl_grid *grid, const struct ctl_columns *table, FILE *out, size_t width)
{
	bool hidden[CTL_GRID_COLUMNS];

	if (width > 0 && !grid->failed)
		ctl_grid_fit(grid, width);
	memcpy(hidden, grid->hidden, sizeof hidden);
	print_grid(grid, out);
	fflush(out);
	tell_hidden(table, hidden);
}

static void
print_known(FILE *out, const struct ctl_columns *table, ProtobufCMessage *const *rows, size_t n,
	    size_t width)
{
	struct ctl_grid grid;
	size_t columns = 0;

	while (columns < CTL_GRID_COLUMNS && table->column[columns].path)
		columns++;
	ctl_grid_init(&grid, columns);
	for (size_t i = 0; i < columns; i++) {
		const struct ctl_column *column = &table->column[i];
		const ProtobufCMessage *none = NULL;
		unsigned percent;
		const ProtobufCFieldDescriptor *field =
		    find(&none, table->type, without_quantile(column->path, &percent));

		grid.right[i] = field && (percent > 0 || ctl_value_is_number(field));
		grid.drop[i] = column->drop;
		ctl_grid_add(&grid, column->heading, strlen(column->heading));
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < columns; k++)
			add_cell(&grid, rows[i], table->column[k].path, NULL);
	print_table(&grid, table, out, width);
}

static void
add_heading(struct ctl_grid *grid, const char *name)
{
	char heading[PATH_MAX_LEN];
	size_t len = strlen(name);

	if (ctl_value_ends_with(name, "_us"))
		len -= 3;
	snprintf(heading, sizeof heading, "%.*s", (int)len, name);
	for (char *at = heading; *at; at++) {
		if (*at == '_')
			*at = ' ';
		else if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	}
	ctl_grid_add(grid, heading, strlen(heading));
}

/* Every field that stands in the row itself, texts in messages left out. */
static void
print_unknown(FILE *out, const ProtobufCMessageDescriptor *type, ProtobufCMessage *const *rows,
	      size_t n)
{
	const ProtobufCFieldDescriptor *fields[CTL_GRID_COLUMNS];
	struct ctl_grid grid;
	size_t columns = 0;

	for (unsigned i = 0; i < type->n_fields && columns < CTL_GRID_COLUMNS; i++)
		if (type->fields[i].type != PROTOBUF_C_TYPE_BYTES)
			fields[columns++] = &type->fields[i];
	if (columns == 0)
		return;
	ctl_grid_init(&grid, columns);
	for (size_t i = 0; i < columns; i++) {
		grid.right[i] = ctl_value_is_number(fields[i]);
		add_heading(&grid, fields[i]->name);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < columns; k++)
			add_cell(&grid, rows[i], NULL, fields[k]);
	print_grid(&grid, out);
}

static void
print_rows(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
	   size_t width)
{
	ProtobufCMessage *const *rows = ctl_value_rows(message, field);
	size_t n = ctl_value_count(message, field);
	const struct ctl_columns *table = ctl_columns_of(field->descriptor);

	if (table)
		print_known(out, table, rows, n, width);
	else
		print_unknown(out, field->descriptor, rows, n);
}

/* --- single things */

static bool
is_rows(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED &&
	       field->type == PROTOBUF_C_TYPE_MESSAGE &&
	       field->descriptor != &relay__control__reason__descriptor;
}

static void
add_name(struct ctl_grid *grid, const char *name)
{
	char text[PATH_MAX_LEN];
	size_t len = strlen(name);

	if (ctl_value_ends_with(name, "_us"))
		len -= 3;
	snprintf(text, sizeof text, "%.*s", (int)len, name);
	for (char *at = text; *at; at++)
		if (*at == '_')
			*at = ' ';
	ctl_grid_add(grid, text, strlen(text));
}

static void
add_lines(struct ctl_grid *grid, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
		    field->label != PROTOBUF_C_LABEL_REPEATED &&
		    field->descriptor != &relay__control__histogram__descriptor) {
			/* Only two levels are there, and no message holds itself. */
			if (ctl_value_message(message, field))
				add_lines(grid, ctl_value_message(message, field));
		} else if (!is_rows(field)) {
			add_name(grid, field->name);
			add_cell(grid, message, NULL, field);
		}
	}
}

/* Lines of the message's own fields, then a table for each list in it. */
static void
print_single(FILE *out, const ProtobufCMessage *message, size_t width)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	struct ctl_grid grid;

	ctl_grid_init(&grid, 2);
	add_lines(&grid, message);
	print_grid(&grid, out);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (!is_rows(field) || ctl_value_count(message, field) == 0)
			continue;
		fputc('\n', out);
		print_rows(out, message, field, width);
	}
}

/* --- replies */

static void
put_clean(FILE *out, const void *text, size_t len, bool lines)
{
	char *clean = ctl_clean(text, len, lines);

	if (clean)
		fputs(clean, out);
	free(clean);
}

/* What was done to one thing is said by its line; only a configuration has anything to count. */
static bool
is_counted(const char *verb)
{
	return strncmp(verb, "config ", 7) == 0 || strcmp(verb, "hosts apply") == 0 ||
	       strcmp(verb, "hosts diff") == 0;
}

static void
print_changes(FILE *out, const Relay__Control__Changes *changes, uint64_t generation, bool counted)
{
	for (size_t i = 0; i < changes->n_line; i++) {
		put_clean(out, changes->line[i], strlen(changes->line[i]), false);
		fputc('\n', out);
	}
	if (!counted && changes->n_line > 0)
		return;
	fprintf(out,
		"%s: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed, %" PRIu64
		" unchanged",
		changes->applied ? "applied" : "not applied", changes->added, changes->removed,
		changes->changed, changes->unchanged);
	if (generation > 0)
		fprintf(out, "; generation %" PRIu64, generation);
	fputc('\n', out);
}

static void
print_health(FILE *out, const Relay__Control__Health *health)
{
	put_clean(out, health->status, strlen(health->status), false);
	fputc('\n', out);
	for (size_t i = 0; i < health->n_reason; i++) {
		fputs("  ", out);
		put_clean(out, health->reason[i], strlen(health->reason[i]), false);
		fputc('\n', out);
	}
}

static void
print_text(FILE *out, const ProtobufCBinaryData *text, bool raw)
{
	if (raw)
		fwrite(text->data, 1, text->len, out);
	else
		put_clean(out, text->data, text->len, true);
	if (text->len == 0 || text->data[text->len - 1] != '\n')
		fputc('\n', out);
}

/* Of one host there is more to say than fits a row. */
static void
print_stats(FILE *out, const Relay__Control__Stats *stats, size_t width)
{
	if (!stats->total && stats->n_host == 1 && stats->n_worker == 0)
		print_single(out, &stats->host[0]->base, width);
	else
		print_single(out, &stats->base, width);
}

/* Lists: the only field of their message. */
static void
print_list(FILE *out, const ProtobufCMessage *message, bool detail, size_t width)
{
	const ProtobufCFieldDescriptor *field = &message->descriptor->fields[0];

	if (detail && ctl_value_count(message, field) == 1)
		print_single(out, ctl_value_rows(message, field)[0], width);
	else
		print_rows(out, message, field, width);
}

void
ctl_table_event(FILE *out, const Relay__Control__Event *event)
{
	char at[CTL_UNIT_SIZE];

	if (event->lost > 0)
		fprintf(out, "%s  lost  %" PRIu64 " events\n", ctl_moment(at, event->at),
			event->lost);
	fprintf(out, "%s  ", ctl_moment(at, event->at));
	put_clean(out, event->kind, strlen(event->kind), false);
	if (event->host[0] != '\0') {
		fputs("  ", out);
		put_clean(out, event->host, strlen(event->host), false);
	}
	fputs("  ", out);
	put_clean(out, event->text, strlen(event->text), false);
	fputc('\n', out);
}

void
ctl_table_findings(FILE *out, const Relay__Control__Reply *reply)
{
	for (size_t i = 0; i < reply->n_findings; i++) {
		const Relay__Control__Finding *finding = reply->findings[i];

		/* What the error says is not said twice. */
		if (finding->text[0] != '\0' && strstr(reply->error, finding->text))
			continue;
		put_clean(out, finding->severity, strlen(finding->severity), false);
		fputs(": ", out);
		if (finding->file[0] != '\0') {
			put_clean(out, finding->file, strlen(finding->file), false);
			if (finding->line > 0)
				fprintf(out, ":%" PRIu32, finding->line);
			fputs(": ", out);
		}
		put_clean(out, finding->text, strlen(finding->text), false);
		fputc('\n', out);
	}
}

void
ctl_table_print(FILE *out, const Relay__Control__Reply *reply, const char *verb, size_t width)
{
	bool detail = ctl_value_ends_with(verb, " show");

	switch (reply->body_case) {
	case RELAY__CONTROL__REPLY__BODY_INFO:
		print_single(out, &reply->info->base, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_STATS:
		print_stats(out, reply->stats, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_LIMITS:
		print_list(out, &reply->limits->base, false, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_HOSTS:
		print_list(out, &reply->hosts->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_LINKS:
		print_list(out, &reply->links->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_CLIENTS:
		print_list(out, &reply->clients->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_DELAYED:
		print_list(out, &reply->delayed->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_ONLINE:
		print_list(out, &reply->online->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_MESSAGES:
		print_list(out, &reply->messages->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_SERVICES:
		print_list(out, &reply->services->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_CALLS:
		print_list(out, &reply->calls->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_GATEWAYS:
		print_list(out, &reply->gateways->base, detail, width);
		return;
	case RELAY__CONTROL__REPLY__BODY_HEALTH:
		print_health(out, reply->health);
		return;
	case RELAY__CONTROL__REPLY__BODY_CHANGES:
		print_changes(out, reply->changes, reply->generation, is_counted(verb));
		return;
	case RELAY__CONTROL__REPLY__BODY_TEXT:
		print_text(out, &reply->text->text, width == 0);
		return;
	case RELAY__CONTROL__REPLY__BODY_EVENT:
		ctl_table_event(out, reply->event);
		return;
	case RELAY__CONTROL__REPLY__BODY__NOT_SET:
	case _RELAY__CONTROL__REPLY__BODY__CASE_IS_INT_SIZE:
		return;
	}
}
