/*
 * datagram_outbox.c - what a client has to confirm: split into parts, sent as far as the windows
 * allow, sent again with growing pauses, given up in the end.
 *
 * Numbers are given when a part is sent first, in the order of the outbox: the oldest unconfirmed
 * number is that of the first parcel that has one.  Never has more than DATAGRAM_FLIGHT_MAX parts
 * of a client on their way.  Owns the parcels and their bytes.
 */
#include "relay/datagrams.h"

#include "relay/stats.h"

/* Pauses grow up to so many times the first one, each with up to an eighth of jitter. */
#define BACKOFF_FACTOR_MAX 8u
#define JITTER_PART        8u

static uint64_t *
numbers_of(struct parcel *parcel)
{
	return parcel->numbers == NULL ? &parcel->one : parcel->numbers;
}

static void
arm(struct parcel *parcel)
{
	struct worker *worker = parcel->session->plane->worker;
	uint64_t pause = ms_to_ns(parcel->backoff_ms);

	uring_timer_set(worker->ring, &parcel->timer,
			worker_now(worker) + pause +
			    worker_random(worker, pause / JITTER_PART + 1));
}

/* Whether it is nothing but its header. */
static bool
is_bare(const struct parcel *parcel)
{
	return parcel->code != 0 || parcel->kind == DATAGRAM_ACCEPTED;
}

static void
send_part(struct parcel *parcel, uint32_t index)
{
	struct datagram_part part =
	    datagram_split_part(&parcel->split, index, buffer_at(&parcel->bytes));
	uint64_t *numbers = numbers_of(parcel);
	uint8_t total[DATAGRAM_PART_PREFIX];
	struct letter letter = {
		.header = { .kind = parcel->kind,
			    .flags = parcel->flags,
			    .code = parcel->code,
			    .value = index,
			    .number = numbers[index],
			    .about = parcel->about != 0 ? parcel->about : numbers[0] },
	};

	if (part.is_last && (parcel->kind == DATAGRAM_REPLY || parcel->kind == DATAGRAM_NOTICE))
		letter.header.flags |= DATAGRAM_LAST;
	if (!is_bare(parcel)) {
		datagram_put_u32(total, part.total);
		letter.prefix = wire_span(total, sizeof total);
		letter.body = part.bytes;
	}
	parcel->sent_at = worker_now(parcel->session->plane->worker);
	session_send(parcel->session, &letter);
}

static void
send_again(struct parcel *parcel)
{
	const uint64_t *numbers = numbers_of(parcel);

	for (uint32_t i = parcel->first; i < parcel->sent; i++) {
		if (numbers[i] == PART_CONFIRMED)
			continue;
		datagrams_count(parcel->session->plane, DATAGRAM_COUNT_RESENT);
		send_part(parcel, i);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static void
count_outbox(struct session *session, uint64_t parcels, uint64_t bytes)
{
	struct worker_stats *stats = session->plane->worker->stats;

	session->outbox_count += (uint32_t)parcels;
	session->outbox_bytes += bytes;
	histogram_bump(&stats->datagrams_outbox, parcels);
	histogram_bump(&stats->datagrams_outbox_bytes, bytes);
}

void
parcel_free(struct parcel *parcel)
{
	struct session *session = parcel->session;
	struct worker *worker = session->plane->worker;

	uring_timer_clear(worker->ring, &parcel->timer);
	TAILQ_REMOVE(&session->outbox, parcel, entry);
	count_outbox(session, (uint64_t)-1, -(uint64_t)parcel->split.total);
	session->parts_in_flight -= parcel->sent - (parcel->split.count - parcel->left);
	if (parcel->slot >= 0) {
		datagram_once_forget(&session->once, (unsigned)parcel->slot);
		session->answers[parcel->slot] = NULL;
	}
	if (parcel->numbers != NULL)
		memory_put(&worker->memory, parcel->numbers, parcel->numbers_block);
	buffer_release(&parcel->bytes, &worker->memory);
	memory_put(&worker->memory, parcel, parcel->block);
}

/* Nobody confirmed it. */
static void
give_up(struct parcel *parcel)
{
	struct session *session = parcel->session;

	if (parcel->durable && parcel->code == 0)
		store_reply(session->plane, session->client, session->id, parcel->about,
			    &parcel->bytes);
	if (parcel->stored != 0)
		session_missed(session);
	datagrams_count(session->plane, DATAGRAM_COUNT_GIVEN_UP);
	parcel_free(parcel);
}

static void
on_due(struct uring_timer *timer)
{
	struct parcel *parcel = uring_container_of(timer, struct parcel, timer);
	struct session *session = parcel->session;
	const struct datagram_settings *settings = &session->plane->settings;

	if (parcel->tries >= settings->resend_tries) {
		give_up(parcel);
		outbox_pump(session);
		inquiry_resume(session);
		return;
	}
	parcel->tries++;
	parcel->backoff_ms *= 2;
	if (parcel->backoff_ms > settings->resend_first_ms * BACKOFF_FACTOR_MAX)
		parcel->backoff_ms = settings->resend_first_ms * BACKOFF_FACTOR_MAX;
	send_again(parcel);
	arm(parcel);
}

static bool
make_numbers(struct parcel *parcel, struct memory *memory)
{
	size_t len = (size_t)parcel->split.count * sizeof(uint64_t);

	if (parcel->split.count == 1)
		return true;
	parcel->numbers = memory_resize(memory, NULL, 0, 0, len, &parcel->numbers_block);
	return parcel->numbers != NULL;
}

struct parcel *
parcel_new(struct session *session, const struct parcel *what, struct buffer *bytes)
{
	struct memory *memory = &session->plane->worker->memory;
	size_t block;
	struct parcel *parcel = memory_resize(memory, NULL, 0, 0, sizeof *parcel, &block);

	if (parcel == NULL) {
		buffer_release(bytes, memory);
		return NULL;
	}
	*parcel = *what;
	parcel->session = session;
	parcel->block = block;
	parcel->timer.due = on_due;
	parcel->split = datagram_split((uint32_t)buffer_len(bytes), session->size,
				       session->route.cipher != NULL);
	parcel->left = parcel->split.count;
	parcel->backoff_ms = session->plane->settings.resend_first_ms;
	if (!make_numbers(parcel, memory)) {
		memory_put(memory, parcel, block);
		buffer_release(bytes, memory);
		return NULL;
	}
	buffer_take(&parcel->bytes, bytes, memory);
	count_outbox(session, 1, parcel->split.total);
	TAILQ_INSERT_TAIL(&session->outbox, parcel, entry);
	if (parcel->slot >= 0) {
		datagram_once_answer(&session->once, (unsigned)parcel->slot);
		session->answers[parcel->slot] = parcel;
	}
	outbox_pump(session);
	return parcel;
}

/*
 * A repeat must not be worth much more than it costs: the reply is longer than what asked for it,
 * and who asks may be somebody else in the client's name.  The timer stays as it is, so that nobody
 * can put off its giving up.
 */
void
parcel_repeat(struct parcel *parcel)
{
	const struct datagram_settings *settings = &parcel->session->plane->settings;
	uint64_t pause_ms =
	    parcel->split.count > 1 ? parcel->backoff_ms : settings->resend_first_ms;
	uint64_t now = worker_now(parcel->session->plane->worker);

	if (parcel->sent == 0 || parcel->repeats >= settings->resend_tries ||
	    now - parcel->sent_at < ms_to_ns(pause_ms) / 2)
		return;
	parcel->repeats++;
	send_again(parcel);
}

/* --- windows ---------------------------------------------------------------------------------- */

/* true = all of it is sent. */
static bool
pump_parcel(struct parcel *parcel)
{
	struct session *session = parcel->session;

	while (parcel->sent < parcel->split.count) {
		uint64_t number =
		    session->parts_in_flight < DATAGRAM_FLIGHT_MAX ? session_number(session) : 0;
		if (number == 0)
			return false;
		if (parcel->sent == 0)
			parcel->tries = 1;
		numbers_of(parcel)[parcel->sent] = number;
		datagrams_count(session->plane, DATAGRAM_COUNT_PARTS);
		send_part(parcel, parcel->sent);
		parcel->sent++;
		session->parts_in_flight++;
		if (!uring_timer_armed(&parcel->timer))
			arm(parcel);
	}
	return true;
}

void
outbox_pump(struct session *session)
{
	struct parcel *parcel;

	TAILQ_FOREACH(parcel, &session->outbox, entry) {
		if (!pump_parcel(parcel))
			return;
	}
}

/* Adds a number to those of a parcel's parts: they come in any order. */
static void
add_seen(struct datagram_seen *seen, uint64_t number)
{
	if (number > seen->top) {
		uint64_t up = number - seen->top;
		seen->bits = up >= 64 ? 0 : seen->bits << up;
		if (seen->top != 0 && up <= 64)
			seen->bits |= UINT64_C(1) << (up - 1);
		seen->top = number;
	} else if (seen->top - number - 1 < 64) {
		seen->bits |= UINT64_C(1) << (seen->top - number - 1);
	}
}

/* How many parts of it were confirmed just now. */
static uint32_t
confirm(struct parcel *parcel, const struct datagram_seen *seen)
{
	uint64_t *numbers = numbers_of(parcel);
	uint32_t found = 0;

	for (uint32_t i = parcel->first; i < parcel->sent; i++) {
		if (numbers[i] == PART_CONFIRMED || !datagram_seen_has(seen, numbers[i]))
			continue;
		add_seen(&parcel->confirmed, numbers[i]);
		/* The first one's number names the whole in those behind it. */
		if (i > 0 || parcel->about != 0)
			numbers[i] = PART_CONFIRMED;
		else
			parcel->about = numbers[0], numbers[0] = PART_CONFIRMED;
		found++;
	}
	while (parcel->first < parcel->sent && numbers[parcel->first] == PART_CONFIRMED)
		parcel->first++;
	parcel->left -= found;
	parcel->session->parts_in_flight -= found;
	return found;
}

void
outbox_on_seen(struct session *session, const struct datagram_seen *seen)
{
	struct parcel *parcel = seen->top == 0 ? NULL : TAILQ_FIRST(&session->outbox);
	uint32_t found = 0;

	while (parcel != NULL && parcel->sent > 0) {
		struct parcel *next = TAILQ_NEXT(parcel, entry);
		uint32_t now = confirm(parcel, seen);
		found += now;
		if (parcel->left == 0) {
			if (parcel->stored != 0)
				store_confirm(parcel);
			parcel_free(parcel);
		} else if (now > 0) {
			parcel->tries = 1;
			parcel->repeats = 0;
			parcel->backoff_ms = session->plane->settings.resend_first_ms;
			if (parcel->first < parcel->sent)
				arm(parcel);
			else
				uring_timer_clear(session->plane->worker->ring, &parcel->timer);
		}
		parcel = next;
	}
	if (found > 0) {
		outbox_pump(session);
		inquiry_resume(session);
	}
}

void
outbox_end(struct session *session)
{
	struct parcel *parcel;

	while ((parcel = TAILQ_FIRST(&session->outbox)) != NULL)
		give_up(parcel);
}
