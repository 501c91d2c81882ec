/*
 * load_parts.c - a window in parts, each begun from outside: so the runs of several relays can be
 * interleaved in moments, and what the machine does meanwhile meets all of them alike.
 *
 *     "done 0" on stdout -> a byte on stdin -> warm-up, measuring, draining -> "done 1" -> ...
 *
 * Between the parts the clients stay connected and ask nothing.
 */
#include "bench/load.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* Whoever began the parts has ended: the run is over, too. */
static void
on_go(struct uring_op *op, int res, const uint8_t *data)
{
	struct load *load = uring_container_of(op, struct load, go);
	char byte;
	ssize_t n;

	(void)res;
	(void)data;
	do
		n = read(STDIN_FILENO, &byte, sizeof byte);
	while (n < 0 && errno == EINTR);
	load->going = n > 0;
	load->stopping = load->stopping || n <= 0;
}

void
load_parts_tell(struct load *load)
{
	if (printf("done %lu\n", load->parts_done) < 0 || fflush(stdout) != 0)
		err(1, "stdout");
	load->going = false;
	if (load->parts_done == load->options->parts)
		return;
	load->go.done = on_go;
	uring_poll(load->ring, &load->go, STDIN_FILENO, POLLIN);
}
