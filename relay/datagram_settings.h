/*
 * datagram_settings.h - what a worker must know of section `datagram`, as plain numbers: made by
 * the configuration, carried by the channel, used by the worker.  Fixed size, no pointers.
 */
#ifndef RELAY_DATAGRAM_SETTINGS_H
#define RELAY_DATAGRAM_SETTINGS_H

#include <stdint.h>

struct datagram_settings {
	uint32_t size;         /* bytes of a datagram, at most */
	uint32_t sessions_max; /* of this worker: its share of the setting */
	uint32_t resend_tries; /* how often an unconfirmed datagram is sent in all, at most */
	uint32_t rate;         /* requests of one client per second in the long run */
	uint32_t burst;        /* and how many of them at once */
	uint64_t reply_max;    /* bytes of a reply, joined */
	uint64_t resend_first_ms;
	uint64_t presence_timeout_ms; /* silent for longer: offline */
	uint64_t busy_queue_time_ms;  /* a host whose requests wait for longer is overloaded ... */
	uint64_t busy_clear_time_ms;  /* ... until they wait for less than this */
	uint64_t busy_retry_after_ms; /* what a client is told with `busy` */
};

#endif
