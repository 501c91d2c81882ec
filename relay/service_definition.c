/*
 * service_definition.c - see service_definition.h.
 *
 * Pure but for the question who the process is.  Owns nothing.
 */
#include "relay/service_definition.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct service_definition_socket
service_definition_socket(const struct config_service *service, bool extended)
{
	struct service_definition_socket socket = {
		.path = extended ? service->extended_path : service->path,
		/* Who may call is said by the list; without it, by the rights. */
		.mode = service->settings.allow_uids != NULL ? 0666 : 0600,
		.uid = OWNER_NOBODY_UID,
	};

	if (service->settings.ident != NULL)
		socket.uid =
		    service->run_as.uid != OWNER_NOBODY_UID ? service->run_as.uid : geteuid();
	return socket;
}

/* FNV-1a, 64 bits. */
static void
add_bytes(uint64_t *digest, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*digest = (*digest ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
}

static void
add_number(uint64_t *digest, uint64_t number)
{
	add_bytes(digest, &number, sizeof number);
}

/* With its NUL, so that two texts are not the same as one. */
static void
add_text(uint64_t *digest, const char *text)
{
	add_number(digest, text != NULL);
	if (text != NULL)
		add_bytes(digest, text, strlen(text) + 1);
}

uint64_t
service_definition_digest(const struct config_service *service)
{
	uint64_t digest = 0xcbf29ce484222325u;

	add_text(&digest, service->name);
	for (int extended = 0; extended <= 1; extended++) {
		struct service_definition_socket socket =
		    service_definition_socket(service, extended != 0);
		add_text(&digest, socket.path);
		add_number(&digest, socket.mode);
		add_number(&digest, socket.uid);
	}
	for (char *const *word = service->settings.command; word != NULL && *word != NULL; word++)
		add_text(&digest, *word);
	add_number(&digest, service->run_as.uid);
	add_number(&digest, service->run_as.gid);
	add_number(&digest, service->settings.start_timeout_ms);
	return digest;
}
