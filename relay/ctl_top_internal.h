/*
 * ctl_top_internal.h - what ctl_top.c (samples, keys, the terminal) and ctl_top_draw.c (the screen)
 * share.
 */
#ifndef RELAY_CTL_TOP_INTERNAL_H
#define RELAY_CTL_TOP_INTERNAL_H

#include "relay/ctl_rates.h"
#include "relay/ctl_top.h"

struct ctl_top_sample {
	struct control_answer stats;
	struct control_answer hosts;
	uint64_t at_ms; /* 0 = none yet */
};

struct ctl_top {
	struct control_client *client;
	const char *path;
	uint64_t timeout_ms;
	struct ctl_top_sample samples[2];
	unsigned now; /* which of them is the last */
	struct ctl_rates rates;
	enum ctl_order order;
	size_t first; /* host on the first row */
	bool lost;    /* no answer came; client->error says why */
	bool quit;
	Relay__Control__Code code;
};

#define CTL_TOP_ORDERS 7

struct ctl_top_order {
	int key;
	enum ctl_order order;
	const char *name;
};

extern const struct ctl_top_order ctl_top_orders[CTL_TOP_ORDERS];

/* NULL = there is none. */
const Relay__Control__Stats *ctl_top_stats(const struct ctl_top_sample *sample);

/* Draws all of it; scrolls back if there are fewer hosts than before. */
void ctl_top_draw(struct ctl_top *top);

/* Rows that hosts have on the screen. */
size_t ctl_top_host_rows(const struct ctl_top *top);

#endif
