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
resolve_address_equal(const union resolve_address *a, const union resolve_address *b)
{
	return memcmp(a, b, resolve_length(a)) == 0;
}

uint32_t
resolve_list_find(const struct resolve_list *list, const union resolve_address *address)
{
	uint32_t i = 0;

	while (i < list->count && !resolve_address_equal(&list->address[i], address))
		i++;
	return i;
}

bool
resolve_list_equal(const struct resolve_list *a, const struct resolve_list *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (!resolve_address_equal(&a->address[i], &b->address[i]))
			return false;
	}
	return true;
}

bool
resolve_list_same(const struct resolve_list *a, const struct resolve_list *b)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (resolve_list_find(b, &a->address[i]) == b->count)
			return false;
	}
	return a->count == b->count;
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
	for (const struct addrinfo *at = found; at != NULL && list->count < RESOLVE_ADDRESSES_MAX;
	     at = at->ai_next) {
		union resolve_address *next = &list->address[list->count];
		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		memcpy(next, at->ai_addr, at->ai_addrlen);
		/* Each once, so that lists can be compared and none is tried twice. */
		if (resolve_list_find(list, next) == list->count)
			list->count++;
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

const char *
resolve_error_text(int error)
{
	return gai_strerror(error);
}

void
resolve_text(const struct sockaddr *address, char text[static RESOLVE_TEXT_MAX])
{
	const void *at = NULL;

	if (address->sa_family == AF_INET)
		at = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		at = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	text[0] = '\0';
	if (at != NULL)
		inet_ntop(address->sa_family, at, text, RESOLVE_TEXT_MAX);
}
