/*
 * tls_material.h - what is in files of certificates and keys: whether it can serve, whom it names
 * and until when.  PEM in, no files, no clock.
 */
#ifndef RELAY_TLS_MATERIAL_H
#define RELAY_TLS_MATERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define TLS_MATERIAL_NAME_SIZE 256
#define TLS_DIGEST_SIZE        32

/* Longest file of each kind; a bundle of all public authorities has less than half of it. */
#define TLS_CA_MAX   ((size_t)1024 * 1024)
#define TLS_CERT_MAX ((size_t)256 * 1024)
#define TLS_KEY_MAX  ((size_t)64 * 1024)

enum tls_file {
	TLS_FILE_CA,
	TLS_FILE_CERT,
	TLS_FILE_KEY,
	TLS_FILE_COUNT,
};

struct tls_material {
	char name[TLS_MATERIAL_NAME_SIZE]; /* the first that the own certificate has */
	int64_t not_before;                /* of the own chain, seconds since 1970: the latest */
	int64_t not_after;                 /* likewise, the earliest */
	int64_t ca_not_after;              /* of the authorities, the latest */
};

/*
 * Looks at the PEM text of the three files.  NULL: they can serve, and *found is filled.  Else what
 * is wrong with the file *which, in words.
 */
const char *tls_material_look(const struct wire_span files[TLS_FILE_COUNT],
			      struct tls_material *found, enum tls_file *which);

/* Two sequences have the same digest if the same is in each of their parts (SHA-256). */
void tls_material_digest(const struct wire_span *parts, size_t count,
			 uint8_t digest[TLS_DIGEST_SIZE]);

#endif
