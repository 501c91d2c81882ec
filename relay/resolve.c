/*
 * resolve.c - getaddrinfo, and what of its answer is kept.  A literal never reaches the resolver.
 */
#include "relay/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

uint32_t
resolve_length(const union resolve_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

bool
resolve_list_equal(const struct resolve_list *a, const struct resolve_list *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (memcmp(&a->address[i], &b->address[i], resolve_length(&a->address[i])) != 0)
			return false;
	}
	return true;
}

static int
look_up(const char *text, uint16_t port, int flags, struct resolve_list *list)
{
	char service[8];
	struct addrinfo *found = NULL;
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	memset(list, 0, sizeof *list);
	snprintf(service, sizeof service, "%u", (unsigned)port);
	int error = getaddrinfo(text, service, &hints, &found);
	if (error != 0)
		return error;
	for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
		if (list->count == RESOLVE_ADDRESSES_MAX ||
		    (at->ai_family != AF_INET && at->ai_family != AF_INET6))
			continue;
		memcpy(&list->address[list->count++], at->ai_addr, at->ai_addrlen);
	}
	freeaddrinfo(found);
	return list->count > 0 ? 0 : EAI_NONAME;
}

int
resolve_literal_list(const char *text, uint16_t port, struct resolve_list *list)
{
	return look_up(text, port, AI_NUMERICHOST, list);
}

int
resolve_list(const char *text, uint16_t port, struct resolve_list *list)
{
	int error = resolve_literal_list(text, port, list);

	if (error == EAI_NONAME)
		error = look_up(text, port, AI_ADDRCONFIG, list);
	return error;
}

/* The first of them. */
static int
take_first(int error, const struct resolve_list *list, struct sockaddr_storage *address,
	   uint32_t *length)
{
	*length = 0;
	if (error != 0)
		return error;
	*length = resolve_length(&list->address[0]);
	memset(address, 0, sizeof *address);
	memcpy(address, &list->address[0], *length);
	return 0;
}

int
resolve_literal(const char *text, uint16_t port, struct sockaddr_storage *address, uint32_t *length)
{
	struct resolve_list list;
	int error = resolve_literal_list(text, port, &list);

	return take_first(error, &list, address, length);
}

int
resolve_address(const char *text, uint16_t port, struct sockaddr_storage *address, uint32_t *length)
{
	struct resolve_list list;
	int error = resolve_list(text, port, &list);

	return take_first(error, &list, address, length);
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
