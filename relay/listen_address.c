/*
 * listen_address.c - see listen_address.h.  Owns nothing.
 */
#include "relay/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_PREFIX "unix:"

static bool
parse_path(const char *path, struct listen_address *address)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof address->local.sun_path || path[len - 1] == '/')
		return false;
	address->local.sun_family = AF_UNIX;
	memcpy(address->local.sun_path, path, len);
	address->len = sizeof address->local;
	return true;
}

static bool
parse_port(const char *text, in_port_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = strtoul(text, NULL, 10);

	*port = htons((uint16_t)number);
	return digits > 0 && digits <= 5 && text[digits] == '\0' && number <= UINT16_MAX;
}

static bool
parse_inet(const char *text, struct listen_address *address)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);
	char host[INET6_ADDRSTRLEN + 2];
	in_port_t port;

	if (len == 0 || len >= sizeof host || !parse_port(colon + 1, &port))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address->storage;

		host[len - 1] = '\0';
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		address->len = sizeof *v6;
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	}
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address->storage;

	v4->sin_family = AF_INET;
	v4->sin_port = port;
	address->len = sizeof *v4;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

bool
listen_address_parse(const char *text, struct listen_address *address)
{
	memset(address, 0, sizeof *address);
	if (strncmp(text, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0)
		return parse_path(text + sizeof UNIX_PREFIX - 1, address);
	return parse_inet(text, address);
}
