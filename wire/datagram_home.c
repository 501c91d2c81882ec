/*
 * datagram_home.c - the home of a client: a hash of its id, in C and in classic BPF.
 *
 * All arithmetic is of 32 bits, as the machine of the kernel's filter has no more.  Neither form
 * may ever change alone; they may change together, since a home lasts no longer than the workers.
 */
#include "wire/datagram_home.h"

#include <assert.h>

/* Odd numbers without a pattern: ids are often counted up, or differ in one half only. */
#define MIX_HIGH  0x9e3779b1u
#define MIX_FIRST 0x85ebca6bu
#define MIX_LAST  0xc2b2ae35u

uint32_t
datagram_worker(uint64_t client, uint32_t workers)
{
	uint32_t hash = (uint32_t)(client >> 32) * MIX_HIGH ^ (uint32_t)client;

	assert(workers > 0);
	hash = (hash ^ hash >> 16) * MIX_FIRST;
	hash = (hash ^ hash >> 15) * MIX_LAST;
	return (hash ^ hash >> 16) % workers;
}

/* Appends A ^= A >> shift. */
static struct sock_filter *
put_fold(struct sock_filter *at, uint32_t shift)
{
	*at++ = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, shift);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0);
	return at;
}

void
datagram_home_program(struct sock_filter program[static DATAGRAM_HOME_STEPS], uint32_t workers)
{
	struct sock_filter *at = program;

	assert(workers > 0);
	/* A load beyond the end ends the program with 0. */
	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, MIX_HIGH);
	*at++ = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0);
	at = put_fold(at, 16);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, MIX_FIRST);
	at = put_fold(at, 15);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, MIX_LAST);
	at = put_fold(at, 16);
	*at++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers);
	*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	assert(at == program + DATAGRAM_HOME_STEPS);
}
