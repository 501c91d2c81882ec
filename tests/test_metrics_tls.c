/*
 * test_metrics_tls.c - metrics of certificates and gateways: seconds that are left, also fewer than
 * none; each label once; each end a series; nothing where there is nothing of the kind.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/metrics_gateways.h"
#include "relay/metrics_tls.h"

#define SECOND UINT64_C(1000000)
#define NOW    (1700000000 * SECOND)
#define MANY   400

static Relay__Control__Stats stats;
static struct metrics_hosts hosts;
static struct metrics_text text;
static char *written;

static void
up(void)
{
	relay__control__stats__init(&stats);
	metrics_text_init(&text, 1u << 20);
}

static void
down(void)
{
	free(written);
	metrics_text_fini(&text);
}

TestSuite(metrics_tls, .init = up, .fini = down);

static void
is_written(const char *line)
{
	free(written);
	written = strndup(text.bytes, text.len);
	cr_assert_not_null(written);
	cr_assert_not_null(strstr(written, line), "%s is not in\n%s", line, written);
}

static size_t
times(const char *part)
{
	size_t n = 0;

	free(written);
	written = strndup(text.bytes, text.len);
	for (const char *at = written; (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

Test(metrics_tls, nothing_of_nothing)
{
	metrics_tls_write(&text, &hosts, &stats, NOW);
	metrics_gateways_write(&text, &stats);
	cr_assert_eq(text.len, 0);
}

Test(metrics_tls, own_certificates)
{
	static char names[MANY][24];
	static Relay__Control__Certificate one[MANY];
	static Relay__Control__Certificate *list[MANY];

	for (size_t i = 0; i < MANY; i++) {
		relay__control__certificate__init(&one[i]);
		snprintf(names[i], sizeof names[i], "/c\"%zu", i < 3 ? i : i - 1);
		one[i].file = names[i];
		one[i].expires = NOW + 90 * SECOND + i;
		list[i] = &one[i];
	}
	one[1].expires = NOW - 5 * SECOND;
	stats.certificate = list;
	stats.n_certificate = MANY;
	metrics_tls_write(&text, &hosts, &stats, NOW);
	is_written("# TYPE relay_tls_certificate_expiry_seconds gauge\n");
	is_written("relay_tls_certificate_expiry_seconds{file=\"/c\\\"0\"} 90\n");
	is_written("relay_tls_certificate_expiry_seconds{file=\"/c\\\"1\"} -5\n");
	cr_assert_eq(times("{file=\"/c\\\"2\"}"), 1, "the same label only once");
	cr_assert_leq(times("{file="), 256, "whatever the daemon says");
}

Test(metrics_tls, certificates_of_peers)
{
	metrics_text_init(&hosts.labels, 100);
	metrics_text_put(&hosts.labels, "host=\"a\"host=\"b\"");
	hosts.count = 2;
	hosts.row[0] = (struct metrics_row){ .label_at = 0, .label_len = 8 };
	hosts.row[1] =
	    (struct metrics_row){ .label_at = 8, .label_len = 8, .peer_expires = NOW + 7 * SECOND };
	metrics_tls_write(&text, &hosts, &stats, NOW);
	is_written("\nrelay_tls_peer_certificate_expiry_seconds{host=\"b\"} 7\n");
	cr_assert_eq(times("{host="), 1, "of a host that has shown none there is none");
	metrics_text_fini(&hosts.labels);
}

Test(metrics_tls, gateways)
{
	char name[] = "g", expired[] = "expired", odd[] = "un\"heard_of";
	Relay__Control__Reason reasons[2];
	Relay__Control__Reason *ends[] = { &reasons[0], &reasons[1] };
	Relay__Control__Gateway gateway;
	Relay__Control__Gateway *list[] = { &gateway, &gateway };

	for (size_t i = 0; i < 2; i++) {
		relay__control__reason__init(&reasons[i]);
		reasons[i].reason = i == 0 ? expired : odd;
		reasons[i].count = 3 + i;
	}
	relay__control__gateway__init(&gateway);
	gateway.name = name;
	gateway.open = 2;
	gateway.accepted = 11;
	gateway.ends = ends;
	gateway.n_ends = 2;
	stats.gateway = list;
	stats.n_gateway = 2;
	metrics_gateways_write(&text, &stats);
	is_written("relay_gateway_links{gateway=\"g\"} 2\n");
	is_written("relay_gateway_accepted_total{gateway=\"g\"} 11\n");
	is_written("relay_gateway_link_ends_total{gateway=\"g\",reason=\"expired\"} 3\n");
	is_written("relay_gateway_link_ends_total{gateway=\"g\",reason=\"finished\"} 0\n");
	is_written("relay_gateway_link_ends_total{gateway=\"g\",reason=\"other\"} 4\n");
	cr_assert_eq(times("relay_gateway_links{"), 1, "a name that comes twice counts once");
}
