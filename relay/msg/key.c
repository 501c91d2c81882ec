/*
 * key.c - reads a client's key from a file like relayd's own: lines `ID KEY`.
 *
 * Never takes one that others may read, or the group change.  All copies of keys but the caller's
 * are wiped.
 */
/* All else is hidden. */
#pragma GCC visibility push(default)
#include "relay/msg.h"
#pragma GCC visibility pop

#include "wire/datagram_keys.h"
#include "wire/datagram_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A client has one key or a few; relayd's own file has its own reader. */
#define KEYS_MAX 1024
#define TEXT_MAX (128 * 1024)
/* As relayd refuses it of a secret: the group anything but to read, others anything. */
#define REFUSED (S_IWGRP | S_IXGRP | S_IRWXO)

static ssize_t
read_all(int fd, uint8_t *text, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = read(fd, text + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
	}
	return -EINVAL;
}

static int
choose(const struct datagram_key *keys, size_t count, uint64_t *client, uint8_t *secret)
{
	const struct datagram_key *key = NULL;

	if (*client != 0)
		key = datagram_keys_find(keys, count, *client);
	else if (count == 1)
		key = &keys[0];
	if (key == NULL)
		return -ENOENT;
	*client = key->client;
	memcpy(secret, key->secret, DATAGRAM_KEY_SIZE);
	return 0;
}

static int
parse(struct wire_span text, uint64_t *client, uint8_t *secret)
{
	struct datagram_key *keys = calloc(KEYS_MAX, sizeof *keys);
	size_t count;
	uint32_t line;
	int error = -EINVAL;

	if (keys == NULL)
		return -ENOMEM;
	if (datagram_keys_parse(keys, KEYS_MAX, &count, text, &line) == DATAGRAM_KEYS_FINE)
		error = choose(keys, count, client, secret);
	datagram_wipe(keys, KEYS_MAX * sizeof *keys);
	free(keys);
	return error;
}

int
relay_msg_read_key(const char *path, uint64_t *client, uint8_t key[RELAY_MSG_KEY_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat about;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &about) != 0)
		error = -errno;
	else if (!S_ISREG(about.st_mode))
		error = -EINVAL;
	else if ((about.st_mode & REFUSED) != 0)
		error = -EPERM;
	uint8_t *text = error == 0 ? malloc(TEXT_MAX) : NULL;
	if (text != NULL) {
		ssize_t len = read_all(fd, text, TEXT_MAX);
		error = len < 0 ? (int)len : parse(wire_span(text, (size_t)len), client, key);
		datagram_wipe(text, TEXT_MAX);
		free(text);
	} else if (error == 0) {
		error = -ENOMEM;
	}
	close(fd);
	return error;
}
