/*
 * keeper_definitions.h - the keeper's own reading of the services in relay.conf and the options.
 *
 * Control names a service and says, by a digest, what it takes it for.  The keeper does what its
 * own definition says, and nothing if there is none with that digest: so whoever speaks for control
 * can start nothing that was not configured.
 *
 *   in force  what control has asked for last, one for each name: it stays as it is, whatever
 *             becomes of the file, until control names another one or wants the service no more
 *   read      what the file said when it was read last; read again when neither has the digest
 */
#ifndef RELAY_KEEPER_DEFINITIONS_H
#define RELAY_KEEPER_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "relay/config.h"

enum {
	/* A file that has not changed is not read again within: users may have changed. */
	KEEPER_DEFINITIONS_READ_MS = 1000,
};

struct keeper_definition {
	bool named; /* since the sync began */
	struct config_service service;
};

struct keeper_definitions {
	const struct relay_settings *settings; /* of the start: those in force */
	const struct config_source *source;
	struct keeper_definition in_force[CONFIG_SERVICES_MAX]; /* without a name: free */
	struct config_service *read; /* those that came in force are taken out: no name */
	size_t read_count;
	uint64_t read_at; /* ms */
	struct stat file; /* as it was then */
	uint32_t reads;
};

/* Reads nothing yet.  Both must outlive it. */
void keeper_definitions_init(struct keeper_definitions *definitions,
			     const struct relay_settings *settings,
			     const struct config_source *source);
void keeper_definitions_fini(struct keeper_definitions *definitions);

/* The definition with that name and digest, good until the next call; NULL = there is none. */
const struct config_service *keeper_definitions_find(struct keeper_definitions *definitions,
						     const char *name, uint64_t digest,
						     uint64_t now);

/* That of this name is in force no more. */
void keeper_definitions_forget(struct keeper_definitions *definitions, const char *name);

/* Those that are not found between the two are in force no more. */
void keeper_definitions_mark(struct keeper_definitions *definitions);
void keeper_definitions_sweep(struct keeper_definitions *definitions);

#endif
