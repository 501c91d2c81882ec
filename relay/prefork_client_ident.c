/*
 * prefork_client_ident.c - the computed name of a service.
 *
 * Never creates or opens anything; the same facts give the same name.  The hash is BoringSSL's,
 * whose calls cannot fail.  Owns nothing.
 */
#include "relay/prefork_client_ident.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/sha.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "these are OpenSSL's headers: BoringSSL's have to come first (-isystem /usr/include/android)"
#endif

/* What everything begins with: presumably which composition this is. */
#define COMPOSITION 1

static void
add_tag(SHA256_CTX *hash, char tag)
{
	SHA256_Update(hash, &tag, 1);
}

static void
add_number(SHA256_CTX *hash, uint64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	SHA256_Update(hash, bytes, sizeof bytes);
}

static void
add_text(SHA256_CTX *hash, char tag, const char *text)
{
	add_tag(hash, tag);
	SHA256_Update(hash, text, strlen(text) + 1);
}

static void
add_inode(SHA256_CTX *hash, char tag, struct prefork_inode inode)
{
	add_tag(hash, tag);
	add_number(hash, inode.device);
	add_tag(hash, 'i');
	add_number(hash, inode.number);
}

static void
add_item(SHA256_CTX *hash, const struct prefork_item *item)
{
	add_text(hash, item->option, item->text);
	if (item->option == 'E') {
		const char *value = getenv(item->text);

		if (value)
			add_text(hash, 'v', value);
		else
			add_tag(hash, '\0');
	}
}

static int
look_at(struct prefork_inode *inode, const char *path)
{
	struct stat found;

	if (stat(path, &found) != 0)
		return -errno;
	*inode = (struct prefork_inode){ found.st_dev, found.st_ino };
	return 0;
}

int
prefork_ident_look(struct prefork_ident_facts *facts)
{
	int error;

	memset(facts, 0, sizeof *facts);
	if (uname(&facts->system) != 0)
		return -errno;
	error = look_at(&facts->working, ".");
	return error != 0 ? error : look_at(&facts->root, "/");
}

void
prefork_ident_compute(char ident[static PREFORK_IDENT_DIGITS + 1],
		      const struct prefork_ident_facts *facts, const struct prefork_item *items,
		      size_t items_len, char *const *command)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX hash;

	SHA256_Init(&hash);
	add_tag(&hash, COMPOSITION);
	add_tag(&hash, 'u');
	add_number(&hash, sizeof facts->system);
	add_tag(&hash, 'u');
	SHA256_Update(&hash, &facts->system, sizeof facts->system);
	add_inode(&hash, '.', facts->working);
	add_inode(&hash, '/', facts->root);
	for (size_t i = 0; i < items_len; i++)
		add_item(&hash, &items[i]);
	add_text(&hash, 'i', command[0]);
	if (command[1])
		add_text(&hash, 's', command[1]);
	SHA256_Final(digest, &hash);

	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		ident[2 * i] = digits[digest[i] >> 4];
		ident[2 * i + 1] = digits[digest[i] & 15];
	}
	ident[PREFORK_IDENT_DIGITS] = '\0';
}
