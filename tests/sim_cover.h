/*
 * sim_cover.h - what the simulation has made happen, counted: a fault that never comes proves
 * nothing.
 */
#ifndef TESTS_SIM_COVER_H
#define TESTS_SIM_COVER_H

#include <stdint.h>

#include "relay/link_reason.h"
#include "relay/request.h"
#include "tests/fake_uring.h"

/* What a client does with its connection. */
#define SIM_STYLES(X)                               \
	X(STYLE_POLITE, "client_polite")            \
	X(STYLE_PIPELINE, "client_pipelines")       \
	X(STYLE_SPLIT, "client_splits")             \
	X(STYLE_DRIBBLE, "client_dribbles")         \
	X(STYLE_HALF_CLOSE, "client_half_closes")   \
	X(STYLE_LEAVE, "client_leaves")             \
	X(STYLE_RESET, "client_resets")             \
	X(STYLE_FRAGMENT, "client_leaves_fragment") \
	X(STYLE_NEVER_READ, "client_never_reads")   \
	X(STYLE_SLOW_READ, "client_reads_slowly")   \
	X(STYLE_ENDLESS, "client_endless_line")     \
	X(STYLE_IDLE, "client_idle")

enum sim_style {
#define X(name, text) name,
	SIM_STYLES(X)
#undef X
	SIM_STYLE_COUNT
};

/* How a peer lies on a link. */
#define SIM_FAULTS(X)                                     \
	X(FAULT_REFUSE, "peer_refuses")                   \
	X(FAULT_EMPTY_KEY, "peer_empty_key")              \
	X(FAULT_OPEN_CLOSE, "peer_closes_in_handshake")   \
	X(FAULT_OPEN_HALF, "peer_half_handshake_line")    \
	X(FAULT_OPEN_SILENT, "peer_silent_in_handshake")  \
	X(FAULT_OPEN_LONG, "peer_long_handshake_line")    \
	X(FAULT_KEY_LINE, "peer_line_behind_key")         \
	X(FAULT_KEY_PART, "peer_part_behind_key")         \
	X(FAULT_CLOSE_BEFORE, "peer_closes_before_reply") \
	X(FAULT_CLOSE_AFTER, "peer_closes_after_reply")   \
	X(FAULT_RESET, "peer_resets")                     \
	X(FAULT_HALF_REPLY, "peer_half_reply")            \
	X(FAULT_SILENT, "peer_silent")                    \
	X(FAULT_LATE, "peer_late_reply")                  \
	X(FAULT_EXTRA_LINE, "peer_extra_line")            \
	X(FAULT_EXTRA_PART, "peer_extra_part")            \
	X(FAULT_HUGE, "peer_huge_reply")                  \
	X(FAULT_HUGE_ENC, "peer_huge_encrypted")          \
	X(FAULT_DEAF_CLOSE, "peer_stops_reading_closes")  \
	X(FAULT_DEAF_RESET, "peer_stops_reading_resets")  \
	X(FAULT_IDLE_CLOSE, "peer_closes_idle")

enum sim_fault {
#define X(name, text) name,
	SIM_FAULTS(X)
#undef X
	SIM_FAULT_COUNT
};

#define SIM_EVENTS(X)                                    \
	X(SIM_HOST_ADDED, "host_added_later")            \
	X(SIM_HOST_REFUSED, "host_told_again")           \
	X(SIM_FAREWELL, "farewell")                      \
	X(SIM_HOST_CHANGED, "host_settings_changed")     \
	X(SIM_HOST_MOVED, "host_moved")                  \
	X(SIM_HOST_RENEWED, "host_renewed")              \
	X(SIM_HOST_REMOVED, "host_removed")              \
	X(SIM_PEER_DOWN, "peer_down")                    \
	X(SIM_ADDRESS_BAD, "address_bad")                \
	X(SIM_ADDRESS_SIX, "address_without_protocol")   \
	X(SIM_ADDRESS_GOOD, "address_good_among_bad")    \
	X(SIM_STOP_CLEAN, "stop_clean")                  \
	X(SIM_STOP_LATE, "stop_not_in_time")             \
	X(SIM_STOP_ORPHAN, "stop_without_channel")       \
	X(SIM_STOP_BUSY, "stop_under_traffic")           \
	X(SIM_MOVED, "request_moved")                    \
	X(SIM_ACCEPT_PAUSED, "accept_paused")            \
	X(SIM_CLIENTS_FULL, "clients_max_reached")       \
	X(SIM_QUEUE_FULL, "queue_max_reached")           \
	X(SIM_MEMORY_FULL, "memory_refused")             \
	X(SIM_PIPELINED, "link_pipelined")               \
	X(SIM_ORPHANED, "reply_without_client")          \
	X(SIM_RETIRED, "link_retiring")                  \
	X(SIM_ASLEEP, "host_asleep")                     \
	X(SIM_LOG_HELD, "channel_full")                  \
	X(SIM_PLAIN_REPLY, "plain_reply_to_plain")       \
	X(SIM_ENC_REPLY, "encrypted_reply_to_encrypted") \
	X(SIM_ENC_TO_PLAIN, "plain_reply_to_encrypted")  \
	X(SIM_PLAIN_TO_ENC, "encrypted_reply_to_plain")  \
	X(SIM_FLATTENED, "reply_flattened")              \
	X(SIM_LIKE_ENC, "reply_like_frame")              \
	X(SIM_LONGEST, "request_of_line_max")            \
	X(SIM_CON_LOST, "con_lost")                      \
	X(SIM_EXTRA_TAKEN, "extra_line_taken_for_reply") \
	X(SIM_CUT_OFF, "client_closed_by_relay")         \
	X(SIM_STALLED, "client_closed_as_stalled")       \
	X(SIM_AFTER_CRASH, "stats_of_crashed_worker")    \
	X(SIM_BLOCK_TAKEN, "stats_block_taken_over")     \
	X(SIM_PAUSED, "host_paused")                     \
	X(SIM_DRAINED, "host_drained")                   \
	X(SIM_RESUMED, "host_resumed")                   \
	X(SIM_RECONNECTED, "host_reconnected")           \
	X(SIM_ASKED, "host_asked_for")                   \
	X(SIM_LISTED, "list_of_several_pages")           \
	X(SIM_LINK_KILLED, "link_killed")                \
	X(SIM_CLIENT_KILLED, "client_killed")            \
	X(SIM_KILL_MISSED, "kill_of_nobody")

enum sim_event {
#define X(name, text) name,
	SIM_EVENTS(X)
#undef X
	SIM_EVENT_COUNT
};

/* Plain numbers, so that runs in processes of their own can share one by memory. */
struct sim_cover {
	uint64_t styles[SIM_STYLE_COUNT];
	uint64_t faults[SIM_FAULT_COUNT];
	uint64_t events[SIM_EVENT_COUNT];
	uint64_t ring[FAKE_EVENT_COUNT];
	uint64_t results[REQUEST_RESULT_COUNT];
	uint64_t closes[LINK_REASON_COUNT];
	uint64_t requests;
	uint64_t replies;
	uint64_t turns;
	uint64_t seconds; /* virtual */
};

const char *sim_style_text(enum sim_style style);
const char *sim_fault_text(enum sim_fault fault);

/* Prints every count; how many of them are 0. */
unsigned sim_cover_print(const struct sim_cover *cover);

#endif
