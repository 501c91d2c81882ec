/*
 * load_udp.c - one client of a UDP socket: says hello, keeps as many requests under way as it may,
 * compares each part of a reply with the bytes that are right, confirms what came.
 *
 * Replies are confirmed by the next request; a datagram of their own goes out only if there is none
 * for a while.  Never decides whether a request may begin (load_next does).  Keeps no line: it is
 * made again when it is sent again or answered.
 */
#include "bench/load_udp.h"

#include "bench/clock.h"
#include "bench/pattern.h"

#include <assert.h>
#include <err.h>

#define HELLO_NS     (200 * NS_PER_MS)
#define HELLO_MAX_NS (2 * NS_PER_S)
#define AGAIN_NS     (200 * NS_PER_MS)
#define AGAIN_MAX_NS (2 * NS_PER_S)
/* The relay has it and works on it. */
#define AGAIN_KNOWN_NS (5 * NS_PER_S)
#define TRIES_MAX      30u
/* How long a confirm waits for a request that takes it along; the relay waits for longer. */
#define CONFIRM_NS (5 * NS_PER_MS)

static const struct wire_span nothing;

/* --- speaking --------------------------------------------------------------------------------- */

static void
wake_by(struct client *c, uint64_t at_ns)
{
	if (!wake_armed(&c->wake) || c->wake.at_ns > at_ns)
		wakes_set(&c->load->wakes, &c->wake, at_ns);
}

/* What came, around the highest number that is owed; what that does not show stays owed. */
static struct datagram_seen
seen_now(struct udp_client *u)
{
	uint64_t top = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < u->owed_count; i++)
		top = u->owed[i] > top ? u->owed[i] : top;
	struct datagram_seen seen = datagram_window_show(&u->in, top);
	for (uint32_t i = 0; i < u->owed_count; i++)
		if (!datagram_seen_has(&seen, u->owed[i]))
			u->owed[kept++] = u->owed[i];
	u->owed_count = kept;
	return seen;
}

static void
say(struct client *c, enum datagram_kind kind)
{
	struct udp_client *u = c->udp;
	const struct datagram_header header = {
		.kind = (uint8_t)kind,
		.session = u->session,
		.number = ++u->number,
		.seen = seen_now(u),
	};

	udp_send(c->load, u, &header, nothing, nothing);
}

static void
say_hello(struct client *c)
{
	struct udp_client *u = c->udp;
	const struct datagram_header header = { .kind = DATAGRAM_HELLO, .number = u->hello };
	const struct datagram_hello hello = {
		.receive_max = (uint32_t)c->load->options->datagram_bytes,
	};
	uint8_t bytes[DATAGRAM_HELLO_BODY];
	struct wire_out body = wire_out(bytes, sizeof bytes);

	datagram_hello_put(&body, &hello);
	udp_send(c->load, u, &header, nothing, wire_span(bytes, body.len));
	u->hello_ns = c->load->now_ns + u->hello_pause_ns;
	if (u->hello_pause_ns < HELLO_MAX_NS)
		u->hello_pause_ns *= 2;
	wake_by(c, u->hello_ns);
}

static void
say_request(struct client *c, struct udp_ask *ask)
{
	struct load *load = c->load;
	struct udp_client *u = c->udp;
	const char *host = c->target->name;
	uint8_t prefix[1 + DATAGRAM_HOST_MAX];
	size_t host_len = strlen(host);
	const struct datagram_header header = {
		.kind = DATAGRAM_REQUEST,
		.session = u->session,
		.number = ask->number,
		.seen = seen_now(u),
	};

	prefix[0] = (uint8_t)host_len;
	memcpy(prefix + 1, host, host_len);
	bytes_clear(&load->framed, LOAD_LINE_MAX);
	load_request_add(load, c, ask->ask.serial, &load->framed);
	struct wire_span line = bytes_span(&load->framed);
	line.len--; /* LF */
	udp_send(load, u, &header, wire_span(prefix, 1 + host_len), line);
	ask->again_ns = load->now_ns + ask->pause_ns;
	wake_by(c, ask->again_ns);
}

/* --- requests --------------------------------------------------------------------------------- */

static struct udp_ask *
find_ask(const struct client *c, uint64_t number)
{
	for (uint64_t i = 0; !c->idle && i < c->load->options->depth; i++)
		if (c->udp->asks[i].number == number)
			return &c->udp->asks[i];
	return NULL;
}

/* The relay remembers so many numbers below the newest: an open one must stay among them. */
static bool
has_span(const struct client *c)
{
	const struct udp_client *u = c->udp;
	uint64_t oldest = u->number + 1;

	for (uint64_t i = 0; i < c->load->options->depth; i++)
		if (u->asks[i].number != 0 && u->asks[i].number < oldest)
			oldest = u->asks[i].number;
	return u->number + 1 - oldest < u->terms.span_max / 2;
}

static bool
has_turn(const struct client *c)
{
	const struct udp_client *u = c->udp;

	return c->state == CLIENT_READY && !c->idle && c->in_flight < c->load->options->depth &&
	       c->in_flight < u->terms.open_max && has_span(c);
}

static void
begin(struct client *c, const struct ask *ask)
{
	struct load *load = c->load;
	struct udp_ask *slot = find_ask(c, 0);

	assert(slot != NULL);
	*slot = (struct udp_ask){
		.ask = *ask,
		.number = ++c->udp->number,
		.pause_ns = AGAIN_NS,
		.tries = 1,
	};
	c->in_flight++;
	load->in_flight++;
	load->counts.sent++;
	say_request(c, slot);
}

static void
finish_ask(struct client *c, struct udp_ask *slot)
{
	slot->number = 0;
	c->in_flight--;
	c->load->in_flight--;
	c->load->progress_ns = c->load->now_ns;
}

void
udp_begin(struct client *c)
{
	struct ask ask;

	if (has_turn(c) && load_next(c->load, &ask))
		begin(c, &ask);
	if (has_turn(c))
		load_rest(c->load, c);
}

void
udp_ask(struct client *c)
{
	struct ask ask;

	if (load_is_open(c->load)) {
		if (has_turn(c))
			load_rest(c->load, c);
		return;
	}
	while (has_turn(c) && load_next(c->load, &ask))
		begin(c, &ask);
}

/* --- sessions --------------------------------------------------------------------------------- */

static void
cut_off(struct client *c, struct udp_ask *slot)
{
	c->load->counts.cut_off++;
	c->udp->gave_up = true;
	finish_ask(c, slot);
}

/* The relay knows the session no more: all of it is over, and another one is asked for. */
static void
start_anew(struct client *c)
{
	struct load *load = c->load;
	struct udp_client *u = c->udp;

	if (c->state == CLIENT_READY) {
		load->counts.ended++;
		load->counts.idle_ended += c->idle ? 1 : 0;
		if (load->phase == LOAD_CONNECTING)
			load->ready--;
	}
	load_rise(load, c);
	for (uint64_t i = 0; !c->idle && i < load->options->depth; i++)
		if (u->asks[i].number != 0)
			cut_off(c, &u->asks[i]);
	c->state = CLIENT_SHAKING;
	u->session = u->number = 0;
	u->gave_up = false;
	u->owed_count = 0;
	u->in = (struct datagram_window){ 0 };
	udp_open(c);
}

/* A run must not be answered by the session of the one before. */
void
udp_open(struct client *c)
{
	struct udp_client *u = c->udp;

	c->state = CLIENT_SHAKING;
	u->hello = pattern_mix(u->id ^ clock_now_ns()) | 1;
	u->hello_pause_ns = HELLO_NS;
	say_hello(c);
}

static void
on_welcome(struct client *c, const struct datagram *datagram)
{
	struct load *load = c->load;
	struct udp_client *u = c->udp;

	if (c->state != CLIENT_SHAKING || datagram->header.about != u->hello)
		return;
	if (datagram_welcome_get(&u->terms, datagram) != DATAGRAM_OK)
		errx(1, "a welcome that is malformed");
	if (u->terms.size_max < load->options->datagram_bytes &&
	    load->options->request_bytes > datagram_line_max(u->terms.size_max,
							     strlen(c->target->name),
							     load->options->keys != NULL))
		errx(2, "--request-bytes: the relay takes datagrams of %u bytes",
		     u->terms.size_max);
	u->session = datagram->header.session;
	c->state = CLIENT_READY;
	load->counts.connected++;
	load->progress_ns = load->now_ns;
	if (load->phase == LOAD_CONNECTING)
		load->ready++;
	say(c, DATAGRAM_KEEP_ALIVE);
	wake_by(c, load->now_ns + u->terms.keep_alive_ms / 3 * NS_PER_MS);
}

/* --- what comes ------------------------------------------------------------------------------- */

static void
complain(struct client *c, const struct udp_ask *slot, const char *what)
{
	load_complain(c->load, what, slot->ask.serial, nothing, nothing);
}

static void
on_code(struct client *c, struct udp_ask *slot, uint8_t code)
{
	if (code == DATAGRAM_CON_LOST)
		c->load->counts.con_lost++;
	else
		complain(c, slot, datagram_code_name(code));
	finish_ask(c, slot);
}

/* Parts come in any order, each once: repeats were told by their numbers. */
static void
on_part(struct client *c, struct udp_ask *slot, const struct datagram *datagram)
{
	struct load *load = c->load;
	struct wire_span expected = load_reply_expected(load, c, slot->ask.serial);
	struct datagram_part part;

	if (datagram_part_get(&part, datagram, DATAGRAM_JOINED_MAX) != DATAGRAM_OK) {
		complain(c, slot, "a part that is malformed");
		return;
	}
	if (part.total == strlen("con_lost") &&
	    wire_span_equal(part.bytes, wire_span_str("con_lost"))) {
		on_code(c, slot, DATAGRAM_CON_LOST);
		return;
	}
	if (part.total != expected.len ||
	    memcmp(expected.data + part.offset, part.bytes.data, part.bytes.len) != 0) {
		load_complain(load, "wrong reply", slot->ask.serial, part.bytes, expected);
		finish_ask(c, slot);
		return;
	}
	slot->got += (uint32_t)part.bytes.len;
	if (slot->got < part.total)
		return;
	load->counts.replies++;
	if (slot->ask.counted)
		hist_add(&load->hist, load->now_ns - slot->ask.since_ns);
	finish_ask(c, slot);
}

static void
on_reply(struct client *c, const struct datagram *datagram)
{
	struct udp_client *u = c->udp;
	const struct datagram_header *header = &datagram->header;
	enum datagram_age age = datagram_window_mark(&u->in, header->number);
	struct udp_ask *slot;

	/* One for which there is no room is repeated by the relay. */
	if (age != DATAGRAM_TOO_OLD && u->owed_count < UDP_OWED)
		u->owed[u->owed_count++] = header->number;
	if ((age != DATAGRAM_NEWEST && age != DATAGRAM_FRESH) ||
	    (header->flags & DATAGRAM_DURABLE) != 0)
		return;
	slot = header->about == 0 ? NULL : find_ask(c, header->about);
	if (header->about > u->number || (slot == NULL && !u->gave_up))
		load_complain(c->load, "a reply to nothing", 0, datagram->body, nothing);
	else if (slot == NULL)
		return;
	else if (header->code != 0)
		on_code(c, slot, header->code);
	else
		on_part(c, slot, datagram);
}

static void
on_error(struct client *c, const struct datagram_header *header)
{
	struct udp_ask *slot = find_ask(c, header->about);

	if (header->code == DATAGRAM_NEW_SESSION) {
		if (c->state == CLIENT_READY && header->session == c->udp->session)
			start_anew(c);
		return;
	}
	if (header->about == 0 || slot == NULL || header->session != c->udp->session)
		return;
	if (header->code == DATAGRAM_FORGOTTEN) {
		cut_off(c, slot);
		return;
	}
	complain(c, slot, datagram_code_name(header->code));
	finish_ask(c, slot);
}

static void
on_busy(struct client *c, const struct datagram_header *header)
{
	struct udp_client *u = c->udp;
	uint64_t at_ns = c->load->now_ns + header->value * NS_PER_MS;
	struct udp_ask *slot = find_ask(c, header->about);

	c->load->counts.busy++;
	if (c->state == CLIENT_SHAKING && header->about == u->hello) {
		u->hello_ns = at_ns;
	} else if (header->about != 0 && slot != NULL && header->session == u->session) {
		slot->again_ns = at_ns;
		slot->tries = 0;
	}
	wake_by(c, at_ns);
}

void
udp_on_datagram(struct client *c, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct udp_ask *slot = find_ask(c, header->about);
	bool ours = c->state == CLIENT_READY && header->session == c->udp->session;

	switch ((enum datagram_kind)header->kind) {
	case DATAGRAM_WELCOME:
		on_welcome(c, datagram);
		break;
	case DATAGRAM_REPLY:
		if (ours)
			on_reply(c, datagram);
		break;
	case DATAGRAM_BUSY:
		on_busy(c, header);
		break;
	case DATAGRAM_ERROR:
		on_error(c, header);
		break;
	case DATAGRAM_BYE:
		if (ours && c->load->phase != LOAD_DONE)
			start_anew(c);
		break;
	case DATAGRAM_KEEP_ALIVE:
		/* In answer to a repeat: it came, and the reply will. */
		if (ours && header->about != 0 && slot != NULL)
			slot->again_ns = c->load->now_ns + AGAIN_KNOWN_NS;
		break;
	case DATAGRAM_NOTICE: /* not confirmed: it is kept for who wants it */
	case DATAGRAM_ACCEPTED:
	case DATAGRAM_CONFIRMED:
	case DATAGRAM_HELLO:
	case DATAGRAM_REQUEST:
	case DATAGRAM_CONFIRM:
		break;
	}
}

void
udp_on_turn(struct client *c)
{
	if (c->state != CLIENT_READY)
		return;
	udp_ask(c);
	if (c->udp->owed_count >= UDP_OWED / 2)
		say(c, DATAGRAM_CONFIRM);
	else if (c->udp->owed_count > 0)
		wake_by(c, c->load->now_ns + CONFIRM_NS);
}

/* --- time ------------------------------------------------------------------------------------- */

static void
ask_again(struct client *c, struct udp_ask *slot)
{
	struct load *load = c->load;

	if (slot->tries == TRIES_MAX) {
		cut_off(c, slot);
		return;
	}
	if (slot->tries++ > 0) {
		load->counts.resent++;
		if (slot->pause_ns < AGAIN_MAX_NS)
			slot->pause_ns *= 2;
	}
	say_request(c, slot);
}

void
udp_on_wake(struct client *c)
{
	struct load *load = c->load;
	struct udp_client *u = c->udp;

	if (c->state == CLIENT_SHAKING) {
		if (u->hello_ns <= load->now_ns)
			say_hello(c);
		else
			wake_by(c, u->hello_ns);
		return;
	}
	for (uint64_t i = 0; !c->idle && i < load->options->depth; i++) {
		struct udp_ask *slot = &u->asks[i];
		if (slot->number != 0 && slot->again_ns <= load->now_ns)
			ask_again(c, slot);
		else if (slot->number != 0)
			wake_by(c, slot->again_ns);
	}
	if (u->owed_count > 0)
		say(c, DATAGRAM_CONFIRM);
	uint64_t alive_ns = u->terms.keep_alive_ms / 3 * NS_PER_MS;
	if (u->said_ns + alive_ns <= load->now_ns)
		say(c, DATAGRAM_KEEP_ALIVE);
	wake_by(c, u->said_ns + alive_ns);
	udp_ask(c);
}

void
udp_finish(struct client *c)
{
	if (c->state == CLIENT_READY)
		say(c, DATAGRAM_BYE);
}
