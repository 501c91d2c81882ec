/*
 * keeper_internal.h - what the files of the keeper share; nobody else includes it.
 *
 *   keeper.c           set-up, signals, the loop
 *   keeper_messages.c  what children say
 *   keeper_children.c  starting them and making them known to each other
 *   keeper_ends.c      their end, and when they are started anew
 *   keeper_sockets.c   sockets of hosts, and the control socket
 *   keeper_exporter.c  the exporter, which is a program of its own
 *   keeper_datagram.c  sockets of the message plane
 *   keeper_gateways.c  sockets of gateways
 *   keeper_services.c  services of fd-passing: their sockets and processes
 *   keeper_definitions.c  what relay.conf says of them
 */
#ifndef RELAY_KEEPER_INTERNAL_H
#define RELAY_KEEPER_INTERNAL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/child.h"
#include "relay/keeper.h"
#include "relay/keeper_datagram.h"
#include "relay/keeper_exporter.h"
#include "relay/keeper_gateways.h"
#include "relay/keeper_services.h"
#include "relay/listener.h"
#include "relay/listener_table.h"

enum {
	KEEPER_UNSENT_MAX = 16, /* log lines for a control process that is not there */
};

struct keeper_worker {
	struct child child;
	int stats; /* memfd of its statistics; outlives it */
};

struct keeper {
	const struct keeper_options *options;
	const struct relay_settings *settings;
	struct listener_table listeners;
	struct child control;
	struct keeper_worker *workers;
	uint32_t worker_count;
	uint32_t clients_max; /* of one worker */
	int signals;
	struct listener control_socket;
	struct keeper_exporter exporter;
	struct keeper_services services;
	struct keeper_datagram datagram;
	struct keeper_gateways gateways;
	char boot_id[17];
	uint64_t started_us;
	uint64_t generation; /* of the configuration in force, for the next control process */
	uint64_t stop_timeout_ms;
	uint64_t stopping_at; /* 0 = running */
	uint64_t beat_at;     /* next word to the service manager's watchdog; UINT64_MAX = none */
	bool announced;       /* to the service manager: ready */
	bool reload_due;      /* HUP came, and no control process has said since that it is done */
	uint32_t unsent_count;
	struct channel_message unsent[KEEPER_UNSENT_MAX]; /* log lines, the oldest first */
	bool quit; /* end without waiting for what is under way */
	enum exit_status status;
};

/* --- keeper_children.c */

/* A log_sink: standard error, and control for the log file. */
void keeper_log(void *context, enum log_level level, const char *host, const char *text);

/* A signal that is control's business. */
void keeper_pass_on(struct keeper *keeper, int number);

void keeper_start_worker(struct keeper *keeper, uint32_t i);
void keeper_start_control(struct keeper *keeper);

/* --- keeper_ends.c */

/* Asks workers to end, and control after them.  Cheap to say twice. */
void keeper_begin_stop(struct keeper *keeper);

bool keeper_workers_alive(const struct keeper *keeper);

/* Children that ended, also those of services and the exporter. */
void keeper_reap(struct keeper *keeper);

/* Starts a child that is due, kills one that overstays; returns when to look again. */
uint64_t keeper_child_clock(struct keeper *keeper, struct child *child, uint64_t now);

/* --- keeper_messages.c */

/* What the child has said, and up to its end: what it said before it died is still there. */
void keeper_read_channel(struct keeper *keeper, struct child *child);

/* What to wait for of its channel. */
void keeper_watch(struct pollfd *slot, const struct child *child);

/* --- keeper_sockets.c */

/* Opens the host's socket and answers control with it, or with why there is none. */
void keeper_listen(struct keeper *keeper, const char *id);

/* Without it the relay serves, but nobody can ask it anything. */
void keeper_open_control_socket(struct keeper *keeper);

#endif
