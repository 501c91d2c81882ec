/*
 * address.h - `127.0.0.1:PORT`, `[::1]:PORT` and paths of UNIX sockets as text and as socket
 * addresses.  Literals only: no name is resolved.
 */
#ifndef BENCH_ADDRESS_H
#define BENCH_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Room for any address as text. */
#define ADDRESS_TEXT_MAX 112

/* False if the text is no address with a port. */
bool address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len);

/* The same of a path; false if it is too long. */
bool address_of_path(const char *path, struct sockaddr_storage *addr, socklen_t *len);

/* The address as address_parse reads it. */
void address_format(const struct sockaddr_storage *addr, char text[static ADDRESS_TEXT_MAX]);

#endif
