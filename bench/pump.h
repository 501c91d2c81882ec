/*
 * pump.h - what the two byte pumps share: their command line and their sockets.
 *
 * A pump copies bytes 1:1 between each client and a connection of its own to the peer.  It is the
 * floor of what any relay without multiplexing can do, once on epoll and once on io_uring.  A
 * yardstick, not a relay: no time-outs, no bounds, no half-closed connections.
 */
#ifndef BENCH_PUMP_H
#define BENCH_PUMP_H

#include <stddef.h>
#include <sys/socket.h>

#define PUMP_ROUTES_MAX 128
#define PUMP_BYTES      ((size_t)16 << 10)

/* From a UNIX socket to an address. */
struct pump_route {
	int listener;
	struct sockaddr_storage to;
	socklen_t to_len;
};

/* Opens a listener for each argument `PATH=ADDR:PORT`; ends the program if it cannot.  Their
 * number. */
size_t pump_open(struct pump_route routes[PUMP_ROUTES_MAX], int argc, char **argv);

/* A TCP socket of the route, not yet connected; -1 if there is none. */
int pump_socket(const struct pump_route *route);

#endif
