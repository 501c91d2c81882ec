/*
 * resolve.c - getaddrinfo, the first answer.  A literal never reaches the resolver.
 */
#include "relay/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static int
look_up(const char *text, uint16_t port, int flags, struct sockaddr_storage *address,
	uint32_t *length)
{
	char service[8];
	struct addrinfo *found = NULL;
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	*length = 0;
	snprintf(service, sizeof service, "%u", (unsigned)port);
	int error = getaddrinfo(text, service, &hints, &found);
	if (error != 0)
		return error;
	memset(address, 0, sizeof *address);
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int
resolve_literal(const char *text, uint16_t port, struct sockaddr_storage *address, uint32_t *length)
{
	return look_up(text, port, AI_NUMERICHOST, address, length);
}

int
resolve_address(const char *text, uint16_t port, struct sockaddr_storage *address, uint32_t *length)
{
	int error = resolve_literal(text, port, address, length);

	if (error == EAI_NONAME)
		error = look_up(text, port, AI_ADDRCONFIG, address, length);
	return error;
}

const char *
resolve_error_text(int error)
{
	return gai_strerror(error);
}

void
resolve_text(const struct sockaddr_storage *address, char text[static RESOLVE_TEXT_MAX])
{
	const void *at = NULL;

	if (address->ss_family == AF_INET)
		at = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->ss_family == AF_INET6)
		at = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	text[0] = '\0';
	if (at != NULL)
		inet_ntop(address->ss_family, at, text, RESOLVE_TEXT_MAX);
}
