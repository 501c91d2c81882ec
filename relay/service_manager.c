/*
 * service_manager.c - the environment that a service manager gives, and the datagrams that it gets.
 *
 * Never waits for the manager and never fails for what it says: what cannot be understood is
 * reported and left out.  Owns the sockets that were passed, until somebody takes them.
 */
#include "relay/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* SD_LISTEN_FDS_START */
enum {
	FIRST_FD = 3
};

/* ---- the environment ---- */

/* A decimal number and nothing else. */
static bool
parse_number(const char *text, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;

	if (*text == '\0')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*number = n;
	return *text == '\0';
}

/* False if the variable is not set, or is no number up to `max`; the latter is reported. */
static bool
number_of(const char *name, uint64_t max, uint64_t *number, struct report *report)
{
	const char *text = getenv(name);
	char variable[64];

	if (text == NULL)
		return false;
	if (parse_number(text, max, number))
		return true;
	snprintf(variable, sizeof variable, "$%s", name);
	report_add(report, REPORT_WARNING, variable, 0, "\"%.80s\" is not a number up to %" PRIu64,
		   text, max);
	return false;
}

/* Whether the variable names this process.  `unset` is the answer if it is not there. */
static bool
is_for_us(const char *name, bool unset, struct report *report)
{
	uint64_t pid;

	if (getenv(name) == NULL)
		return unset;
	return number_of(name, INT32_MAX, &pid, report) && (pid_t)pid == getpid();
}

static void
read_notify_socket(struct service_manager *manager, struct report *report)
{
	const char *text = getenv("NOTIFY_SOCKET");
	struct sockaddr_un *address = &manager->address;

	if (text == NULL || text[0] == '\0')
		return;
	size_t len = strlen(text);
	bool form = text[0] == '/' || (text[0] == '@' && len > 1);
	/* A path needs its NUL; an abstract name is as long as its length says. */
	if (!form || len >= sizeof address->sun_path) {
		report_add(
		    report, REPORT_WARNING, "$NOTIFY_SOCKET", 0,
		    "\"%.120s\" is neither an absolute path nor an @name of at most %zu bytes",
		    text, sizeof address->sun_path - 1);
		return;
	}
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, text, len + 1);
	if (text[0] == '@')
		address->sun_path[0] = '\0';
	manager->address_len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '@' ? 0 : 1));
}

/* Half of the limit, as the manual advises, so that one late turn is no death. */
static void
read_watchdog(struct service_manager *manager, struct report *report)
{
	uint64_t limit_us;

	if (!is_for_us("WATCHDOG_PID", true, report) ||
	    !number_of("WATCHDOG_USEC", UINT64_MAX, &limit_us, report))
		return;
	if (limit_us == 0)
		return;
	manager->watchdog_ms = limit_us / 2000;
	if (manager->watchdog_ms == 0)
		manager->watchdog_ms = 1;
}

/* ---- sockets that were passed ---- */

static int
socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* What is wrong with a descriptor, or NULL. */
static const char *
fault_of(int fd)
{
	if (socket_option(fd, SO_DOMAIN) < 0)
		return "is not a socket";
	if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return "is not a UNIX stream socket";
	if (socket_option(fd, SO_ACCEPTCONN) != 1)
		return "does not listen";
	return NULL;
}

static void
read_path(struct service_socket *entry)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof address;

	/* A path that fills sun_path to its end has no NUL there; the copy has room for one. */
	if (getsockname(entry->fd, (struct sockaddr *)&address, &len) == 0)
		memcpy(entry->path, address.sun_path, sizeof address.sun_path);
}

/* The first name of a list a:b:c, which moves on; an owned copy, NULL without memory. */
static char *
next_name(const char **list)
{
	const char *at = *list;

	if (at == NULL)
		return strdup("unknown");
	size_t len = strcspn(at, ":");
	*list = at[len] == ':' ? at + len + 1 : NULL;
	return strndup(at, len);
}

static void
add_socket(struct service_manager *manager, int fd, char *name, struct report *report)
{
	struct service_socket entry = { .name = name, .fd = fd };
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0) {
		report_add(report, REPORT_WARNING, "$LISTEN_FDS", 0,
			   "descriptor %d (%.120s) is not open", fd, name != NULL ? name : "?");
		free(name);
		return;
	}
	const char *fault = name != NULL ? fault_of(fd) : "finds no memory";
	if (fault != NULL) {
		report_add(report, REPORT_WARNING, "$LISTEN_FDS", 0,
			   "descriptor %d (%.120s) %s: closed", fd, name != NULL ? name : "?",
			   fault);
		close(fd);
		free(name);
		return;
	}
	fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	read_path(&entry);
	manager->sockets[manager->socket_count++] = entry;
}

static void
read_sockets(struct service_manager *manager, struct report *report)
{
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t count;

	if (!is_for_us("LISTEN_PID", false, report) ||
	    !number_of("LISTEN_FDS", SERVICE_MANAGER_SOCKETS_MAX, &count, report))
		return;
	manager->sockets = calloc(count + 1, sizeof *manager->sockets);
	if (manager->sockets == NULL) {
		report_add(report, REPORT_WARNING, "$LISTEN_FDS", 0, "out of memory");
		return;
	}
	for (int i = 0; i < (int)count; i++)
		add_socket(manager, FIRST_FD + i, next_name(&names), report);
}

void
service_manager_init(struct service_manager *manager, struct report *report)
{
	static const char *const names[] = {
		"NOTIFY_SOCKET",  "WATCHDOG_USEC", "WATCHDOG_PID",   "LISTEN_PID",
		"LISTEN_PIDFDID", "LISTEN_FDS",    "LISTEN_FDNAMES",
	};

	*manager = (struct service_manager){ .sockets = NULL };
	read_notify_socket(manager, report);
	read_watchdog(manager, report);
	read_sockets(manager, report);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
}

int
service_manager_take_socket(struct service_manager *manager, const char *name, const char *path)
{
	struct service_socket *found = NULL;

	for (size_t i = 0; i < manager->socket_count; i++) {
		struct service_socket *entry = &manager->sockets[i];

		if (entry->fd < 0)
			continue;
		if (strcmp(entry->name, name) == 0) {
			found = entry;
			break;
		}
		if (found == NULL && entry->path[0] != '\0' && strcmp(entry->path, path) == 0)
			found = entry;
	}
	if (found == NULL)
		return -1;
	int fd = found->fd;
	found->fd = -1;
	return fd;
}

void
service_manager_close_rest(struct service_manager *manager, struct report *report)
{
	for (size_t i = 0; i < manager->socket_count; i++) {
		struct service_socket *entry = &manager->sockets[i];

		if (entry->fd >= 0) {
			if (report != NULL)
				report_add(report, REPORT_WARNING, "$LISTEN_FDNAMES", 0,
					   "socket %.120s (%s) belongs to no host: closed",
					   entry->name, entry->path);
			close(entry->fd);
		}
		free(entry->name);
	}
	free(manager->sockets);
	manager->sockets = NULL;
	manager->socket_count = 0;
}

void
service_manager_fini(struct service_manager *manager)
{
	service_manager_close_rest(manager, NULL);
	*manager = (struct service_manager){ .sockets = NULL };
}

/* ---- notifications ---- */

static int
notify(const struct service_manager *manager, const char *message)
{
	if (manager->address_len == 0)
		return 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ssize_t sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
			      (const struct sockaddr *)&manager->address, manager->address_len);
	int error = sent < 0 ? -errno : 0;
	close(fd);
	return error;
}

/* `before` and STATUS=; a line end in the text would begin another assignment. */
static int
notify_status(const struct service_manager *manager, const char *before, const char *status)
{
	char message[SERVICE_MANAGER_STATUS_MAX + 64];

	int start = snprintf(message, sizeof message, "%sSTATUS=", before);
	snprintf(message + start, SERVICE_MANAGER_STATUS_MAX + 1, "%s", status);
	for (char *at = message + start; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return notify(manager, message);
}

int
service_manager_ready(const struct service_manager *manager, const char *status)
{
	if (status == NULL)
		return notify(manager, "READY=1");
	return notify_status(manager, "READY=1\n", status);
}

int
service_manager_reloading(const struct service_manager *manager)
{
	struct timespec now;
	char message[96];

	/* The moment lets the manager tell this reload's end from that of one before. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
	return notify(manager, message);
}

int
service_manager_stopping(const struct service_manager *manager)
{
	return notify(manager, "STOPPING=1");
}

int
service_manager_status(const struct service_manager *manager, const char *status)
{
	return notify_status(manager, "", status);
}

int
service_manager_watchdog(const struct service_manager *manager)
{
	return notify(manager, "WATCHDOG=1");
}
