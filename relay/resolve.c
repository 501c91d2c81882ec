/*
 * resolve.c - getaddrinfo, the first answer.  A literal never reaches the resolver.
 */
#include "relay/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

int
resolve_address(const char *text, uint16_t port, struct sockaddr_storage *address,
    uint32_t *length)
{
	char service[8];
	struct addrinfo *found = NULL;
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};

	*length = 0;
	snprintf(service, sizeof service, "%u", (unsigned)port);
	int error = getaddrinfo(text, service, &hints, &found);
	if (error == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
		error = getaddrinfo(text, service, &hints, &found);
	}
	if (error != 0)
		return error;
	memset(address, 0, sizeof *address);
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

const char *
resolve_error_text(int error)
{
	return gai_strerror(error);
}
