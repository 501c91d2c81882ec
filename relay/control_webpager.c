/*
 * control_webpager.c - the socket that takes notices: one in each datagram, from programs of this
 * machine that the kernel vouches for.
 *
 * Never blocks, and never reads what it cannot keep: while the storage has no room the senders'
 * datagrams wait in the socket.  An answer that its sender does not take is dropped; one whose
 * name is relative gets none.
 */
#include "relay/control_messages.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/log.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	PAGES_PER_ROUND = 64,
	SAY_EVERY_MS = 1000,
};

void
control_webpager_open(struct control *control, int fd)
{
	struct control_webpager *webpager = &control->messages.webpager;

	if (webpager->fd >= 0)
		close(webpager->fd);
	webpager->fd = fd;
}

int
control_webpager_fd(const struct control *control)
{
	const struct control_messages *messages = &control->messages;

	/* Who may page, and whom, is known when there is a configuration. */
	return control->loaded && !messages->webpager.holding ? messages->webpager.fd : -1;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* A relative name means another file here than where it was bound; and an answer to the webpager
 * would be a page, answered in turn. */
static bool
may_be_answered(const struct control *control, const struct control_pager_name *to)
{
	const char *own = control->config.relay.webpager_socket;
	const char *path = to->address.sun_path;

	if (to->len <= offsetof(struct sockaddr_un, sun_path))
		return false;
	if (path[0] != '/')
		return path[0] == '\0';
	size_t len = strnlen(path, to->len - offsetof(struct sockaddr_un, sun_path));
	return own == NULL || strlen(own) != len || memcmp(own, path, len) != 0;
}

static void
answer(const struct control *control, const struct control_pager_name *to,
       const struct wire_out *out)
{
	const struct control_webpager *webpager = &control->messages.webpager;

	if (may_be_answered(control, to))
		(void)sendto(webpager->fd, out->data, out->len, MSG_DONTWAIT | MSG_NOSIGNAL,
			     (const struct sockaddr *)&to->address, to->len);
}

static void
refuse(struct control *control, const struct control_pager_name *to, enum notice_fault why)
{
	uint8_t bytes[NOTICE_ANSWER_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	control->messages.webpager.refused[why]++;
	notice_put_refused(&out, why);
	answer(control, to, &out);
}

static enum notice_fault
fault_of(enum message_status status)
{
	switch (status) {
	case MESSAGE_MALFORMED:
		return NOTICE_MALFORMED;
	case MESSAGE_TOO_LONG:
		return NOTICE_TOO_LONG;
	case MESSAGE_TAKEN:
		return NOTICE_BAD_ID;
	case MESSAGE_CLIENT_COUNT:
	case MESSAGE_CLIENT_BYTES:
	case MESSAGE_SENDER_COUNT:
	case MESSAGE_SENDER_BYTES:
	case MESSAGE_STORE_COUNT:
	case MESSAGE_STORE_BYTES:
	case MESSAGE_NO_SPACE:
		return NOTICE_STORE_FULL;
	case MESSAGE_DONE:
	case MESSAGE_REPEATED:
	case MESSAGE_UNKNOWN:
	case MESSAGE_NO_MEMORY:
	case MESSAGE_IO:
	case MESSAGE_ASIDE:
	case MESSAGE_ROW_DAMAGED:
	case MESSAGE_DAMAGED:
	case MESSAGE_NEWER:
	case MESSAGE_IN_USE:
	case MESSAGE_DENIED:
		break;
	}
	return NOTICE_STORE_FAILED;
}

void
control_webpager_on_view(struct control *control, const struct control_order *order,
			 const struct message_view *view)
{
	struct control_webpager *webpager = &control->messages.webpager;
	uint8_t bytes[NOTICE_ANSWER_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	if (view->status != MESSAGE_DONE && view->status != MESSAGE_REPEATED) {
		refuse(control, &order->pager, fault_of(view->status));
		return;
	}
	webpager->accepted++;
	notice_put_ok(&out, view->message.id);
	answer(control, &order->pager, &out);
}

/* --- pages ------------------------------------------------------------------------------------ */

static bool
may_page(const struct control *control, uid_t uid)
{
	const struct config *config = &control->config;

	if (config->relay.webpager_users == NULL)
		return uid == 0 || uid == geteuid();
	for (size_t i = 0; i < config->pager_count; i++) {
		if (config->pagers[i] == uid)
			return true;
	}
	return false;
}

/* At most one line a second; the next one says how many there were. */
static void
say_malformed(struct control_webpager *webpager, pid_t pid, enum notice_fault why, uint64_t now_ms)
{
	webpager->malformed++;
	webpager->unsaid++;
	if (webpager->said_at != 0 && now_ms < webpager->said_at + SAY_EVERY_MS)
		return;
	log_warning(NULL, "webpager: a malformed datagram of process %ld: %s (%llu of them)",
		    (long)pid, notice_fault_name(why), (unsigned long long)webpager->unsaid);
	webpager->said_at = now_ms == 0 ? 1 : now_ms;
	webpager->unsaid = 0;
}

static bool
make_id(uint8_t id[static NOTICE_ID_SIZE])
{
	return getrandom(id, NOTICE_ID_SIZE, GRND_NONBLOCK) == NOTICE_ID_SIZE;
}

/* The sender as the store keeps it: what he called himself; of the original's form the mail address
 * too, behind a NUL. */
static void
keep_name(struct control_page *page, const struct notice *notice)
{
	static_assert(NOTICE_SENDER_MAX + 1 + NOTICE_MAIL_MAX <= sizeof page->name,
		      "both find room");
	page->name_len = notice->sender.len;
	if (notice->sender.len > 0)
		memcpy(page->name, notice->sender.data, notice->sender.len);
	if (notice->origin != NOTICE_OF_ORIGINAL)
		return;
	page->name[page->name_len++] = '\0';
	if (notice->mail.len > 0)
		memcpy(page->name + page->name_len, notice->mail.data, notice->mail.len);
	page->name_len += notice->mail.len;
}

/* False: it is refused, *why says for what. */
static bool
keep_page(struct control_page *page, const struct notice *notice, const struct ucred *sender,
	  enum notice_fault *why)
{
	page->message = (struct message){ .kind = MESSAGE_NOTICE,
					  .client = notice->to,
					  .origin = MESSAGE_BY_USER,
					  .sender = sender->uid,
					  .pid = (uint32_t)sender->pid,
					  .gid = sender->gid,
					  .accepted_ms = (int64_t)(control_now_us() / 1000) };
	memcpy(page->message.id, notice->id, sizeof page->message.id);
	*why = NOTICE_STORE_FAILED;
	if (!notice_has_id(notice) && !make_id(page->message.id))
		return false;
	keep_name(page, notice);
	page->text_len = notice->text.len;
	memcpy(page->text, notice->text.data, notice->text.len);
	return true;
}

/* False: there is no room for it now. */
static bool
order_page(struct control *control)
{
	struct control_webpager *webpager = &control->messages.webpager;
	struct control_page *page = &webpager->page;
	const struct control_order what = { .kind = CONTROL_ORDER_PAGE, .pager = page->pager };
	struct message_order order = { .verb = MESSAGE_PUT, .message = page->message };

	order.message.name = wire_span(page->name, page->name_len);
	order.message.text = wire_span(page->text, page->text_len);
	int error = control_messages_order(control, &what, &order);
	if (error == -ENOBUFS || error == -ENOMEM)
		return false;
	if (error != 0)
		refuse(control, &page->pager,
		       error == -EMSGSIZE ? NOTICE_TOO_LONG : NOTICE_STORE_FAILED);
	return true;
}

static void
on_page(struct control *control, struct wire_span bytes, const struct ucred *sender,
	uint64_t now_ms)
{
	struct control_webpager *webpager = &control->messages.webpager;
	struct control_page *page = &webpager->page;
	struct notice notice;
	enum notice_fault why = notice_page_get(&notice, bytes);

	if (why != NOTICE_FINE) {
		say_malformed(webpager, sender->pid, why, now_ms);
		refuse(control, &page->pager, why);
	} else if (!may_page(control, sender->uid)) {
		refuse(control, &page->pager, NOTICE_NOT_ALLOWED);
	} else if (!control_messages_knows(control, notice.to)) {
		refuse(control, &page->pager, NOTICE_UNKNOWN_CLIENT);
	} else if (!keep_page(page, &notice, sender, &why)) {
		refuse(control, &page->pager, why);
	} else {
		webpager->holding = !order_page(control);
	}
}

/* Who sent it, as the kernel says; descriptors that came along are closed. */
static struct ucred
take_ancillary(struct msghdr *msg)
{
	struct ucred sender = { .uid = (uid_t)-1, .gid = (gid_t)-1 };

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(cmsg), sizeof sender);
		size_t count = cmsg->cmsg_type == SCM_RIGHTS
				   ? (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int)
				   : 0;
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
			close(fd);
		}
	}
	return sender;
}

/* False: nothing was there. */
static bool
read_one(struct control *control, uint64_t now_ms)
{
	static uint8_t bytes[NOTICE_PAGE_MAX + 1]; /* one more, to see that it is too long */
	struct control_webpager *webpager = &control->messages.webpager;
	struct control_pager_name *from = &webpager->page.pager;

	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} ancillary;
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof bytes };
	struct msghdr msg = { .msg_name = &from->address,
			      .msg_namelen = sizeof from->address,
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &ancillary,
			      .msg_controllen = sizeof ancillary.room };
	ssize_t got = recvmsg(webpager->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return false;
	from->len = msg.msg_namelen <= sizeof from->address ? msg.msg_namelen : 0;
	struct ucred sender = take_ancillary(&msg);
	on_page(control, wire_span(bytes, (size_t)got), &sender, now_ms);
	return true;
}

void
control_webpager_read(struct control *control, uint64_t now_ms)
{
	struct control_webpager *webpager = &control->messages.webpager;

	if (webpager->holding)
		webpager->holding = !order_page(control);
	for (int i = 0; i < PAGES_PER_ROUND && control_webpager_fd(control) >= 0; i++) {
		if (!read_one(control, now_ms))
			return;
	}
}
