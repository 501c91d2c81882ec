/*
 * msg_page.h - a notice by the webpager socket, as relay-msg sends it.
 */
#ifndef RELAY_MSG_PAGE_H
#define RELAY_MSG_PAGE_H

#include "wire/notice.h"

struct msg_page {
	const char *socket; /* path of the webpager socket */
	bool is_original;   /* the form of IServerd: 32 bits of a target, no id */
	uint64_t to;
	const char *sender; /* "" or a name */
	const char *text;
	int timeout_ms;
};

enum msg_paged {
	MSG_PAGED,         /* answer: the id */
	MSG_PAGE_REFUSED,  /* answer: the reason; was not sent if it is of the form */
	MSG_PAGE_SILENCE,  /* sent, but there was no answer in time */
	MSG_PAGE_NO_RELAY, /* errno says why */
};

/* `answer` becomes a string. */
enum msg_paged msg_page_send(const struct msg_page *page, char answer[static NOTICE_ANSWER_MAX]);

#endif
