/*
 * tls_material.c - looks at certificates and keys by BoringSSL, before anything relies on them.
 *
 * Never opens a file, never asks for a password, keeps nothing.  Owns nothing: what is parsed is
 * freed before it returns, and BoringSSL wipes the keys that it frees.
 */
#include "relay/tls_material.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "the headers of OpenSSL were found instead of BoringSSL's: compile with -isystem of those"
#endif

/* A chain as it is sent, and what a bundle of authorities may have. */
enum {
	CHAIN_MAX = 16,
	AUTHORITIES_MAX = 257,
};

/* A key with a password would make the relay wait for somebody who types it. */
static int
no_password(char *out, int size, int writing, void *context)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

/* Seconds since 1970; a time that cannot be read is one that is long over. */
static int64_t
seconds_of(const ASN1_TIME *time)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool good = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;

	ASN1_TIME_free(epoch);
	return good ? (int64_t)days * 86400 + seconds : INT64_MIN;
}

static bool
copy_name(char name[TLS_MATERIAL_NAME_SIZE], const unsigned char *text, int len)
{
	if (text == NULL || len <= 0 || len >= TLS_MATERIAL_NAME_SIZE ||
	    memchr(text, '\0', (size_t)len) != NULL)
		return false;
	memcpy(name, text, (size_t)len);
	name[len] = '\0';
	return true;
}

/* The first of its alternative names that is a DNS name; else the common one; else "". */
static void
name_of(X509 *certificate, char name[TLS_MATERIAL_NAME_SIZE])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	name[0] = '\0';
	for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);

		found = one->type == GEN_DNS &&
			copy_name(name, one->d.dNSName->data, one->d.dNSName->length);
	}
	GENERAL_NAMES_free(names);
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (found || at < 0)
		return;
	ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	(void)copy_name(name, text->data, text->length);
}

static BIO *
open_text(struct wire_span text)
{
	return text.len > INT_MAX ? NULL : BIO_new_mem_buf(text.data, (int)text.len);
}

/* Whether PEM_read_bio found that there is no further block, rather than a bad one. */
static bool
ended_well(void)
{
	uint32_t error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static const char *
look_at_authorities(BIO *text, struct tls_material *found)
{
	X509 *one = NULL;
	size_t count = 0;

	found->ca_not_after = INT64_MIN;
	while (count < AUTHORITIES_MAX &&
	       (one = PEM_read_bio_X509(text, NULL, no_password, NULL)) != NULL) {
		int64_t after = seconds_of(X509_get0_notAfter(one));

		if (after > found->ca_not_after)
			found->ca_not_after = after;
		X509_free(one);
		count++;
	}
	if (count == AUTHORITIES_MAX)
		return "has too many certificates";
	if (!ended_well())
		return "has a certificate that cannot be read";
	return count == 0 ? "has no certificate (PEM) in it" : NULL;
}

/* The first one is the leaf, which is given back. */
static const char *
look_at_chain(BIO *text, struct tls_material *found, X509 **leaf)
{
	X509 *one = NULL;
	size_t count = 0;

	found->not_after = INT64_MAX;
	found->not_before = INT64_MIN;
	while (count < CHAIN_MAX &&
	       (one = PEM_read_bio_X509(text, NULL, no_password, NULL)) != NULL) {
		int64_t after = seconds_of(X509_get0_notAfter(one));
		int64_t before = seconds_of(X509_get0_notBefore(one));

		if (after < found->not_after)
			found->not_after = after;
		if (before > found->not_before)
			found->not_before = before;
		if (count++ == 0)
			*leaf = one;
		else
			X509_free(one);
	}
	if (count == CHAIN_MAX)
		return "has too long a chain of certificates";
	if (!ended_well())
		return "has a certificate that cannot be read";
	if (count == 0)
		return "has no certificate (PEM) in it";
	name_of(*leaf, found->name);
	return NULL;
}

static const char *
look_at_key(BIO *text, X509 *leaf)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, no_password, NULL);

	if (key == NULL)
		return "has no private key (PEM, without a password) in it";
	const char *wrong = X509_check_private_key(leaf, key) == 1
				? NULL
				: "is not the key of the certificate in cert";
	EVP_PKEY_free(key);
	return wrong;
}

const char *
tls_material_look(const struct wire_span files[TLS_FILE_COUNT], struct tls_material *found,
		  enum tls_file *which)
{
	BIO *texts[TLS_FILE_COUNT];
	const char *wrong = NULL;
	X509 *leaf = NULL;

	memset(found, 0, sizeof *found);
	for (size_t i = 0; i < TLS_FILE_COUNT; i++)
		texts[i] = open_text(files[i]);
	for (size_t i = 0; i < TLS_FILE_COUNT && wrong == NULL; i++) {
		*which = (enum tls_file)i;
		ERR_clear_error();
		if (texts[i] == NULL)
			wrong = "cannot be looked at: out of memory";
		else if (i == TLS_FILE_CA)
			wrong = look_at_authorities(texts[i], found);
		else if (i == TLS_FILE_CERT)
			wrong = look_at_chain(texts[i], found, &leaf);
		else
			wrong = look_at_key(texts[i], leaf);
	}
	for (size_t i = 0; i < TLS_FILE_COUNT; i++)
		BIO_free(texts[i]);
	X509_free(leaf);
	ERR_clear_error();
	return wrong;
}

void
tls_material_digest(const struct wire_span *parts, size_t count, uint8_t digest[TLS_DIGEST_SIZE])
{
	SHA256_CTX hash;

	SHA256_Init(&hash);
	for (size_t i = 0; i < count; i++) {
		uint64_t len = parts[i].len;

		SHA256_Update(&hash, &len, sizeof len);
		SHA256_Update(&hash, parts[i].data, parts[i].len);
	}
	SHA256_Final(digest, &hash);
}
