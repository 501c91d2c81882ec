/*
 * prefork.c - relay_prefork_initialisation_complete(): from the process that set everything up to
 * the server, and back into the program in each executor.
 *
 * Nothing has happened when an error is returned.  Owns, in an executor, the bytes that arguments
 * and environment lie in, for as long as the process lives.
 */
/* All else is hidden. */
#pragma GCC visibility push(default)
#include "relay/prefork.h"
#pragma GCC visibility pop

#include "relay/prefork/handover.h"
#include "relay/prefork/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <syslog.h>
#include <unistd.h>

enum {
	SERVERS_DEFAULT = 4,
	IDLE_DEFAULT_S = 1000000,
	ERRORS_DEFAULT = 100
};

static struct prefork_invocation current;

static int
or_default(int value, int otherwise)
{
	return value != 0 ? value : otherwise;
}

/* -1 without a limit: also for one that is centuries away. */
static int64_t
idle_ms(long seconds)
{
	if (seconds == 0)
		seconds = IDLE_DEFAULT_S;
	return seconds < 0 || seconds > INT_MAX ? -1 : (int64_t)seconds * 1000;
}

static int
configure(struct prefork_server *server, const struct relay_prefork_options *options)
{
	int facility = or_default(options->log_facility, LOG_USER);

	if (facility > 0 && (facility & ~LOG_FACMASK) != 0)
		return -EINVAL;
	server->log = (struct prefork_log){ .facility = facility,
					    .name = program_invocation_short_name,
					    .path = "/dev/log" };
	server->children.running_max = or_default(options->max_servers, SERVERS_DEFAULT);
	server->children.log = &server->log;
	server->idle_ms = idle_ms(options->idle_timeout);
	server->errors_max = or_default(options->max_errors, ERRORS_DEFAULT);
	prefork_sources_init(&server->sources, server->handover.fresh, options->autoreload);
	return 0;
}

/* What all of this stands on is asked for while the error can still be told. */
static int
probe(void)
{
	int pidfd = pidfd_open(getpid(), 0);

	if (pidfd < 0)
		return -errno;
	close(pidfd);
	return 0;
}

static int
prepare(struct prefork_server *server, const char *text,
	const struct relay_prefork_options *options)
{
	int error = prefork_handover_parse(text, &server->handover);

	if (error == 0)
		error = prefork_handover_check(&server->handover);
	if (error == 0)
		error = configure(server, options);
	return error != 0 ? error : probe();
}

static bool
set_flags(int fd, bool nonblocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return false;
	return !nonblocking || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool
use_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool good = fd >= 0;

	for (int i = 0; good && i < 3; i++)
		good = dup2(fd, i) == i;
	if (fd > 2)
		close(fd);
	return good;
}

/*
 * The server keeps nothing of whoever happened to call first.  Its children are its own to wait
 * for, whatever the program does with children of its own.
 */
static void
become_server(const struct prefork_server *server)
{
	const struct prefork_handover *handover = &server->handover;

	signal(SIGCHLD, SIG_DFL);
	if (setsid() >= 0 && set_flags(handover->listen, true) &&
	    set_flags(handover->orders, true) && set_flags(handover->call, false) &&
	    set_flags(handover->sentinel, false) && use_null())
		return;
	prefork_log(&server->log, LOG_ERR, "becoming a server: %s", strerror(errno));
	_exit(127);
}

/* The caller's environment is taken where it lies; nobody frees it. */
static void
become_invocation(int *argc, char ***argv)
{
	environ = current.message.environment;
	*argc = current.message.argc;
	*argv = current.message.argv;
	clearerr(stdin);
	clearerr(stdout);
	clearerr(stderr);
	errno = 0;
}

int
relay_prefork_initialisation_complete(const struct relay_prefork_options *options, int *argc,
				      char ***argv)
{
	static const struct relay_prefork_options defaults;
	const char *text = getenv("PREFORK_INTERP");
	struct prefork_server server = { 0 };

	if (text == NULL)
		return RELAY_PREFORK_STANDALONE;
	int error = prepare(&server, text, options != NULL ? options : &defaults);
	if (error != 0)
		return error;
	/* What is still buffered would be written by every invocation once more. */
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	become_server(&server);
	prefork_server_run(&server, &current);
	become_invocation(argc, argv);
	return RELAY_PREFORK_INVOCATION;
}
