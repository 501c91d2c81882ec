/*
 * prefork.h - librelay-prefork: a C program that is started once and then serves many invocations.
 *
 * Under prefork-interp(1), or a service of relayd(8), everything before
 * relay_prefork_initialisation_complete() is done once, by a server that stays; what comes after it
 * is done once per invocation, each in a process of its own.  Link with -lrelay-prefork.
 */
#ifndef RELAY_PREFORK_H
#define RELAY_PREFORK_H

#ifdef __cplusplus
extern "C" {
#endif

/* All zero means: the defaults. */
struct relay_prefork_options {
	/* Invocations at once; more wait.  0 = 4, negative = no limit. */
	int max_servers;
	/* Seconds without an invocation that end the server.  0 = 1000000, negative = no limit. */
	long idle_timeout;
	/*
	 * Files whose change ends the server, so that the next invocation starts the program anew;
	 * NULL at the end, or NULL for none.  The program's own file is always looked at.  A file
	 * that does not exist is passed over.
	 */
	const char *const *autoreload;
	/* More failures to accept in a row end the server.  0 = 100, negative = no limit. */
	int max_errors;
	/* Where server and monitors log, as for syslog(3).  0 = LOG_USER, negative = nowhere. */
	int log_facility;
};

/* What relay_prefork_initialisation_complete() returns when all is well. */
enum {
	RELAY_PREFORK_STANDALONE = 0, /* PREFORK_INTERP is not set: nothing was done */
	RELAY_PREFORK_INVOCATION = 1, /* in a process that serves one invocation */
};

/*
 * The program is ready to serve.  `options` may be NULL; what it points at must stay as it is.
 *
 * Returns RELAY_PREFORK_INVOCATION once per invocation, in a process of its own that leads a
 * process group of its own: 0, 1 and 2 are the invoker's, *argc and *argv his arguments
 * (argv[*argc] is NULL, *argc may be 0; they stay valid), the environment is his and no other.  No
 * signal is blocked; SIGCHLD has its default action, and so have SIGHUP, SIGINT, SIGQUIT, SIGPIPE,
 * SIGTERM, SIGTSTP, SIGCONT and SIGWINCH if they were ignored.  SIGINT comes when the invoker has
 * gone: it is time to end.
 *
 * The process that called never returns from here: it exits with status 0, without what atexit(3)
 * would do.  Descriptors that it had open, but for 0, 1 and 2, are open in every invocation.
 *
 * Returns RELAY_PREFORK_STANDALONE, in the same process and with *argc and *argv as they were, if
 * PREFORK_INTERP is not set.
 *
 * Returns a negative errno, in the same process and with nothing begun: -EINVAL for a
 * PREFORK_INTERP that cannot be understood, -EBADF or -ENOTSOCK for one whose descriptors are not
 * what they should be, others for what the system refused.
 *
 * To be called once, with one thread.
 */
__attribute__((warn_unused_result)) int
relay_prefork_initialisation_complete(const struct relay_prefork_options *options, int *argc,
				      char ***argv);

#ifdef __cplusplus
}
#endif

#endif
