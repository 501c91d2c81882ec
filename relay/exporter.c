/*
 * exporter.c - relay-exporter: the relay's statistics for Prometheus, its health for probes.
 *
 * A process of its own: an HTTP server is no part of what relays.  It knows the relay by the
 * control socket alone, where it needs the role "view".  Listens on the loopback unless told
 * otherwise.  Once it listens it is in a sandbox.  Never blocks on a peer.  Owns the event loop and
 * the listening socket.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/exporter_control.h"
#include "relay/exporter_http.h"
#include "relay/listen_address.h"
#include "relay/listener.h"
#include "relay/log.h"
#include "relay/permissions.h"
#include "relay/sandbox.h"
#include "relay/version.h"

#define DEFAULT_CONTROL "/run/relay/relay.control"
#define DEFAULT_LISTEN  "127.0.0.1:9464"
#define SOCKET_MODE     0660
#define TEXT_KEPT       (16 * 1024 * 1024)

/* sysexits */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 64,
	EXIT_OS = 71,
};

/* Where it listens. */
struct place {
	int fd;
	struct listener listener;                                    /* of a UNIX socket */
	char path[2 + sizeof((struct sockaddr_un *)NULL)->sun_path]; /* of it; "" = it is TCP */
};

static const char usage_text[] =
    "usage: relay-exporter [--control PATH] [--listen ADDRESS:PORT | --listen unix:PATH]\n"
    "                      [--no-sandbox]\n"
    "\n"
    "Serves /metrics (Prometheus), /livez and /readyz of a running relayd.\n"
    "\n"
    "  -c, --control PATH  relayd's control socket (" DEFAULT_CONTROL ")\n"
    "  -l, --listen WHERE  an address with its port, [IPv6]:PORT, or unix:PATH (" DEFAULT_LISTEN
    ");\n"
    "                      port 0: any that is free\n"
    "  -S, --no-sandbox    keep all the rights of the user that it runs as\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n";

/* --- listening -------------------------------------------------------------------------------- */

/* A socket of an exporter that died may be replaced, a file may not. */
static bool
replaceable(const char *path)
{
	struct stat found;

	if (lstat(path, &found) != 0 || S_ISSOCK(found.st_mode))
		return true;
	log_error(NULL, "%s: it is there and no socket", path);
	return false;
}

/* As relayd looks at the places of its sockets. */
static bool
kept_from_others(const char *path)
{
	struct report report = { .count = 0 };
	bool good = permissions_check_dir_of(path, "its directory", &report);

	for (size_t i = 0; i < report.count; i++) {
		const struct report_entry *entry = &report.entries[i];

		if (entry->severity == REPORT_FATAL)
			log_error(NULL, "%s: %s", path, entry->text);
		else
			log_warning(NULL, "%s: %s", path, entry->text);
	}
	report_fini(&report);
	return good;
}

static enum exit_status
listen_unix(struct place *place, const char *path)
{
	static const struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };

	if (!replaceable(path) || !kept_from_others(path))
		return EXIT_OS;
	snprintf(place->path, sizeof place->path, "%s%s", strchr(path, '/') == NULL ? "./" : "",
		 path);
	int error = listener_open_path(&place->listener, place->path, SOCKET_MODE, nobody);
	if (error != 0) {
		place->path[0] = '\0';
		log_error(NULL, "%s: %s", path, strerror(-error));
		return EXIT_OS;
	}
	/* The listener stays, to unlink the path; libevent owns what it accepts from. */
	place->fd = fcntl(place->listener.fd, F_DUPFD_CLOEXEC, 3);
	if (place->fd < 0 || evutil_make_socket_nonblocking(place->fd) != 0)
		return EXIT_OS;
	log_info(NULL, "listening on unix:%s", path);
	return EXIT_OK;
}

static bool
bind_tcp(struct place *place, struct listen_address *address)
{
	int on = 1;

	place->fd =
	    socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (place->fd >= 0 && address->any.sa_family == AF_INET6)
		setsockopt(place->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	return place->fd >= 0 &&
	       setsockopt(place->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	       bind(place->fd, &address->any, address->len) == 0 &&
	       listen(place->fd, SOMAXCONN) == 0 &&
	       getsockname(place->fd, &address->any, &address->len) == 0;
}

static enum exit_status
listen_tcp(struct place *place, struct listen_address *address, const char *where)
{
	if (!bind_tcp(place, address)) {
		log_error(NULL, "%s: %s", where, strerror(errno));
		return EXIT_OS;
	}
	/* Both families have their port at the same place. */
	const struct sockaddr_in *bound = (const struct sockaddr_in *)(void *)&address->storage;
	log_info(NULL, "listening on %.*s:%u", (int)(strrchr(where, ':') - where), where,
		 ntohs(bound->sin_port));
	return EXIT_OK;
}

static enum exit_status
listen_at(struct place *place, const char *where)
{
	struct listen_address address;

	if (!listen_address_parse(where, &address)) {
		log_error(NULL, "%s: say " LISTEN_ADDRESS_FORMS, where);
		return EXIT_USAGE;
	}
	if (address.any.sa_family == AF_UNIX)
		return listen_unix(place, address.local.sun_path);
	return listen_tcp(place, &address, where);
}

static void
stop_listening(struct place *place)
{
	if (place->path[0] != '\0')
		listener_close_path(&place->listener, place->path);
	if (place->fd >= 0)
		close(place->fd);
}

/* --- life ------------------------------------------------------------------------------------- */

static void
on_signal(evutil_socket_t number, short events, void *context)
{
	(void)number, (void)events;
	event_base_loopexit(context, NULL);
}

/* A signal that whoever started us has taken from us stays so. */
static struct event *
end_at(struct event_base *base, int number)
{
	struct sigaction before;

	if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
		return NULL;
	struct event *event = evsignal_new(base, number, on_signal, base);
	if (event != NULL)
		evsignal_add(event, NULL);
	return event;
}

/* All that it needs is open but the control socket; of the file system, the place stays where its
 * own socket is to be removed. */
static void
enter_sandbox(const struct place *place)
{
	char dir[sizeof place->path];
	const struct sandbox_path own = { .path = dir, .remove = true };
	const char *lacks = sandbox_lacks();
	size_t len = 0;

	for (size_t i = 0; place->path[i] != '\0'; i++) {
		if (place->path[i] == '/')
			len = i + 1;
	}
	memcpy(dir, place->path, len);
	dir[len] = '\0';
	if (lacks != NULL)
		log_warning(NULL, "the sandbox lacks %s", lacks);
	sandbox_enter(SANDBOX_EXPORTER, &own, len > 0 ? 1 : 0);
}

/* NULL, said why, if it cannot. */
static struct exporter_http *
serve(struct event_base *base, struct place *place, const char *path, bool sandbox)
{
	struct exporter_control *control = exporter_control_new(base, path);
	struct exporter_http *http;

	if (control == NULL) {
		log_error(NULL, "%s: %s", path, strerror(errno));
		return NULL;
	}
	http = exporter_http_new(base, control, place->fd);
	if (http == NULL) {
		log_error(NULL, "out of memory");
		exporter_control_free(control);
		return NULL;
	}
	place->fd = -1;
	struct event *term = end_at(base, SIGTERM);
	struct event *interrupt = end_at(base, SIGINT);
	if (sandbox)
		enter_sandbox(place);
	event_base_dispatch(base);
	sandbox_say_refused();
	exporter_control_free(control);
	exporter_http_close(http);
	if (term != NULL)
		event_free(term);
	if (interrupt != NULL)
		event_free(interrupt);
	return http;
}

static enum exit_status
run(const char *path, const char *where, bool sandbox)
{
	struct place place = { .fd = -1, .listener = { .fd = -1 } };
	enum exit_status status = listen_at(&place, where);
	struct event_base *base = status == EXIT_OK ? event_base_new() : NULL;
	struct exporter_http *http = NULL;

	if (base != NULL)
		http = serve(base, &place, path, sandbox);
	if (status == EXIT_OK && http == NULL)
		status = EXIT_OS;
	stop_listening(&place);
	if (base != NULL)
		event_base_free(base);
	if (http != NULL)
		exporter_http_free(http);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "listen", required_argument, NULL, 'l' },
		{ "no-sandbox", no_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *control = DEFAULT_CONTROL;
	const char *where = DEFAULT_LISTEN;
	bool sandbox = true;
	int option;

	/* The text of a scrape comes and goes: its pages may stay. */
	mallopt(M_MMAP_THRESHOLD, TEXT_KEPT);
	mallopt(M_TRIM_THRESHOLD, TEXT_KEPT);
	log_set_process("exporter");
	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt_long(argc, argv, "c:l:ShV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			control = optarg;
			break;
		case 'l':
			where = optarg;
			break;
		case 'S':
			sandbox = false;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EXIT_OK;
		case 'V':
			puts("relay-exporter " RELAY_VERSION);
			return EXIT_OK;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	return run(control, where, sandbox);
}
