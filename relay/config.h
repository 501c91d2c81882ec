/*
 * config.h - the whole configuration as one value: made of the legacy files, relay.conf, `-o`
 * options and hosts.tab.
 *
 * What wins: `-o`, then relay.conf, then the environment ($RUNTIME_DIRECTORY, $STATE_DIRECTORY),
 * then loncapa.conf, then loncapa_apache.conf, then the default.  Per host: its own section,
 * `defaults`, the default.
 */
#ifndef RELAY_CONFIG_H
#define RELAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "relay/host_settings.h"
#include "relay/owner.h"
#include "relay/report.h"
#include "relay/settings.h"

/* The text of a file that was accepted; hash 0 and size 0 = there was none. */
struct hosts_mark {
	uint64_t size;
	uint64_t hash;
	int64_t mtime_ns; /* for people: a text that comes again is the same */
};

struct datagram_key;
struct text_file;

/* Which table of hosts is in force (relay/hosts_table.h).  Zeroed = hosts_file, as ever. */
struct hosts_accepted {
	bool applied;           /* the one that was applied, not that of hosts_file */
	struct hosts_mark file; /* hosts_file, when it was accepted last */
};

/* Hosts of one hosts.tab, at most. */
#define CONFIG_HOSTS_MAX 65536

/* Services of one configuration; bytes of the name of one; users who may call one, if not all may.
 */
#define CONFIG_SERVICES_MAX        128
#define CONFIG_SERVICE_NAME_MAX    64
#define CONFIG_SERVICE_CALLERS_MAX SETTINGS_CALLERS_MAX

/* Gateways of one configuration; sets of files (ca, cert, key) that hosts and gateways name, one
 * counted once; no such set. */
#define CONFIG_GATEWAYS_MAX     32
#define CONFIG_GATEWAY_NAME_MAX 64
#define CONFIG_CREDENTIALS_MAX  256
#define CONFIG_CREDENTIALS_NONE UINT32_MAX

struct config_credentials;

struct config_host {
	char *id;
	char *domain;
	char *role;
	char *name;
	char *address; /* IPv4 or IPv6 literal without brackets, or a name; not resolved */
	uint16_t port;
	unsigned line;        /* in the hosts file */
	uint32_t credentials; /* index in those of the configuration; NONE unless tls = require */

	union {
		struct host_section section;
		struct host_settings settings; /* of `section` */
	};
};

/* A service, and what follows from its settings: all of it found once, while it is loaded. */
struct config_service {
	char *name;
	char *path;          /* where it is called: `socket`, or the socket of `ident` */
	char *extended_path; /* of `ident`: where signals are forwarded too; else NULL */
	struct owner run_as; /* of `user`, with its group; nobody = as the relay */
	uid_t *callers;      /* of `allow_uids`, those who exist, in ascending order */
	uint32_t caller_count;
	struct service_settings settings;
};

/* A gateway; its settings have all that it needs. */
struct config_gateway {
	char *name;
	char *connect_name; /* of `connect`: a literal without brackets, or a name */
	uint16_t connect_port;
	uint32_t credentials; /* index in those of the configuration */
	struct gateway_settings settings;
};

/* Everything in it is owned.  Zeroed = empty. */
struct config {
	/* run_dir, socket_dir, hosts_file, host_id and port are always set; user and state_dir may
	 * be NULL. */
	struct relay_settings relay;

	union {
		struct host_section defaults_section;
		struct host_settings defaults; /* of that */
	};

	char *daemons_dir; /* lonDaemons, or NULL */
	char *doc_root;    /* lonDocRoot, or NULL */
	char *hosts_path;  /* where the hosts are from: hosts_file, the applied table, or
			      the name of a text */
	struct hosts_accepted accepted; /* if this configuration is taken over */
	struct config_host *hosts;      /* in the order of their lines, ids unique */
	size_t host_count;
	struct config_service *services; /* by name, names and paths unique */
	size_t service_count;
	struct config_gateway *gateways; /* by name */
	size_t gateway_count;
	struct config_credentials *credentials; /* relay/config_tls.h */
	size_t credential_count;
	struct datagram_key *keys; /* of datagram.keys, sorted by client */
	size_t key_count;
	uid_t *pagers; /* of webpager.users, those who exist */
	size_t pager_count;
};

/* Where the configuration comes from; the strings must live during config_load only. */
struct config_source {
	const char
	    *loncapa_dir;      /* holds loncapa.conf or loncapa_apache.conf or both; NULL = none */
	const char *conf_file; /* relay.conf; NULL = none.  If named it must exist */
	const char *const *options; /* arguments of `-o` */
	size_t option_count;
	/* The rest is for the control process; zero = all is read from files. */
	const struct config_table *table;      /* instead of any file with hosts; NULL = none */
	const struct hosts_accepted *accepted; /* instead of the file in state_dir */
	const char *state_dir;                 /* that of the start, whatever the files now say */
	const struct text_file *applied;       /* the applied table, instead of its file */
};

/* A table of hosts that was sent. */
struct config_table {
	const void *bytes;
	size_t len;
	const char *name; /* what findings call it */
};

/*
 * Reads everything.  True: *config is complete; the report may hold warnings, and errors for hosts
 * that were left out. False: there are fatal entries, *config is empty.  Opens files, asks the user
 * database, resolves no names of hosts.  Not for two threads at once.
 */
bool config_load(struct config *config, const struct config_source *source, struct report *report);

/* Prints all effective values, hosts and services in the form of a relay.conf, the hosts' addresses
 * and the services' sockets as comments. */
void config_print(FILE *out, const struct config *config);

void config_free(struct config *config);

#endif
