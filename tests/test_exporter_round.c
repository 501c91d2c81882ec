/*
 * test_exporter_round.c - what the exporter asks, and what it makes of answers: the order of verbs,
 * pages, refusals, and everything that no daemon of ours would say.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/exporter_round.h"

static struct exporter_round exporter;

static void
begin(enum exporter_what what)
{
	cr_assert(exporter_round_init(&exporter));
	exporter.what = what;
	exporter_round_begin(&exporter);
}

/* The request that it makes now. */
static Relay__Control__Request *
asked(void)
{
	uint8_t bytes[EXPORTER_REQUEST_MAX];
	size_t len = exporter_round_request(&exporter, bytes);

	cr_assert_leq(len, sizeof bytes);
	return relay__control__request__unpack(NULL, len, bytes);
}

static void
expect(const char *verb, const char *cursor)
{
	Relay__Control__Request *request = asked();

	cr_assert_not_null(request);
	cr_assert_str_eq(request->verb, verb);
	cr_assert_str_eq(request->cursor, cursor);
	cr_assert_eq(request->id, exporter.last_id);
	cr_assert_neq(request->id, 0);
	relay__control__request__free_unpacked(request, NULL);
}

static enum exporter_progress
give(const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(len + 1);

	protobuf_c_message_pack(message, bytes);
	enum exporter_progress progress = message->descriptor == &relay__control__hello__descriptor
					      ? exporter_round_hello(&exporter, bytes, len)
					      : exporter_round_reply(&exporter, bytes, len);
	free(bytes);
	return progress;
}

static Relay__Control__Reply
reply_now(void)
{
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	reply.id = exporter.last_id;
	return reply;
}

static enum exporter_progress
give_health(void)
{
	Relay__Control__Reply reply = reply_now();
	Relay__Control__Health health;

	relay__control__health__init(&health);
	health.live = true;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HEALTH;
	reply.health = &health;
	return give(&reply.base);
}

static enum exporter_progress
give_info(void)
{
	Relay__Control__Reply reply = reply_now();
	Relay__Control__Info info;

	relay__control__info__init(&info);
	info.hosts = 7;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_INFO;
	reply.info = &info;
	return give(&reply.base);
}

static enum exporter_progress
give_stats(size_t hosts, const char *next)
{
	Relay__Control__Reply reply = reply_now();
	Relay__Control__Stats stats;
	Relay__Control__HostStats host;
	Relay__Control__HostStats **list = calloc(hosts + 1, sizeof(void *));
	char *cursor = strdup(next);

	relay__control__stats__init(&stats);
	relay__control__host_stats__init(&host);
	for (size_t i = 0; i < hosts; i++)
		list[i] = &host;
	stats.n_host = hosts;
	stats.host = list;
	stats.generation = exporter.pages + 1;
	reply.next_cursor = cursor;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_STATS;
	reply.stats = &stats;
	enum exporter_progress progress = give(&reply.base);
	free(cursor);
	free(list);
	return progress;
}

static void
to_stats(void)
{
	begin(EXPORTER_ALL);
	expect("health", "");
	cr_assert_eq(give_health(), EXPORTER_MORE);
	expect("info", "");
	cr_assert_eq(give_info(), EXPORTER_MORE);
	expect("stats", "");
}

Test(exporter_round, health_alone)
{
	begin(EXPORTER_HEALTH);
	expect("health", "");
	cr_assert_eq(give_health(), EXPORTER_DONE);
	cr_assert(exporter.daemon.health->live);
	cr_assert_null(exporter.daemon.stats);
	exporter_round_fini(&exporter);
}

Test(exporter_round, everything)
{
	to_stats();
	cr_assert_eq(give_stats(3, ""), EXPORTER_DONE);
	cr_assert_eq(exporter.daemon.info->hosts, 7);
	cr_assert_eq(exporter.daemon.host_count, 3);
	cr_assert_not_null(exporter.daemon.health);
	/* The next round knows nothing of this one. */
	exporter_round_begin(&exporter);
	cr_assert_null(exporter.daemon.health);
	cr_assert_eq(exporter.daemon.host_count, 0);
	expect("health", "");
	exporter_round_fini(&exporter);
}

Test(exporter_round, pages)
{
	to_stats();
	cr_assert_eq(give_stats(200, "200"), EXPORTER_MORE);
	expect("stats", "200");
	cr_assert_eq(give_stats(200, "end"), EXPORTER_MORE);
	expect("stats", "end");
	cr_assert_eq(give_stats(1, ""), EXPORTER_DONE);
	cr_assert_eq(exporter.daemon.host_count, 401);
	/* What is beside the hosts is the first page's. */
	cr_assert_eq(exporter.daemon.stats->generation, 1);
	exporter_round_fini(&exporter);
}

Test(exporter_round, pages_have_an_end)
{
	to_stats();
	cr_assert_eq(give_stats(0, "x"), EXPORTER_MORE);
	expect("stats", "x");
	cr_assert_eq(give_stats(0, "x"), EXPORTER_DONE);
	exporter_round_fini(&exporter);

	to_stats();
	unsigned pages = 1;
	while (give_stats(1, "again") == EXPORTER_MORE) {
		expect("stats", "again");
		pages++;
	}
	cr_assert_eq(pages, 512);
	exporter_round_fini(&exporter);
}

/* What is behind them takes no memory. */
Test(exporter_round, many_hosts_are_only_summed)
{
	to_stats();
	cr_assert_eq(give_stats(EXPORTER_HOSTS_MAX - 1, "a"), EXPORTER_MORE);
	expect("stats", "a");
	cr_assert_eq(give_stats(1000, "b"), EXPORTER_MORE);
	cr_assert_eq(exporter.daemon.host_count, EXPORTER_HOSTS_MAX);
	cr_assert_eq(exporter.daemon.rest->count, 999);
	size_t used = exporter.arena.used;
	expect("stats", "b");
	cr_assert_eq(give_stats(1000, "c"), EXPORTER_MORE);
	cr_assert_eq(exporter.arena.used, used);
	expect("stats", "c");
	cr_assert_eq(give_stats(1, ""), EXPORTER_DONE);
	cr_assert_eq(exporter.arena.used, used);
	cr_assert_eq(exporter.daemon.rest->count, 2000);
	cr_assert_not(exporter.cut);
	exporter_round_begin(&exporter);
	cr_assert_eq(exporter.daemon.rest->count, 0);
	exporter_round_fini(&exporter);

	to_stats();
	cr_assert_eq(give_stats(EXPORTER_HOSTS_MAX, "a"), EXPORTER_MORE);
	cr_assert_eq(give_stats(0, "a"), EXPORTER_DONE);
	cr_assert(exporter.cut);
	exporter_round_fini(&exporter);
}

Test(exporter_round, cursors_are_bounded)
{
	char cursor[EXPORTER_CURSOR_MAX + 2];

	memset(cursor, 'c', sizeof cursor - 1);
	cursor[sizeof cursor - 1] = '\0';
	to_stats();
	cr_assert_eq(give_stats(1, cursor + 1), EXPORTER_MORE);
	expect("stats", cursor + 1);
	cr_assert_eq(give_stats(1, cursor), EXPORTER_DONE);
	exporter_round_fini(&exporter);
}

Test(exporter_round, a_refusal_ends_the_round_alone)
{
	static char error[] = "you may\033[2J not";
	begin(EXPORTER_ALL);
	expect("health", "");
	Relay__Control__Reply reply = reply_now();

	reply.code = RELAY__CONTROL__CODE__DENIED;
	reply.error = error;
	cr_assert_eq(give(&reply.base), EXPORTER_REFUSED);
	cr_assert_str_eq(exporter.error, "health: you may?[2J not");
	exporter_round_fini(&exporter);
}

Test(exporter_round, what_no_daemon_says)
{
	begin(EXPORTER_ALL);
	expect("health", "");
	cr_assert_eq(give_info(), EXPORTER_BROKEN);
	exporter.last_id++;
	Relay__Control__Reply reply = reply_now();
	reply.id--;
	cr_assert_eq(give(&reply.base), EXPORTER_BROKEN);
	cr_assert_not_null(strstr(exporter.error, "not asked"));
	/* Without a body, and as one of many. */
	reply = reply_now();
	cr_assert_eq(give(&reply.base), EXPORTER_BROKEN);
	cr_assert_eq(exporter_round_reply(&exporter, (const uint8_t *)"\xff\xff", 2),
		     EXPORTER_BROKEN);
	cr_assert_not_null(strstr(exporter.error, "malformed"));
	exporter_round_fini(&exporter);
}

Test(exporter_round, memory_is_bounded)
{
	/* Empty hosts: two bytes each, which unpack to dozens. */
	size_t len = (size_t)3 * 1024 * 1024;
	uint8_t *bytes = calloc(1, len + 16);
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	to_stats();
	reply.id = exporter.last_id;
	size_t at = protobuf_c_message_pack(&reply.base, bytes);
	/* Field 19, of as many bytes as follow, in a varint of four. */
	bytes[at++] = 0x9a;
	bytes[at++] = 0x01;
	for (unsigned shift = 0; shift < 28; shift += 7)
		bytes[at++] = (uint8_t)((len >> shift & 0x7f) | (shift < 21 ? 0x80 : 0));
	cr_assert_leq(at, 16);
	for (size_t i = 0; i < len; i += 2)
		bytes[at + i] = 0x12;
	cr_assert_eq(exporter_round_reply(&exporter, bytes, at + len), EXPORTER_BROKEN);
	cr_assert_not_null(strstr(exporter.error, "too large"));
	free(bytes);
	exporter_round_fini(&exporter);
}

Test(exporter_round, hello)
{
	Relay__Control__Hello hello;
	Relay__Control__Reply reply;
	static char limit[] = "too many connections";
	uint8_t bytes[64];

	relay__control__hello__init(&hello);
	relay__control__reply__init(&reply);
	begin(EXPORTER_ALL);
	hello.protocol = 1;
	hello.pid = 77;
	cr_assert_eq(give(&hello.base), EXPORTER_MORE);
	cr_assert_eq(exporter.keeper_pid, 77);
	hello.protocol = 2;
	cr_assert_eq(give(&hello.base), EXPORTER_BROKEN);
	cr_assert_not_null(strstr(exporter.error, "protocol 2"));
	hello.protocol = 0;
	cr_assert_eq(give(&hello.base), EXPORTER_BROKEN);
	reply.code = RELAY__CONTROL__CODE__LIMIT;
	reply.error = limit;
	size_t len = protobuf_c_message_pack(&reply.base, bytes);
	cr_assert_eq(exporter_round_hello(&exporter, bytes, len), EXPORTER_BROKEN);
	cr_assert_str_eq(exporter.error, limit);
	exporter_round_fini(&exporter);
}

Test(exporter_round, ids_go_round_without_zero)
{
	begin(EXPORTER_HEALTH);
	exporter.last_id = UINT32_MAX;
	expect("health", "");
	cr_assert_eq(exporter.last_id, 1);
	exporter_round_fini(&exporter);
}
