/*
 * log.h - one line per decision, logfmt.  Never a payload, never a key.
 *
 * Processes without files (workers) install a sink that passes the line on.
 */
#ifndef RELAY_LOG_H
#define RELAY_LOG_H

#include <stddef.h>

#define LOG_TEXT_MAX 512

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG
};

typedef void log_sink(void *context, enum log_level level, const char *host, const char *text);

const char *log_level_text(enum log_level level);

/* The process' name in each line ("keeper", "worker-0"); kept by reference. */
void log_set_process(const char *name);

const char *log_process(void);

/* Where lines go; NULL = standard error, the default. */
void log_set_sink(log_sink *sink, void *context);

/* Lines above this level are dropped.  Default LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* `host` may be NULL.  Too long a text is cut. */
void log_line(enum log_level level, const char *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a finished line to standard error in one write, under the name of `process`. */
void log_write(const char *process, enum log_level level, const char *host, const char *text);

#define log_error(host, ...)   log_line(LOG_ERROR, host, __VA_ARGS__)
#define log_warning(host, ...) log_line(LOG_WARNING, host, __VA_ARGS__)
#define log_info(host, ...)    log_line(LOG_INFO, host, __VA_ARGS__)
#define log_debug(host, ...)   log_line(LOG_DEBUG, host, __VA_ARGS__)

#endif
