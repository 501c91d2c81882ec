/*
 * prefork_client_main.c - relay-prefork: runs a script in a service that is warm already, as
 * prefork-interp does, and passes signals on to it.
 *
 * Never starts a service: that is relayd's to do.  Nothing goes to standard output but help; the
 * call's output is written by the service itself.  Owns nothing beyond the call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/prefork_client_args.h"
#include "relay/prefork_client_call.h"
#include "relay/prefork_client_ident.h"
#include "relay/version.h"

#define NAME "relay-prefork"

static const char usage_text[] =
    "usage: " NAME " -U [OPTION]... INTERPRETER [SCRIPT [ARGUMENT]...]\n"
    "       #!/usr/bin/" NAME " -U,[OPTION,]...INTERPRETER\n";

static const char help_text[] =
    "\n"
    "Runs SCRIPT in the service that relayd keeps ready for it.\n"
    "\n"
    "  -U             arguments and environment go to the service as they are (required)\n"
    "  -g IDENT       the service of this ident; else it is computed like prefork-interp does\n"
    "  -E NAME        the computed ident depends on this environment variable\n"
    "  -G STRING      the computed ident depends on this string\n"
    "  -f             refused: no fresh service can be started from here\n"
    "  --kill         run nothing; relayd starts the service anew, if it is one of its own\n"
    "  --socket PATH  the service of this socket, whatever its ident\n"
    "  --help         this text\n"
    "  --version      the version\n";

/* Sockets of ours must not get the numbers of what the service is to have. */
static bool
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int
finish_status(uint32_t status)
{
	struct pfi_outcome outcome = pfi_outcome(status);

	switch (outcome.kind) {
	case PFI_EXITED:
		break;
	case PFI_KILLED:
		prefork_signals_die(outcome.signal);
		fprintf(stderr, NAME ": still there after signal %d\n", outcome.signal);
		break;
	case PFI_CRASHED:
		fprintf(stderr, NAME ": the service's process died of signal %d: %s%s\n",
			outcome.signal, strsignal(outcome.signal),
			outcome.core ? " (core dumped)" : "");
		break;
	case PFI_GARBLED:
		fprintf(stderr, NAME ": the status 0x%x is none of a process that ended\n", status);
		break;
	}
	return outcome.exit_code;
}

static int
finish(const struct prefork_end *end, const struct prefork_place *place)
{
	switch (end->kind) {
	case PREFORK_END_STATUS:
		return finish_status(end->status);
	case PREFORK_END_SIGNAL:
		prefork_signals_die(end->signal);
		break;
	case PREFORK_END_NOBODY:
		fprintf(stderr, NAME ": nobody serves %s%s%s\n", place->extended,
			place->socket[0] != '\0' ? " or " : "", place->socket);
		fputs(NAME ": relayd has to run, with a service of this ident or socket; to start "
			   "a server for this call alone, use prefork-interp\n",
		      stderr);
		break;
	case PREFORK_END_FAULT:
		fprintf(stderr, NAME ": %s\n", end->text);
		break;
	}
	return PREFORK_EXIT_FAILED;
}

static bool
find_place(const struct prefork_args *args, struct prefork_place *place)
{
	char computed[PREFORK_IDENT_DIGITS + 1];
	const char *ident = args->ident;
	struct prefork_ident_facts facts;

	if (args->socket)
		return prefork_place_of_path(place, args->socket);
	if (!ident) {
		int error = prefork_ident_look(&facts);

		if (error != 0) {
			snprintf(place->error, sizeof place->error,
				 "the ident cannot be computed: %s", strerror(-error));
			return false;
		}
		prefork_ident_compute(computed, &facts, args->items, args->items_len,
				      args->command);
		ident = computed;
	}
	return prefork_place_of_ident(place, ident);
}

static int
complain(const struct prefork_place *place)
{
	fprintf(stderr, NAME ": %s\n", place->error);
	return PREFORK_EXIT_FAILED;
}

static int
call_service(const struct prefork_args *args)
{
	struct prefork_signals signals;
	struct prefork_place place;
	struct prefork_end end;
	int error;

	if (!find_place(args, &place))
		return complain(&place);
	error = prefork_signals_init(&signals);
	if (error != 0) {
		fprintf(stderr, NAME ": signalfd: %s\n", strerror(-error));
		return PREFORK_EXIT_FAILED;
	}
	end = prefork_call(&place, &signals, environ, args->command);
	prefork_signals_fini(&signals);
	return finish(&end, &place);
}

static int
kill_server(const struct prefork_args *args)
{
	struct prefork_place place;

	if (!find_place(args, &place) || !prefork_place_kill(&place))
		return complain(&place);
	return 0;
}

static int
run(const struct prefork_args *args)
{
	switch (args->action) {
	case PREFORK_CALL:
		return call_service(args);
	case PREFORK_FRESH:
		fputs(NAME ": -f: no server is started from here; --kill makes relayd start the "
			   "service anew\n",
		      stderr);
		return PREFORK_EXIT_FAILED;
	case PREFORK_KILL:
		return kill_server(args);
	case PREFORK_HELP:
		fputs(usage_text, stdout);
		fputs(help_text, stdout);
		return fflush(stdout) == 0 ? 0 : PREFORK_EXIT_FAILED;
	case PREFORK_VERSION:
		puts(NAME " " RELAY_VERSION);
		return fflush(stdout) == 0 ? 0 : PREFORK_EXIT_FAILED;
	}
	return PREFORK_EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	struct prefork_args args;
	int status;

	if (!fill_standard_descriptors())
		return PREFORK_EXIT_FAILED;
	if (prefork_args_parse(&args, argc, argv)) {
		status = run(&args);
	} else {
		fprintf(stderr, NAME ": %s\n", args.error);
		if (args.exit_code == PREFORK_EXIT_USAGE)
			fputs(usage_text, stderr);
		status = args.exit_code;
	}
	prefork_args_fini(&args);
	return status;
}
