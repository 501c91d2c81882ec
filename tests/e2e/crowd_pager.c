/*
 * crowd_pager.c - sends notices by the webpager socket, one at a time, and the same one again until
 * it is answered: as the description asks of those who must not lose any.
 */
#include "tests/e2e/crowd.h"

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PAGER_AGAIN_MS 200
#define PAGER_PAUSE_MS 4

static int fd = -1;
static struct sockaddr_un path = { .sun_family = AF_UNIX };
static bool is_open;
static uint32_t notice;
static uint8_t page[NOTICE_PAGE_MAX];
static size_t page_len;
static uint64_t again_ms, next_ms;

void
pager_init(void)
{
	const struct sockaddr own = { .sa_family = AF_UNIX };

	if (options.pager == NULL)
		return;
	if (strlen(options.pager) >= sizeof path.sun_path)
		errx(2, "%s: too long", options.pager);
	memcpy(path.sun_path, options.pager, strlen(options.pager));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A name of the system's choice. */
	if (fd < 0 || bind(fd, &own, sizeof own.sa_family) != 0)
		err(1, "socket");
}

int
pager_fd(void)
{
	return fd;
}

bool
pager_is_idle(void)
{
	return !is_open;
}

static void
make_page(void)
{
	char text[64];
	struct notice made = { .origin = NOTICE_OF_WEBPAGER };
	struct wire_out out = wire_out(page, sizeof page);

	made.to = CROWD_FIRST + fake_below(&chance, options.members);
	if (!ledger_make(made.to, made.id, &notice))
		return;
	made.text = wire_span(text, ledger_text(notice, text, sizeof text));
	if (notice_page_put(&out, &made) != NOTICE_FINE)
		errx(1, "no page can be made");
	page_len = out.len;
	is_open = true;
	again_ms = 0;
}

static void
take_answers(void)
{
	uint8_t answer[NOTICE_ANSWER_MAX + 1], id[NOTICE_ID_SIZE];
	struct wire_span reason;
	uint32_t which;
	ssize_t n;

	while ((n = recv(fd, answer, sizeof answer, 0)) >= 0) {
		if (!notice_answer_get(id, &reason, wire_span(answer, (size_t)n))) {
			printf("page %.*s\n", (int)reason.len, (const char *)reason.data);
			is_open = false;
		} else if (ledger_find(id, &which)) {
			ledger_accepted(which);
			is_open = is_open && which != notice;
		}
	}
}

void
pager_work(uint64_t now_ms, bool is_ending)
{
	if (fd < 0)
		return;
	take_answers();
	if (!is_open && !is_ending && now_ms >= next_ms) {
		make_page();
		next_ms = now_ms + PAGER_PAUSE_MS;
	}
	if (!is_open || now_ms < again_ms)
		return;
	(void)sendto(fd, page, page_len, 0, (const struct sockaddr *)&path, sizeof path);
	again_ms = now_ms + PAGER_AGAIN_MS;
}
