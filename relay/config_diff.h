/*
 * config_diff.h - what a reload would change: two configurations compared once, for whoever
 * applies, logs or shows it.
 */
#ifndef RELAY_CONFIG_DIFF_H
#define RELAY_CONFIG_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/config.h"
#include "relay/loncapa.h"

/* Room for any text of this module that is worth reading; a longer one ends in "...". */
#define CONFIG_DIFF_TEXT_MAX 2048

/* In the order of the entries. */
#define CONFIG_DIFF_KINDS(X)                                                                     \
	X(CONFIG_DIFF_RELAY, "relay")                     /* of section relay or control */      \
	X(CONFIG_DIFF_DEFAULT, "default")                 /* a setting of `defaults` */          \
	X(CONFIG_DIFF_VARIABLE, "variable")               /* lonDaemons, lonDocRoot */           \
	X(CONFIG_DIFF_REMOVED, "removed")                 /* hosts, as they stood before */      \
	X(CONFIG_DIFF_ADDED, "added")                     /* hosts, as they stand after, */      \
	X(CONFIG_DIFF_CHANGED, "changed")                 /* these three kinds mixed: the */     \
	X(CONFIG_DIFF_UNCHANGED, "unchanged")             /* order is that of the file */        \
	X(CONFIG_DIFF_SERVICE_REMOVED, "service removed") /* by name; one that stays as it is */ \
	X(CONFIG_DIFF_SERVICE_ADDED, "service added")     /* has no entry; these two mixed, */   \
	X(CONFIG_DIFF_SERVICE_CHANGED, "service changed") /* by name */                          \
	X(CONFIG_DIFF_GATEWAY_REMOVED, "gateway removed") /* these three likewise */             \
	X(CONFIG_DIFF_GATEWAY_ADDED, "gateway added")                                            \
	X(CONFIG_DIFF_GATEWAY_CHANGED, "gateway changed")

enum config_diff_kind {
#define X(name, text) name,
	CONFIG_DIFF_KINDS(X)
#undef X
	CONFIG_DIFF_KIND_COUNT,
};

/* What of a host changed besides its settings; a set of bits. */
#define CONFIG_DIFF_PARTS(X)                                                             \
	X(CONFIG_DIFF_ADDRESS, "address", 1u << 0) /* these two need new links */        \
	X(CONFIG_DIFF_PORT, "port", 1u << 1)                                             \
	X(CONFIG_DIFF_DOMAIN, "domain", 1u << 2) /* the others only describe the host */ \
	X(CONFIG_DIFF_ROLE, "role", 1u << 3)                                             \
	X(CONFIG_DIFF_NAME, "name", 1u << 4)                                             \
	X(CONFIG_DIFF_CREDENTIALS, "credentials", 1u << 5) /* what is in the files */

enum config_diff_part {
#define X(name, text, bit) name = (bit),
	CONFIG_DIFF_PARTS(X)
#undef X
};

/* What of a service changed that follows from its settings and from the user database; a set of
 * bits. */
enum config_diff_service_part {
	CONFIG_DIFF_PATH = 1u << 0, /* its sockets */
	CONFIG_DIFF_RUN_AS = 1u << 1,
	CONFIG_DIFF_CALLERS = 1u << 2,
};

/* No such host, service or gateway in that configuration. */
#define CONFIG_DIFF_NONE UINT32_MAX

/* Of hosts, services and gateways: bits of config_diff_entry.settings. */
#define CONFIG_DIFF_SETTINGS_MAX 64

struct config_diff_entry {
	enum config_diff_kind kind;
	bool restart; /* the change, or a part of it, cannot be taken over while running */
	enum setting_id setting;   /* RELAY, DEFAULT */
	enum loncapa_var variable; /* VARIABLE */
	uint32_t before;           /* hosts and so on: index in the configuration before, or NONE */
	uint32_t after;            /* hosts and so on: index in the configuration after, or NONE */
	uint32_t parts;            /* CHANGED, GATEWAY_CHANGED: bits of enum config_diff_part;
				      SERVICE_CHANGED: of enum config_diff_service_part */
	uint64_t settings; /* hosts and so on: bit N set = the setting with enum setting_id N */
};

/* Zeroed = empty. */
struct config_diff {
	const struct config *before; /* both are the caller's, and must outlive the diff */
	const struct config *after;
	struct config_diff_entry *entries;
	size_t count;
	size_t counts[CONFIG_DIFF_KIND_COUNT];
	size_t restarts; /* entries with `restart`; not 0 = refuse the reload */
};

/*
 * Compares, in O(n log n) of the hosts.  A host is the same if its id is, a service or gateway if
 * its name is;
 * where it stands in the file does not matter.  False: no memory, the diff is empty.
 */
__attribute__((warn_unused_result)) bool
config_diff_make(struct config_diff *diff, const struct config *before, const struct config *after);

void config_diff_free(struct config_diff *diff);

/* Whether there is nothing to apply: all entries are unchanged hosts. */
bool config_diff_is_empty(const struct config_diff *diff);

const char *config_diff_kind_text(enum config_diff_kind kind);

/*
 * Texts without line ends, in printable ASCII (other bytes as \xNN), NUL-terminated, cut to `size`
 * (which is not 0).
 *
 * _summary  "hosts: 2 added, 1 removed, 1 changed, 120 unchanged; changed: relay.port, lonDocRoot";
 *           "; services: 1 added, 0 removed, 0 changed" follows the hosts if that is not 0 only,
 *           gateways likewise
 * _refusal  "relay.workers, lonDaemons need a restart"; "" if nothing does
 * _text     one entry: `host "msul1" changed: address 10.0.0.1 -> 10.0.0.2, pipeline 1 -> 4`,
 *           `relay.workers 2 -> 4 (needs a restart)`
 */
void config_diff_summary(const struct config_diff *diff, char *out, size_t size);
void config_diff_refusal(const struct config_diff *diff, char *out, size_t size);
void config_diff_text(const struct config_diff *diff, size_t entry, char *out, size_t size);

#endif
