/*
 * settings.h - the table of settings, and how the text of a value becomes a number or a string and
 * back.
 */
#ifndef RELAY_SETTINGS_H
#define RELAY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/datagram_settings.h"
#include "relay/gateway_settings.h"
#include "relay/host_settings.h"
#include "relay/service_settings.h"
#include "wire/hosts_tab.h"

/* Room for "/" and an id of one byte; for "/relay.control". */
#define SETTINGS_SOCKET_DIR_MAX (HOSTS_TAB_PATH_MAX - 2)
#define SETTINGS_CONTROL_SOCKET "relay.control"
#define SETTINGS_RUN_DIR_MAX    (HOSTS_TAB_PATH_MAX - sizeof SETTINGS_CONTROL_SOCKET)

#define SETTINGS_CONTROL_SOCKET_MAX  (HOSTS_TAB_PATH_MAX - 1)
#define SETTINGS_LISTEN_MAX          112  /* "unix:" and a socket's path */
#define SETTINGS_DATAGRAM_LISTEN_MAX 16   /* addresses of the message plane */
#define SETTINGS_PEOPLE_MAX          1000 /* bytes of a list of names */

#define SETTINGS_SERVICE_SOCKET_MAX HOSTS_TAB_PATH_MAX
#define SETTINGS_CALLERS_MAX        32 /* users who may call a service */

#define SETTINGS_GATEWAY_LISTEN_MAX  8   /* addresses of one gateway */
#define SETTINGS_GATEWAY_CONNECT_MAX 260 /* a name and a port */
#define SETTINGS_TLS_PATH_MAX        1000
#define SETTINGS_LIST_MAX            64   /* texts of a list */
#define SETTINGS_LIST_BYTES_MAX      4000 /* of all of them, an end for each */
/* A value as it is printed: each byte marked, and the quotes, commas and braces of a list. */
#define SETTINGS_VALUE_TEXT_MAX (2 * SETTINGS_LIST_BYTES_MAX + 8 * SETTINGS_LIST_MAX)

/* What the sections that are there once hold.  The strings belong to the structure; NULL = unset.
 */
struct relay_settings {
	uint32_t workers; /* 0: one per processor */
	uint32_t port;
	uint32_t socket_mode;
	bool hosts_watch;
	uint64_t tls_expiry_warn_ms; /* 0: nothing is warned of */
	bool sandbox;
	char *socket_owner;
	uint64_t memory_max;
	uint64_t stop_timeout_ms;
	char *user;
	char *run_dir;
	char *state_dir;
	char *socket_dir;
	char *hosts_file;
	char *host_id;
	char *control_socket;
	uint32_t control_mode;
	uint32_t control_connections_max;
	char *control_group;
	char *view_users;
	char *view_groups;
	char *operate_users;
	char *operate_groups;
	char *admin_users;
	char *admin_groups;
	char *exporter_listen;
	char **datagram_listen; /* NULL: the message plane is off */
	char *datagram_keys;
	struct datagram_settings datagram; /* of all workers together */
	uint64_t store_count;
	uint64_t store_bytes;
	uint64_t store_age_ms;
	uint64_t store_client_count;
	uint64_t store_client_bytes;
	char *webpager_socket; /* NULL: there is none */
	uint32_t webpager_mode;
	char *webpager_users;
};

enum setting_section {
	SETTING_SECTION_RELAY,    /* struct relay_settings */
	SETTING_SECTION_CONTROL,  /* likewise */
	SETTING_SECTION_EXPORTER, /* likewise */
	SETTING_SECTION_DATAGRAM, /* likewise */
	SETTING_SECTION_WEBPAGER, /* likewise */
	SETTING_SECTION_HOST,     /* struct host_section: `defaults` and `host` */
	SETTING_SECTION_SERVICE,  /* struct service_settings */
	SETTING_SECTION_GATEWAY,  /* struct gateway_settings */
};

enum setting_type {
	SETTING_UINT,
	SETTING_BYTES,
	SETTING_DURATION,
	SETTING_MODE,
	SETTING_BOOL,
	SETTING_CHOICE, /* one of the words in `unit` */
	SETTING_STRING,
	SETTING_PATH,  /* absolute */
	SETTING_LINE,  /* a text that is an array in the structure */
	SETTING_NAME,  /* likewise: a host name or an IP address, or nothing */
	SETTING_LIST,  /* of texts: relay/setting_list.h */
	SETTING_PATHS, /* a list of absolute paths */
};

enum setting_apply {
	SETTING_LIVE,
	SETTING_RESTART,
};

/* SETTING_relay_workers and so on, in the order of settings.def. */
enum setting_id {
#define SETTING(section, key, type, unit, field, fallback, min, max, apply, help) \
	SETTING_##section##_##key,
#include "relay/settings.def"
#undef SETTING
	SETTING_COUNT,
};

struct setting {
	enum setting_section section;
	const char *key;
	enum setting_type type;
	const char *unit;
	const char *fallback; /* text of the default, "" = none */
	uint64_t min;
	uint64_t max;
	enum setting_apply apply;
	const char *help;
	size_t offset; /* of the member in the structure of its section */
	size_t size;
};

/* A value as the table's types see it; which member counts follows from the type. */
struct setting_value {
	uint64_t number;
	const char *text;  /* STRING, PATH and LINE: belongs to whoever gave it */
	char *const *list; /* LIST and PATHS: likewise; ends with NULL */
};

/* The table, indexed by enum setting_id. */
extern const struct setting settings_table[SETTING_COUNT];

/* Whether a section is one of those in struct relay_settings; and its name in relay.conf. */
bool setting_section_is_single(enum setting_section section);
const char *setting_section_name(enum setting_section section);

/* The setting of that key, or NULL. */
const struct setting *setting_find(enum setting_section section, const char *key);

/* Whether its value is one text: STRING, PATH, LINE or NAME; and one that lies in the structure
 * itself: LINE or NAME. */
bool setting_is_text(const struct setting *setting);
bool setting_is_array(const struct setting *setting);

/*
 * Reads the text of one value.  On false `why` says what is wrong and what is allowed, without
 * naming the key: "7x" is not a number: allowed 1 to 1024.  For a string value->text is `text`
 * itself.  Not for lists, which are more than one text.
 */
bool setting_parse(const struct setting *setting, const char *text, struct setting_value *value,
		   char *why, size_t why_size);

/* The value as it would be written in relay.conf, strings in quotes; cut to `size`.  An unset
 * string gives "". */
void setting_format(const struct setting *setting, struct setting_value value, char *out,
		    size_t size);

/* A text in quotes, cut to `size`; and whether a text is free of control characters. */
void setting_text_format(const char *text, char *out, size_t size);
bool setting_text_is_printable(const char *text);

/* Whether two values of the setting are the same. */
bool setting_equal(const struct setting *setting, struct setting_value a, struct setting_value b);

/* --- settings_store.c */

/* Copies between a value and the structure of the setting's section.  Storing a string or a list
 * duplicates it and frees the one before; false if there is no memory for it. */
bool setting_store(const struct setting *setting, void *structure, struct setting_value value);
struct setting_value setting_load(const struct setting *setting, const void *structure);

/* Fills the structure of a section with all its defaults, strings and lists NULL; frees these. */
void settings_init(enum setting_section section, void *structure);
void settings_fini(enum setting_section section, void *structure);

#endif
