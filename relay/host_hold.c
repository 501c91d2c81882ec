/*
 * host_hold.c - pause, drain and resume of one host.
 *
 * While a host is held, host_submit() and host_pump() give nothing to a link and no link is opened
 * for what waits.  A paused host keeps its links and makes a new one for one that was lost; a
 * drained one has none and is asleep.
 */
#include "relay/host_internal.h"
#include "relay/link.h"

/* One link of a host that drains, that of delayed messages too: what is under way there stays on
 * the disk if it was not sent yet. */
static void
let_go(struct link *link)
{
	switch (link->state) {
	case LINK_CONNECTING:
	case LINK_HANDSHAKE:
		link_dismiss(link, LINK_REASON_DRAINED);
		break;
	case LINK_READY:
	case LINK_FULL:
		link_retire(link);
		break;
	case LINK_RETIRING:
	case LINK_CLOSING:
		break;
	}
}

static void
drain(struct host *host)
{
	host_each_link(host, let_go);
	host_set_state(host, HOST_ASLEEP, NULL);
}

void
host_set_hold(struct host *host, enum host_hold hold)
{
	enum host_hold before = host->hold;
	bool was_reachable = host_reachable(host);

	if (hold == HOST_HOLD_KEEP || hold == before || host->leaving)
		return;
	host->hold = hold;
	if (hold == HOST_HOLD_DRAINING) {
		drain(host);
	} else if (before == HOST_HOLD_DRAINING) {
		/* Whether the peer is there is to be seen at once, not when somebody asks. */
		host_set_state(host, HOST_CONNECTING, NULL);
		host_retry(host);
	}
	host_pump(host);
	host_go_on(host);
	if (was_reachable != host_reachable(host))
		worker_tell_state(host);
}

void
host_end_hold(struct host *host)
{
	if (host->hold == HOST_HOLD_NONE)
		return;
	/* Nothing was to be sent to the peer, and nobody is left who could resume. */
	host_answer_queue(host, REQUEST_STOPPED);
	host->hold = HOST_HOLD_NONE;
}
