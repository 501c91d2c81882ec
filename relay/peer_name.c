/*
 * peer_name.c - see peer_name.h.  Pure: no clock, no memory, no resolver.
 */
#include "relay/peer_name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 253,
	LABEL_MAX_BYTES = 63,
};

static const char digits[] = "0123456789";
static const char letters_digits[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static bool
is_address(const char *text)
{
	struct in6_addr room; /* for both families */

	return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1;
}

static bool
is_alphanumeric(char byte)
{
	return byte != '\0' && strchr(letters_digits, byte) != NULL;
}

static bool
is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX_BYTES || !is_alphanumeric(label[0]) ||
	    !is_alphanumeric(label[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(label[i]) && label[i] != '-')
			return false;
	}
	return true;
}

bool
peer_name_is_valid(const char *text)
{
	size_t len = 0;

	if (is_address(text))
		return true;
	if (strlen(text) > NAME_MAX_BYTES)
		return false;
	for (;; text += len + 1) {
		len = strcspn(text, ".");
		if (!is_label(text, len))
			return false;
		if (text[len] == '\0')
			break;
	}
	/* A number there is an address that was mistyped. */
	return strspn(text, digits) != len;
}
