/*
 * log.h - lines for the system log, each sent by itself.
 *
 * Never uses syslog(3), whose one connection and name belong to the program; never waits, and keeps
 * no descriptor.
 */
#ifndef RELAY_PREFORK_LOG_H
#define RELAY_PREFORK_LOG_H

struct prefork_log {
	int facility;     /* of <syslog.h>; negative = silence */
	const char *name; /* the program */
	const char *path; /* where the log listens */
};

/* `priority` as for syslog(3).  A line that the log does not take is lost. */
__attribute__((format(printf, 3, 4))) void prefork_log(const struct prefork_log *log, int priority,
						       const char *format, ...);

#endif
