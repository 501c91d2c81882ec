/*
 * sim_text.c - requests and replies made from their number, so that a byte changed, lost or given
 * to the wrong one shows.
 */
#include "tests/sim.h"

#include "wire/enc.h"
#include "wire/line.h"

#include <stdio.h>
#include <string.h>

/* Bytes of any value but LF. */
static void
fill(struct sim *sim, uint64_t what, uint8_t *at, size_t len)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			bits = fake_mix(sim->seed * 0x9e3779b97f4a7c15u + (what << 20) + i);
		at[i] = (uint8_t)(bits >> (i % 8 * 8));
		if (at[i] == '\n')
			at[i] = '!';
	}
}

/* Mostly short, now and then long, now and then exactly as long as is allowed. */
static uint32_t
some_length(struct sim *sim, uint64_t least, uint64_t most)
{
	uint64_t kind = sim_below(sim, 1000);
	uint64_t span = most - least;

	if (kind < 10)
		return (uint32_t)most;
	if (kind < 40)
		return (uint32_t)(least + sim_below(sim, span + 1));
	if (span > 1000 && kind < 120)
		span = 1000;
	else if (span > 40)
		span = 40;
	return (uint32_t)(least + sim_below(sim, span + 1));
}

uint32_t
sim_request_new(struct sim *sim, unsigned host)
{
	if (sim->requests_count >= SIM_REQUESTS_MAX)
		sim_fail(sim, "the simulation ran out of requests");
	uint32_t number = sim->requests_count++;
	struct sim_request *request = &sim->requests[number];
	uint64_t most = sim->hosts[host].settings.line_max;
	*request = (struct sim_request){
		.host = host,
		.len = some_length(sim, SIM_NUMBER_LEN, most),
		.reply_len = some_length(sim, SIM_NUMBER_LEN + 3, most),
		.encrypted = sim_chance(sim, 300),
		.reply_encrypted = sim_chance(sim, 300),
	};
	request->reply_lines = request->reply_encrypted && sim_chance(sim, 100);
	request->reply_like_enc = !request->reply_encrypted && sim_chance(sim, 50);
	if (request->len == most)
		sim_cover(sim, SIM_LONGEST);
	sim->cover->requests++;
	return number;
}

size_t
sim_request_plain(struct sim *sim, uint32_t number, uint8_t *plain)
{
	const struct sim_request *request = &sim->requests[number];
	char head[SIM_NUMBER_LEN + 8];

	snprintf(head, sizeof head, "%07u:", number);
	memcpy(plain, head, SIM_NUMBER_LEN);
	fill(sim, number * 2u, plain + SIM_NUMBER_LEN, request->len - SIM_NUMBER_LEN);
	return request->len;
}

size_t
sim_request_line(struct sim *sim, uint32_t number, uint8_t *line)
{
	size_t len = 0;

	if (sim->requests[number].encrypted) {
		memcpy(line, ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);
		len = ENC_REQUEST_PREFIX_LEN;
	}
	len += sim_request_plain(sim, number, line + len);
	line[len++] = '\n';
	return len;
}

size_t
sim_reply_plain(struct sim *sim, uint32_t number, uint8_t *plain)
{
	const struct sim_request *request = &sim->requests[number];
	char head[SIM_NUMBER_LEN + 12];

	snprintf(head, sizeof head, "%s%07u:", request->reply_like_enc ? "enc" : "re:", number);
	memcpy(plain, head, SIM_NUMBER_LEN + 3);
	fill(sim, number * 2u + 1, plain + SIM_NUMBER_LEN + 3,
	     request->reply_len - SIM_NUMBER_LEN - 3);
	if (request->reply_lines && request->reply_len > SIM_NUMBER_LEN + 6) {
		plain[SIM_NUMBER_LEN + 4] = '\n';
		if (number % 2 == 0)
			plain[request->reply_len - 1] = '\n';
	}
	return request->reply_len;
}

size_t
sim_reply_seen(struct sim *sim, uint32_t number, uint8_t *seen)
{
	size_t len = sim_reply_plain(sim, number, seen);

	return sim->requests[number].reply_lines ? line_flatten(seen, len) : len;
}

uint32_t
sim_number(struct sim *sim, const uint8_t *plain, const char *what)
{
	uint32_t number = 0;

	for (int i = 0; i < SIM_NUMBER_LEN - 1; i++) {
		if (plain[i] < '0' || plain[i] > '9')
			sim_fail(sim, "%s does not start with the number of a request: %.8s", what,
				 (const char *)plain);
		number = number * 10 + (uint32_t)(plain[i] - '0');
	}
	if (plain[SIM_NUMBER_LEN - 1] != ':' || number >= sim->requests_count)
		sim_fail(sim, "%s: there is no request %u", what, number);
	return number;
}
