/*
 * keeper_definitions.c - see keeper_definitions.h.
 *
 * How often the file is read is bounded by how often it changes: a control process that names what
 * is not there costs one reading a second.  Owns the definitions.
 */
#include "relay/keeper_definitions.h"

#include <stdlib.h>
#include <string.h>

#include "relay/config_services.h"
#include "relay/log.h"
#include "relay/service_definition.h"

/* --- reading ---------------------------------------------------------------------------------- */

static void
drop_read(struct keeper_definitions *definitions)
{
	for (size_t i = 0; i < definitions->read_count; i++)
		config_service_fini(&definitions->read[i]);
	free(definitions->read);
	definitions->read = NULL;
	definitions->read_count = 0;
}

/* Zeroed if there is no file: then it is the options alone that count. */
static struct stat
look_at_file(const struct keeper_definitions *definitions)
{
	const char *path = definitions->source->conf_file;
	struct stat st = { 0 };

	if (path != NULL && stat(path, &st) != 0)
		st = (struct stat){ 0 };
	return st;
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Control tells the operator what is wrong with the file; this is for the log. */
static void
log_refusal(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct report_entry *entry = &report->entries[i];

		if (entry->severity != REPORT_FATAL)
			continue;
		log_error(NULL, "services are not read anew: %s:%u: %s",
			  entry->file != NULL ? entry->file : "configuration", entry->line,
			  entry->text);
		return;
	}
}

/* False: it is not time for that, or what is there now cannot be used: all stays as it was. */
static bool
read_again(struct keeper_definitions *definitions, uint64_t now)
{
	struct config fresh = { .relay = *definitions->settings };
	struct report report = { .count = 0 };
	struct stat file = look_at_file(definitions);

	if (definitions->reads > 0 && is_same_file(&file, &definitions->file) &&
	    now - definitions->read_at < KEEPER_DEFINITIONS_READ_MS)
		return false;
	/* Noted before it is read: what changes meanwhile shows the next time. */
	definitions->file = file;
	definitions->read_at = now;
	definitions->reads++;
	bool good = config_services_read(&fresh, definitions->source, &report);
	if (good) {
		drop_read(definitions);
		definitions->read = fresh.services;
		definitions->read_count = fresh.service_count;
	} else {
		log_refusal(&report);
		config_services_drop(&fresh);
	}
	report_fini(&report);
	return good;
}

/* --- finding ---------------------------------------------------------------------------------- */

static bool
has_name(const struct config_service *service, const char *name)
{
	return service->name != NULL && strcmp(service->name, name) == 0;
}

/* Its place in force, or a free one; NULL = none is left. */
static struct keeper_definition *
find_place(struct keeper_definitions *definitions, const char *name)
{
	struct keeper_definition *place = NULL;

	for (size_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct keeper_definition *definition = &definitions->in_force[i];

		if (has_name(&definition->service, name))
			return definition;
		if (definition->service.name == NULL && place == NULL)
			place = definition;
	}
	return place;
}

static bool
is_meant(const struct config_service *service, const char *name, uint64_t digest)
{
	return has_name(service, name) && service_definition_digest(service) == digest;
}

static struct config_service *
find_read(struct keeper_definitions *definitions, const char *name, uint64_t digest)
{
	for (size_t i = 0; i < definitions->read_count; i++) {
		if (is_meant(&definitions->read[i], name, digest))
			return &definitions->read[i];
	}
	return NULL;
}

const struct config_service *
keeper_definitions_find(struct keeper_definitions *definitions, const char *name, uint64_t digest,
			uint64_t now)
{
	struct keeper_definition *place = find_place(definitions, name);

	if (place != NULL && is_meant(&place->service, name, digest)) {
		place->named = true;
		return &place->service;
	}
	struct config_service *found = find_read(definitions, name, digest);
	if (found == NULL && read_again(definitions, now))
		found = find_read(definitions, name, digest);
	if (found == NULL || place == NULL)
		return found;
	config_service_fini(&place->service);
	*place = (struct keeper_definition){ .named = true, .service = *found };
	*found = (struct config_service){ .name = NULL };
	return &place->service;
}

void
keeper_definitions_forget(struct keeper_definitions *definitions, const char *name)
{
	struct keeper_definition *place = find_place(definitions, name);

	if (place != NULL && place->service.name != NULL)
		config_service_fini(&place->service);
}

void
keeper_definitions_mark(struct keeper_definitions *definitions)
{
	for (size_t i = 0; i < CONFIG_SERVICES_MAX; i++)
		definitions->in_force[i].named = false;
}

void
keeper_definitions_sweep(struct keeper_definitions *definitions)
{
	for (size_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct keeper_definition *definition = &definitions->in_force[i];

		if (!definition->named && definition->service.name != NULL)
			config_service_fini(&definition->service);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

void
keeper_definitions_init(struct keeper_definitions *definitions,
			const struct relay_settings *settings, const struct config_source *source)
{
	*definitions = (struct keeper_definitions){ .settings = settings, .source = source };
}

void
keeper_definitions_fini(struct keeper_definitions *definitions)
{
	keeper_definitions_mark(definitions);
	keeper_definitions_sweep(definitions);
	drop_read(definitions);
}
