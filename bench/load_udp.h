/*
 * load_udp.h - clients of relayd's UDP sockets inside the load scenario (wire/DATAGRAM.md): what
 * `struct client` is over a stream, a session is here.
 *
 *     load_udp.c          a client: hello, requests, replies compared, confirms, repeats
 *     load_udp_socket.c   sockets, sealing, datagrams sent and received many at a time
 *
 * A request is sent again until it is answered; a session that ended cuts off what was under way.
 */
#ifndef BENCH_LOAD_UDP_H
#define BENCH_LOAD_UDP_H

#include "bench/load.h"
#include "wire/datagram.h"
#include "wire/datagram_seal.h"
#include "wire/datagram_window.h"

#define UDP_DEPTH_MAX DATAGRAM_OPEN_MAX
/* Numbers of the relay that are to be confirmed; with half of them one is sent for it. */
#define UDP_OWED 64u

/* A request under way; number 0: none. */
struct udp_ask {
	struct ask ask;
	uint64_t number;
	uint64_t again_ns; /* when it is sent again */
	uint64_t pause_ns;
	uint32_t tries;
	uint32_t got; /* bytes of the reply that came and were right */
};

struct udp_client {
	uint64_t id;
	struct datagram_cipher cipher;
	int fd; /* shared with other clients, if there are fewer sockets */
	uint64_t hello;
	uint64_t session; /* 0: none */
	uint64_t number;  /* the last one that was used */
	uint64_t said_ns; /* when the last datagram left */
	uint64_t hello_ns;
	uint64_t hello_pause_ns;
	struct datagram_welcome terms;
	struct datagram_window in;
	uint64_t owed[UDP_OWED];
	uint32_t owed_count;
	bool gave_up;         /* on some request, whose reply may still come */
	struct udp_ask *asks; /* `depth` of them */
};

/* load_udp_socket.c */
/* Keys or numbers as ids, sockets, memory; ends the program if that cannot be. */
void udp_init(struct load *load);
void udp_fini(struct load *load);
/* Puts a datagram into the batch; the header's client and seal are added. */
void udp_send(struct load *load, struct udp_client *c, const struct datagram_header *header,
	      struct wire_span prefix, struct wire_span body);
/* Sends what is gathered. */
void udp_flush(struct load *load);

/* load_udp.c */
void udp_on_datagram(struct client *c, const struct datagram *datagram);
/* All that came at once was taken: goes on asking, confirms what nothing else did. */
void udp_on_turn(struct client *c);

/* What load_client.c does for a stream. */
void udp_open(struct client *c);
void udp_ask(struct client *c);
void udp_begin(struct client *c);
void udp_on_wake(struct client *c);
void udp_finish(struct client *c);

#endif
