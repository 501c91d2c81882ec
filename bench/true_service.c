/*
 * true_service.c - bench-true: a service that does nothing, so that a call of it costs what calls
 * cost.
 */
#include "relay/prefork.h"

#include <err.h>
#include <errno.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	const struct relay_prefork_options options = { .max_servers = -1, .log_facility = -1 };
	int result = relay_prefork_initialisation_complete(&options, &argc, &argv);

	if (result < 0) {
		errno = -result;
		err(1, "PREFORK_INTERP");
	}
	_exit(0);
}
