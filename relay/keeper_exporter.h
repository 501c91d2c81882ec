/*
 * keeper_exporter.h - the exporter as a child of the keeper: started when relay.conf says where it
 * shall listen, started again when it ends, ended last.
 *
 * It is a program of its own beside relayd, and gets nothing but its command line: no channel, no
 * descriptor but standard input, output and error.  Who it serves does not matter to who relays:
 * whatever happens to it is logged, and no more.
 */
#ifndef RELAY_KEEPER_EXPORTER_H
#define RELAY_KEEPER_EXPORTER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/child.h"
#include "relay/settings.h"

struct keeper_exporter {
	struct child child;  /* without a channel */
	const char *listen;  /* NULL = none is wanted */
	const char *control; /* the socket that it asks */
	uint64_t kill_at;    /* it was told to end; 0 = not yet */
	bool sandbox;        /* whether it enters its own */
	int said;            /* wait status that was logged last, -1 = none */
	char program[PATH_MAX];
};

/* The settings must outlive it. */
void keeper_exporter_init(struct keeper_exporter *exporter, const struct relay_settings *settings);

/*
 * Starts it when it is due, kills it when it was told to end and does not; returns when to look
 * again, in ms, UINT64_MAX = not for the clock's sake.  `silent`: nobody reads what it writes.
 */
uint64_t keeper_exporter_clock(struct keeper_exporter *exporter, uint64_t now, bool silent);

/* A process has ended; if it was this one, that is noted. */
void keeper_exporter_reap(struct keeper_exporter *exporter, pid_t pid, int wait_status);

/* Tells it to end, once; true when it is gone. */
bool keeper_exporter_stop(struct keeper_exporter *exporter);

#endif
