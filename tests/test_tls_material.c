/*
 * What is in files of certificates and keys: taken with name and times, or refused with the file
 * that is to blame.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/tls_material.h"
#include "tests/tls_stage.h"

#define DAY 86400

static struct tls_identity *ca;
static struct tls_identity *leaf;
static struct tls_material found;
static enum tls_file which;

static void
make(void)
{
	ca = tls_identity_new(&(struct tls_wish){ .until = TLS_STAGE_NOW + 100 * DAY });
	leaf = tls_identity_new(&(struct tls_wish){ .issuer = ca,
						    .dns = "a.example.org",
						    .from = TLS_STAGE_NOW - 7 * DAY,
						    .until = TLS_STAGE_NOW + 5 * DAY });
}

static void
drop(void)
{
	tls_identity_free(leaf);
	tls_identity_free(ca);
}

TestSuite(tls_material, .init = make, .fini = drop);

static const char *
look(struct wire_span authorities, struct wire_span chain, struct wire_span key)
{
	const struct wire_span files[TLS_FILE_COUNT] = { authorities, chain, key };

	return tls_material_look(files, &found, &which);
}

/* One text behind the other, as long as the test runs. */
static struct wire_span
joined(struct wire_span a, struct wire_span b)
{
	uint8_t *both = malloc(a.len + b.len);

	cr_assert_not_null(both);
	memcpy(both, a.data, a.len);
	memcpy(both + a.len, b.data, b.len);
	return wire_span(both, a.len + b.len);
}

Test(tls_material, what_can_serve)
{
	struct wire_span cert = tls_identity_cert(leaf), key = tls_identity_key(leaf);

	cr_assert_null(look(tls_identity_cert(ca), cert, key));
	cr_assert_str_eq(found.name, "a.example.org");
	cr_assert_eq(found.not_before, TLS_STAGE_NOW - 7 * DAY);
	cr_assert_eq(found.not_after, TLS_STAGE_NOW + 5 * DAY);
	cr_assert_eq(found.ca_not_after, TLS_STAGE_NOW + 100 * DAY);
}

Test(tls_material, of_a_chain_the_first_end_counts_and_of_authorities_the_last)
{
	struct tls_identity *between = tls_identity_new(
	    &(struct tls_wish){ .issuer = ca, .dns = "b", .until = TLS_STAGE_NOW + 2 * DAY });
	struct wire_span chain = joined(tls_identity_cert(leaf), tls_identity_cert(between));
	struct wire_span authorities = joined(tls_identity_cert(between), tls_identity_cert(ca));

	cr_assert_null(look(authorities, chain, tls_identity_key(leaf)));
	cr_assert_eq(found.not_after, TLS_STAGE_NOW + 2 * DAY);
	cr_assert_str_eq(found.name, "a.example.org");
	cr_assert_eq(found.ca_not_after, TLS_STAGE_NOW + 100 * DAY);
	free((void *)(uintptr_t)chain.data);
	free((void *)(uintptr_t)authorities.data);
	tls_identity_free(between);
}

Test(tls_material, what_is_not_what_it_should_be)
{
	struct wire_span authorities = tls_identity_cert(ca), cert = tls_identity_cert(leaf);
	struct wire_span key = tls_identity_key(leaf), none = wire_span("", 0);

	const struct {
		struct wire_span files[TLS_FILE_COUNT];
		enum tls_file which;
		const char *why;
	} cases[] = {
		{ { none, cert, key }, TLS_FILE_CA, "no certificate" },
		{ { key, cert, key }, TLS_FILE_CA, "no certificate" },
		{ { authorities, none, key }, TLS_FILE_CERT, "no certificate" },
		{ { authorities, key, key }, TLS_FILE_CERT, "no certificate" },
		{ { authorities, cert, none }, TLS_FILE_KEY, "no private key" },
		{ { authorities, cert, cert }, TLS_FILE_KEY, "no private key" },
		{ { authorities, cert, tls_identity_key(ca) }, TLS_FILE_KEY, "not the key" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *why = look(cases[i].files[0], cases[i].files[1], cases[i].files[2]);

		cr_assert_not_null(why, "case %zu", i);
		cr_assert_not_null(strstr(why, cases[i].why), "case %zu: %s", i, why);
		cr_assert_eq(which, cases[i].which, "case %zu", i);
	}
}

/* A file that is being written: never half of a chain, never a crash. */
Test(tls_material, cut_anywhere)
{
	struct wire_span authorities = tls_identity_cert(ca), cert = tls_identity_cert(leaf);
	struct wire_span key = tls_identity_key(leaf);

	/* Without the line's end it is whole. */
	for (size_t len = 0; len + 1 < cert.len; len++)
		cr_assert_not_null(look(authorities, wire_span(cert.data, len), key), "%zu", len);
	for (size_t len = 0; len + 1 < key.len; len++)
		cr_assert_not_null(look(authorities, cert, wire_span(key.data, len)), "%zu", len);
	struct wire_span two = joined(cert, authorities);
	for (size_t len = cert.len + 30; len + 1 < two.len; len++)
		cr_assert_not_null(look(authorities, wire_span(two.data, len), key), "%zu", len);
	free((void *)(uintptr_t)two.data);
}

Test(tls_material, digests_tell_parts_apart)
{
	const struct wire_span a[] = { wire_span_str("ab"), wire_span_str("c") };
	const struct wire_span b[] = { wire_span_str("a"), wire_span_str("bc") };
	uint8_t first[TLS_DIGEST_SIZE], second[TLS_DIGEST_SIZE];

	tls_material_digest(a, 2, first);
	tls_material_digest(b, 2, second);
	cr_assert_neq(memcmp(first, second, sizeof first), 0);
	tls_material_digest(a, 2, second);
	cr_assert_eq(memcmp(first, second, sizeof first), 0);
}
