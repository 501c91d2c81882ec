/*
 * exporter_round.c - see exporter_round.h.  Owns the memory of the answers.
 */
#include "relay/exporter_round.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "relay/control_client.h"
#include "relay/log.h"

enum {
	PAGES_MAX = 512, /* as many as the daemon can have hosts, and then some */
	PAGE_SIZE = 200, /* asked for; the daemon may give fewer */
	VERB_MAX = 16,
};

/* Address space; pages are taken as they are used.  4,096 hosts take about a quarter. */
#define ARENA_SIZE ((size_t)64 * 1024 * 1024)

static_assert(EXPORTER_REQUEST_MAX > EXPORTER_CURSOR_MAX + VERB_MAX + 64, "a request fits");

/* What is asked, in this order: the first is all that EXPORTER_HEALTH needs. */
static const struct {
	const char *verb;
	Relay__Control__Reply__BodyCase body;
} steps[] = {
	{ "health", RELAY__CONTROL__REPLY__BODY_HEALTH },
	{ "info", RELAY__CONTROL__REPLY__BODY_INFO },
	{ "stats", RELAY__CONTROL__REPLY__BODY_STATS },
};

#define STEP_COUNT (sizeof steps / sizeof steps[0])

bool
exporter_round_init(struct exporter_round *round)
{
	memset(round, 0, sizeof *round);
	round->memory = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (round->memory == MAP_FAILED)
		round->memory = NULL;
	return round->memory != NULL;
}

void
exporter_round_fini(struct exporter_round *round)
{
	if (round->memory != NULL)
		munmap(round->memory, ARENA_SIZE);
	round->memory = NULL;
}

/* It may quote the daemon and goes to logs and clients. */
const char *
exporter_round_explain(struct exporter_round *round, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(round->error, sizeof round->error, format, list);
	va_end(list);
	for (char *at = round->error; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
	}
	return round->error;
}

void
exporter_round_begin(struct exporter_round *round)
{
	control_arena_init(&round->arena, round->memory, ARENA_SIZE);
	round->daemon = (struct metrics_daemon){ .hosts = round->hosts, .rest = &round->rest };
	round->rest.count = 0;
	round->step = 0;
	round->pages = 0;
	round->cursor[0] = '\0';
}

size_t
exporter_round_request(struct exporter_round *round, uint8_t out[EXPORTER_REQUEST_MAX])
{
	Relay__Control__Request request;
	char verb[VERB_MAX];

	relay__control__request__init(&request);
	snprintf(verb, sizeof verb, "%s", steps[round->step].verb);
	if (++round->last_id == 0)
		round->last_id = 1;
	request.id = round->last_id;
	request.verb = verb;
	request.cursor = round->cursor;
	if (steps[round->step].body == RELAY__CONTROL__REPLY__BODY_STATS)
		request.page_size = PAGE_SIZE;
	return relay__control__request__pack(&request, out);
}

/* --- what comes ------------------------------------------------------------------------------- */

/* A daemon that has too many connections says so instead. */
enum exporter_progress
exporter_round_hello(struct exporter_round *round, const uint8_t *bytes, size_t len)
{
	const Relay__Control__Hello *hello = (const Relay__Control__Hello *)control_unpack(
	    &relay__control__hello__descriptor, &round->arena, bytes, len);

	if (hello != NULL && hello->protocol == CONTROL_PROTOCOL) {
		round->keeper_pid = hello->pid;
		return EXPORTER_MORE;
	}
	if (hello != NULL && hello->protocol > CONTROL_PROTOCOL) {
		exporter_round_explain(round, "it speaks protocol %u, the exporter %d",
				       hello->protocol, CONTROL_PROTOCOL);
		return EXPORTER_BROKEN;
	}
	const Relay__Control__Reply *reply = (const Relay__Control__Reply *)control_unpack(
	    &relay__control__reply__descriptor, &round->arena, bytes, len);
	if (reply != NULL && reply->code != RELAY__CONTROL__CODE__OK)
		exporter_round_explain(round, "%.200s", reply->error);
	else
		exporter_round_explain(round, "it did not say Hello");
	return EXPORTER_BROKEN;
}

/* Returns how many are kept; the others are summed. */
static size_t
take_hosts(struct exporter_round *round, const Relay__Control__Stats *stats)
{
	size_t room = EXPORTER_HOSTS_MAX - round->daemon.host_count;
	size_t n = stats->n_host < room ? stats->n_host : room;

	if (n > 0)
		memcpy(round->hosts + round->daemon.host_count, stats->host,
		       n * sizeof(Relay__Control__HostStats *));
	round->daemon.host_count += n;
	for (size_t i = n; i < stats->n_host; i++)
		metrics_rest_add(&round->rest, stats->host[i]);
	return n;
}

/*
 * True: there is another page to be asked for.  Pages that bring nothing might never end.  `mark`
 * is what the memory held before this one.
 */
static bool
take_stats(struct exporter_round *round, const Relay__Control__Reply *reply, size_t mark)
{
	bool first = round->pages++ == 0;
	size_t len = strlen(reply->next_cursor);

	if (first) {
		round->daemon.stats = reply->stats;
		metrics_rest_begin(&round->rest, reply->stats->total);
	}
	bool kept = take_hosts(round, reply->stats) > 0 || first;
	bool more = (reply->stats->n_host > 0 || first) && round->pages < PAGES_MAX &&
		    len <= EXPORTER_CURSOR_MAX;
	if (len > 0 && more)
		memcpy(round->cursor, reply->next_cursor, len + 1);
	if (!kept)
		round->arena.used = mark;
	if (len == 0 || more)
		return len > 0;
	if (!round->cut)
		log_warning(NULL, "only the first %zu hosts are counted",
			    round->daemon.host_count + round->rest.count);
	round->cut = true;
	return false;
}

static enum exporter_progress
take_body(struct exporter_round *round, const Relay__Control__Reply *reply, size_t mark)
{
	if (reply->body_case != steps[round->step].body || reply->more) {
		exporter_round_explain(round, "%s: an answer of another kind",
				       steps[round->step].verb);
		return EXPORTER_BROKEN;
	}
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_HEALTH)
		round->daemon.health = reply->health;
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_INFO)
		round->daemon.info = reply->info;
	if (reply->body_case == RELAY__CONTROL__REPLY__BODY_STATS && take_stats(round, reply, mark))
		return EXPORTER_MORE;
	round->cursor[0] = '\0';
	round->step++;
	return round->step < STEP_COUNT && round->what == EXPORTER_ALL ? EXPORTER_MORE
								       : EXPORTER_DONE;
}

enum exporter_progress
exporter_round_reply(struct exporter_round *round, const uint8_t *bytes, size_t len)
{
	size_t mark = round->arena.used;
	const Relay__Control__Reply *reply = (const Relay__Control__Reply *)control_unpack(
	    &relay__control__reply__descriptor, &round->arena, bytes, len);

	if (reply == NULL) {
		exporter_round_explain(round, "%s",
				       round->arena.full ? "its answer is too large"
							 : "its answer is malformed");
		return EXPORTER_BROKEN;
	}
	if (reply->id != round->last_id) {
		exporter_round_explain(round, "%.200s",
				       reply->id == 0 ? reply->error
						      : "it answered what was not asked");
		return EXPORTER_BROKEN;
	}
	if (reply->code != RELAY__CONTROL__CODE__OK) {
		exporter_round_explain(round, "%s: %.200s", steps[round->step].verb, reply->error);
		return EXPORTER_REFUSED;
	}
	return take_body(round, reply, mark);
}
