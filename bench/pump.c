/*
 * pump.c - the command line and the sockets of the byte pumps.  Copies no byte.
 */
#include "bench/pump.h"

#include "bench/address.h"
#include "bench/process.h"

#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
open_listener(const char *path, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat old;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (len >= sizeof addr.sun_path)
		errx(2, "%.*s: too long for a socket", (int)len, path);
	memcpy(addr.sun_path, path, len);
	/* A socket of an earlier run is in the way, a file is somebody's. */
	if (lstat(addr.sun_path, &old) == 0 && S_ISSOCK(old.st_mode))
		unlink(addr.sun_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 ||
	    listen(fd, 65535) != 0)
		err(1, "%s", addr.sun_path);
	return fd;
}

size_t
pump_open(struct pump_route routes[PUMP_ROUTES_MAX], int argc, char **argv)
{
	if (argc < 2 || argc - 1 > PUMP_ROUTES_MAX)
		errx(2, "usage: %s PATH=ADDR:PORT ...     (at most %d)", argv[0], PUMP_ROUTES_MAX);
	signal(SIGPIPE, SIG_IGN);
	process_raise_files();
	for (int i = 1; i < argc; i++) {
		struct pump_route *route = &routes[i - 1];
		const char *equals = strrchr(argv[i], '=');
		if (equals == NULL || !address_parse(equals + 1, &route->to, &route->to_len))
			errx(2, "\"%s\" is not PATH=ADDR:PORT", argv[i]);
		route->listener = open_listener(argv[i], (size_t)(equals - argv[i]));
	}
	return (size_t)(argc - 1);
}

int
pump_socket(const struct pump_route *route)
{
	int fd = socket(route->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}
