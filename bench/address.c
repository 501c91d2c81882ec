/*
 * address.c - socket addresses to text and back.  Resolves no name.
 */
#include "bench/address.h"

#include "bench/number.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

bool
address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;
	char host[ADDRESS_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (colon == NULL || !number_parse(wire_span_str(colon + 1), 65535, &port))
		return false;
	size_t n = (size_t)(colon - text);
	bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';
	if (bracketed) {
		text++;
		n -= 2;
	}
	if (n >= sizeof host)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	memset(addr, 0, sizeof *addr);
	if (!bracketed && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*len = sizeof *v4;
		return true;
	}
	if (bracketed && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*len = sizeof *v6;
		return true;
	}
	return false;
}

bool
address_of_path(const char *path, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_un *local = (struct sockaddr_un *)addr;

	if (strlen(path) >= sizeof local->sun_path)
		return false;
	memset(addr, 0, sizeof *addr);
	local->sun_family = AF_UNIX;
	memcpy(local->sun_path, path, strlen(path));
	*len = sizeof *local;
	return true;
}

void
address_format(const struct sockaddr_storage *addr, char text[static ADDRESS_TEXT_MAX])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_UNIX) {
		snprintf(text, ADDRESS_TEXT_MAX, "%s",
			 ((const struct sockaddr_un *)addr)->sun_path);
	} else if (addr->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
	}
}
