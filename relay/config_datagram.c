/*
 * config_datagram.c - checks the sections of the message plane, and reads the file of keys.
 *
 * Never shows a key, and keeps none in memory that is given back.  Owns nothing: the keys are the
 * configuration's.
 */
#include "relay/config_datagram.h"

#include "relay/owner.h"
#include "relay/permissions.h"
#include "wire/datagram_keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct check {
	struct config *config;
	const struct relay_conf *conf;
	struct report *report;
	bool good;
};

static void __attribute__((format(printf, 3, 4)))
refuse(struct check *check, struct conf_origin origin, const char *format, ...)
{
	char text[REPORT_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	relay_conf_say(check->conf, origin, REPORT_FATAL, text, check->report);
	check->good = false;
}

static bool
is_loopback(const struct listen_address *address)
{
	if (address->any.sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)&address->storage;

		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	const struct sockaddr_in *v4 = (const void *)&address->storage;

	return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* --- addresses -------------------------------------------------------------------------------- */

static in_port_t
port_of(const struct listen_address *address)
{
	if (address->any.sa_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)&address->storage)->sin6_port;
	return ((const struct sockaddr_in *)(const void *)&address->storage)->sin_port;
}

static void
check_address(struct check *check, const char *text, const struct listen_address *address)
{
	struct conf_origin origin = check->conf->datagram;

	if (address->any.sa_family == AF_UNIX)
		refuse(check, origin,
		       "datagram.listen: \"%s\": clients come by UDP: ADDRESS:PORT "
		       "or [IPv6]:PORT",
		       text);
	else if (port_of(address) == 0)
		refuse(check, origin,
		       "datagram.listen: \"%s\": port 0 is none that clients could "
		       "know",
		       text);
	else if (check->config->relay.datagram_keys == NULL && !is_loopback(address))
		refuse(check, origin,
		       "datagram.listen: \"%s\" can be reached from outside, and without "
		       "datagram.keys anybody there could be any client: set keys, or listen on "
		       "127.0.0.1 or [::1]",
		       text);
}

static void
check_addresses(struct check *check)
{
	struct listen_address seen[SETTINGS_DATAGRAM_LISTEN_MAX];
	char *const *list = check->config->relay.datagram_listen;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		if (!listen_address_parse(list[i], &seen[i])) {
			refuse(check, check->conf->datagram,
			       "datagram.listen: \"%s\" is not ADDRESS:PORT or [IPv6]:PORT",
			       list[i]);
			continue;
		}
		check_address(check, list[i], &seen[i]);
		for (size_t j = 0; j < i; j++) {
			if (memcmp(&seen[j].storage, &seen[i].storage, sizeof seen[i].storage) == 0)
				refuse(check, check->conf->datagram,
				       "datagram.listen: \"%s\" is there twice", list[i]);
		}
	}
}

size_t
config_datagram_addresses(const struct relay_settings *relay,
			  struct listen_address addresses[SETTINGS_DATAGRAM_LISTEN_MAX])
{
	size_t count = 0;

	while (relay->datagram_listen != NULL && relay->datagram_listen[count] != NULL &&
	       count < SETTINGS_DATAGRAM_LISTEN_MAX &&
	       listen_address_parse(relay->datagram_listen[count], &addresses[count]))
		count++;
	return count;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Opens what may be read as a file of keys; -1: it was refused. */
static int
open_keys(struct check *check, const char *path, size_t *size)
{
	/* Not waiting for the writer of a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat found;

	if (fd < 0) {
		report_add(check->report, REPORT_FATAL, path, 0, "datagram.keys: %s",
			   strerror(errno));
	} else if (permissions_check_secret(fd, path, "datagram.keys", check->report)) {
		if (fstat(fd, &found) == 0 && found.st_size <= DATAGRAM_KEYS_TEXT_MAX) {
			*size = (size_t)found.st_size;
			return fd;
		}
		report_add(check->report, REPORT_FATAL, path, 0, "datagram.keys: too long");
	}
	check->good = false;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Up to `size` bytes; what is written to the file meanwhile is for the next load. */
static size_t
read_whole(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t got = 1;

	while (len < size && got > 0) {
		got = read(fd, text + len, size - len);
		if (got > 0)
			len += (size_t)got;
	}
	return len;
}

static size_t
count_lines(const char *text, size_t len)
{
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines < DATAGRAM_KEYS_MAX ? lines : DATAGRAM_KEYS_MAX;
}

static void
parse_keys(struct check *check, const char *path, const char *text, size_t len)
{
	struct config *config = check->config;
	size_t max = count_lines(text, len);
	uint32_t line = 0;

	config->keys = calloc(max, sizeof *config->keys);
	if (config->keys == NULL) {
		refuse(check, check->conf->datagram, "out of memory");
		return;
	}
	enum datagram_keys_fault fault =
	    datagram_keys_parse(config->keys, max, &config->key_count, wire_span(text, len), &line);
	if (fault == DATAGRAM_KEYS_FINE && config->key_count > 0)
		return;
	report_add(check->report, REPORT_FATAL, path, line, "datagram.keys: %s",
		   fault == DATAGRAM_KEYS_FINE ? "there is no key in it"
					       : datagram_keys_fault_text(fault));
	check->good = false;
}

static void
load_keys(struct check *check)
{
	const char *path = check->config->relay.datagram_keys;
	size_t size = 0;

	if (path == NULL)
		return;
	int fd = open_keys(check, path, &size);
	if (fd < 0)
		return;
	char *text = malloc(size + 1);
	if (text == NULL) {
		refuse(check, check->conf->datagram, "out of memory");
	} else {
		size_t len = read_whole(fd, text, size);
		parse_keys(check, path, text, len);
		explicit_bzero(text, size);
	}
	free(text);
	close(fd);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void
check_settings(struct check *check)
{
	const struct relay_settings *relay = &check->config->relay;
	struct conf_origin origin = check->conf->datagram;

	if (relay->datagram.busy_clear_time_ms > relay->datagram.busy_queue_time_ms)
		refuse(check, origin,
		       "datagram.busy_clear_time is more than busy_queue_time: a host "
		       "would be overloaded and not overloaded at once");
	if (relay->store_client_count > relay->store_count ||
	    relay->store_client_bytes > relay->store_bytes)
		refuse(check, origin,
		       "datagram.store_client_count and store_client_bytes may not be "
		       "more than store_count and store_bytes");
	if (relay->datagram_listen != NULL && relay->state_dir == NULL)
		refuse(check, origin,
		       "datagram.listen: messages are kept in relay.state_dir, which "
		       "is not set");
}

static bool
add_pager(struct check *check, const char *name)
{
	struct config *config = check->config;
	char text[200];
	uid_t uid;

	if (!owner_find_user(name, &uid)) {
		snprintf(text, sizeof text,
			 "webpager.users: there is no user %.80s: nobody pages by that name", name);
		relay_conf_say(check->conf, check->conf->webpager, REPORT_WARNING, text,
			       check->report);
		return true;
	}
	uid_t *grown = realloc(config->pagers, (config->pager_count + 1) * sizeof *grown);
	if (grown == NULL)
		return false;
	config->pagers = grown;
	config->pagers[config->pager_count++] = uid;
	return true;
}

static void
load_pagers(struct check *check)
{
	const struct relay_settings *relay = &check->config->relay;
	char *copy = relay->webpager_users == NULL ? NULL : strdup(relay->webpager_users);
	char *rest = NULL;
	bool good = copy != NULL || relay->webpager_users == NULL;

	if (relay->webpager_socket != NULL && relay->datagram_listen == NULL)
		refuse(check, check->conf->webpager,
		       "webpager.socket: notices are for the clients of datagram.listen, which is "
		       "not set");
	for (char *name = copy == NULL ? NULL : strtok_r(copy, ", \t", &rest); name != NULL && good;
	     name = strtok_r(NULL, ", \t", &rest))
		good = add_pager(check, name);
	free(copy);
	if (!good)
		refuse(check, check->conf->webpager, "out of memory");
}

bool
config_datagram_load(struct config *config, const struct relay_conf *conf, struct report *report)
{
	struct check check = { .config = config, .conf = conf, .report = report, .good = true };

	check_addresses(&check);
	check_settings(&check);
	load_keys(&check);
	load_pagers(&check);
	return check.good;
}

void
config_datagram_drop(struct config *config)
{
	if (config->keys != NULL)
		explicit_bzero(config->keys, config->key_count * sizeof *config->keys);
	free(config->keys);
	free(config->pagers);
	config->keys = NULL;
	config->key_count = 0;
	config->pagers = NULL;
	config->pager_count = 0;
}
