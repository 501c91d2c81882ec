/*
 * courier.h - delivers delayed messages of one host: one at a time, on a link of its own that
 * carries nothing else.
 *
 * Such a message is sent at least once: whatever happens before its answer leaves it where it was,
 * on the control process' disk.
 */
#ifndef RELAY_COURIER_H
#define RELAY_COURIER_H

#include "relay/host.h"

/* One answer may take so long (gatewayc: 60 s). */
#define COURIER_REPLY_MS 60000u
/* The link is kept so long for the next message. */
#define COURIER_IDLE_MS 5000u

struct courier;

/*
 * Starts on a message whose line (`length` bytes, no LF) is in `memfd`, which it closes.  The
 * outcome goes to control as `delayed_done`.
 */
void courier_start(struct host *host, const struct channel_delayed *message, int memfd);

/* Gives up what is under way. */
void courier_stop(struct host *host);

/* From the courier's link. */
void courier_on_link_ready(struct courier *courier);
void courier_on_link_closed(struct courier *courier, enum link_end end);

#endif
