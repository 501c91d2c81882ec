/*
 * datagram_home.h - which worker a client of the datagram sockets belongs to, as a function and as
 * the classic BPF program that makes the kernel steer by it (SO_ATTACH_REUSEPORT_CBPF).
 */
#ifndef WIRE_DATAGRAM_HOME_H
#define WIRE_DATAGRAM_HOME_H

#include <linux/filter.h>

#include "wire/wire.h"

#define DATAGRAM_HOME_STEPS 18

/* The home of this client: 0 .. workers - 1.  workers >= 1. */
uint32_t datagram_worker(uint64_t client, uint32_t workers);

/*
 * The program that says the same of a datagram whose first 8 bytes are the id.  One that is shorter
 * goes to worker 0.  The sockets of the group must have been bound in the order of the workers, and
 * all of them be open: the number that it gives is that of the bind order.
 */
void datagram_home_program(struct sock_filter program[static DATAGRAM_HOME_STEPS],
			   uint32_t workers);

#endif
