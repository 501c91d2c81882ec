/*
 * crowd_member.c - one client of the crowd: asks what relay-peer answers by what was asked, so that
 * a reply to somebody else, or an old one, is seen.
 *
 * Writes a line for each of its requests that ended: `request CLIENT NUMBER OUTCOME`.
 */
#include "tests/e2e/crowd.h"

#include "bench/pattern.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_MAX 900
#define LARGE_MIN 2000
#define LARGE_MAX 20000
#define TAGS      64 /* open ones of a member; more than the window */

struct tag {
	uint64_t id; /* 0: free */
	bool is_notice, is_last;
	uint32_t number; /* of the request, or the notice */
	uint32_t size;
};

static struct tag tags[CROWD_MEMBERS][TAGS];

static void
world_send(void *context, const uint8_t *bytes, size_t len)
{
	const struct crowd_member *member = context;

	if (!fake_chance(&chance, options.lose))
		(void)send(member->fd, bytes, len, 0);
}

static void
world_random(void *context, void *bytes, size_t len)
{
	(void)context;
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		err(1, "getrandom");
}

void
member_init(struct crowd_member *member, uint64_t id)
{
	uint8_t key[RELAY_MSG_KEY_SIZE];
	struct session_settings settings = {
		.client = id,
		.resend_first_ms = options.resend_ms,
		.resend_max_ms = options.resend_ms * 8,
		.tries = options.tries,
		.timeout_ms = 60000,
		.size = DATAGRAM_SIZE_DEFAULT,
		.reply_max = 1024 * 1024,
		.open_max = TAGS,
	};
	const struct session_world world = { member, world_send, world_random };

	*member = (struct crowd_member){ .id = id };
	member->fd = socket(options.target.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (member->fd < 0 ||
	    connect(member->fd, (const struct sockaddr *)&options.target, options.target_len) != 0)
		err(1, "socket");
	if (options.keys != NULL) {
		if (relay_msg_read_key(options.keys, &id, key) != 0)
			errx(1, "%s: no key of %llx", options.keys, (unsigned long long)id);
		settings.key = key;
	}
	member->session = session_new(&settings, &world, crowd_clock_ms());
	if (member->session == NULL)
		errx(1, "memory");
}

void
member_fini(struct crowd_member *member)
{
	session_free(member->session);
	close(member->fd);
}

static struct tag *
tag_of(const struct crowd_member *member, uint64_t id)
{
	struct tag *tag = tags[member->id - CROWD_FIRST];

	for (unsigned i = 0; i < TAGS; i++, tag++)
		if (tag->id == id)
			return tag;
	errx(1, "an answer to nothing that was asked");
}

/* --- moves */

static int
line_of(char *line, size_t room, const struct crowd_member *member, const struct tag *tag)
{
	return snprintf(line, room, "fill:%u:%llx.%u.", tag->size, (unsigned long long)member->id,
			tag->number);
}

static bool
ask(struct crowd_member *member, uint64_t now_ms, bool is_last)
{
	struct tag *tag = tag_of(member, 0);
	const char *host = options.hosts[fake_below(&chance, options.host_count)];
	char line[64];

	*tag = (struct tag){
		.number = member->made,
		.is_last = is_last,
		.size = (uint32_t)(fake_chance(&chance, options.large)
				       ? fake_between(&chance, LARGE_MIN, LARGE_MAX)
				       : fake_between(&chance, 1, SMALL_MAX)),
	};
	int len = line_of(line, sizeof line, member, tag);
	if (session_request(member->session, wire_span_str(host), wire_span(line, (size_t)len),
			    false, now_ms, &tag->id) != 0)
		return false;
	member->made++;
	member->open++;
	return true;
}

static bool
tell(struct crowd_member *member, uint64_t now_ms)
{
	uint64_t to = CROWD_FIRST + fake_below(&chance, options.members);
	struct tag *tag = tag_of(member, 0);
	uint8_t id[NOTICE_ID_SIZE];
	uint32_t notice;
	char text[64];

	if (!ledger_make(to, id, &notice))
		return ask(member, now_ms, false);
	size_t len = ledger_text(notice, text, sizeof text);
	*tag = (struct tag){ .number = notice, .is_notice = true };
	if (session_notice(member->session, to, wire_span(text, len), id, now_ms, &tag->id) != 0)
		return false;
	member->open++;
	return true;
}

static void
move(struct crowd_member *member, uint64_t now_ms, bool is_ending)
{
	bool goes_on = true;

	if (is_ending) {
		if (!member->is_done && member->open == 0 && now_ms >= member->next_ms) {
			member->next_ms = now_ms + 100;
			(void)ask(member, now_ms, true);
		}
		return;
	}
	while (goes_on && member->open < options.window && now_ms >= member->next_ms &&
	       (options.requests == 0 || member->made < options.requests)) {
		goes_on = fake_chance(&chance, options.notices) ? tell(member, now_ms)
								: ask(member, now_ms, false);
		member->next_ms = now_ms + fake_below(&chance, 2 * options.pause_ms + 1);
	}
}

/* --- answers */

static bool
is_right(const struct crowd_member *member, const struct tag *tag,
	 const struct relay_msg_event *event)
{
	static uint8_t expected[LARGE_MAX];
	char line[64];
	size_t len = (size_t)line_of(line, sizeof line, member, tag);
	const char *head = strchr(strchr(line, ':') + 1, ':') + 1;

	if (event->length != tag->size)
		return false;
	pattern_reply(expected, tag->size, wire_span(head, len - (size_t)(head - line)));
	return memcmp(expected, event->bytes, tag->size) == 0;
}

static void
count(enum relay_msg_outcome outcome)
{
	if (outcome == RELAY_MSG_ANSWERED)
		counts.answered++;
	else if (outcome == RELAY_MSG_CON_LOST)
		counts.lost++;
	else if (outcome == RELAY_MSG_UNREACHABLE)
		counts.unsent++;
	else
		counts.other++;
}

static void
on_answer(struct crowd_member *member, const struct relay_msg_event *event)
{
	struct tag *tag = tag_of(member, event->id);

	member->open--;
	tag->id = 0;
	if (tag->is_notice) {
		if (event->outcome == RELAY_MSG_ACCEPTED)
			ledger_accepted(tag->number);
		else if (event->outcome != RELAY_MSG_CON_LOST &&
			 event->outcome != RELAY_MSG_UNREACHABLE)
			printf("notice %u %s\n", tag->number,
			       relay_msg_outcome_name(event->outcome));
		return;
	}
	count(event->outcome);
	printf("request %llx %u %s\n", (unsigned long long)member->id, tag->number,
	       relay_msg_outcome_name(event->outcome));
	if (event->outcome != RELAY_MSG_ANSWERED)
		return;
	member->is_done = tag->is_last;
	if (!is_right(member, tag, event)) {
		warnx("a wrong reply to %llx, request %u", (unsigned long long)member->id,
		      tag->number);
		counts.wrong++;
	}
}

static void
take_events(struct crowd_member *member, uint64_t now_ms)
{
	struct relay_msg_event event;

	while (session_next(member->session, 0, &event, now_ms)) {
		switch (event.what) {
		case RELAY_MSG_ONLINE:
			counts.sessions++;
			break;
		case RELAY_MSG_ANSWER:
			on_answer(member, &event);
			break;
		case RELAY_MSG_NOTICE:
			ledger_shown(member->id, &event);
			break;
		case RELAY_MSG_OFFLINE:
		case RELAY_MSG_LATE:
			break;
		}
	}
}

void
member_work(struct crowd_member *member, uint64_t now_ms, bool is_ending)
{
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	ssize_t n;

	while ((n = recv(member->fd, bytes, sizeof bytes, 0)) >= 0 || errno == ECONNREFUSED) {
		if (n < 0 || fake_chance(&chance, options.lose))
			continue;
		ledger_tap(member, bytes, (size_t)n);
		session_take(member->session, bytes, (size_t)n, now_ms);
		take_events(member, now_ms);
	}
	move(member, now_ms, is_ending);
	session_tick(member->session, now_ms);
	take_events(member, now_ms);
}

uint64_t
member_due_ms(struct crowd_member *member)
{
	uint64_t due_ms = session_due_ms(member->session);

	return due_ms < member->next_ms ? due_ms : member->next_ms;
}
