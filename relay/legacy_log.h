/*
 * legacy_log.h - the lines of lonc.log, lonnet.perm.log and loncstatus.txt, as scripts of a
 * LON-CAPA site know them.
 *
 * Source: gatewayc, observed.  Its HTML tags are left out, and a message stays one line: control
 * characters (NUL, LF, CR, TAB, ESC ... and DEL) are written as \xNN.  A backslash is written as
 * \x5c if an 'x' follows it, otherwise as it is, so that what was written can be told exactly.
 *
 * Messages and statuses speak of what the relay does; requests and replies never belong into them.
 * The one line that holds a command is that of the permanent log, which exists to keep it.
 *
 * Times are local, in the form of ctime(3) without LF, in English whatever the locale.
 */
#ifndef RELAY_LEGACY_LOG_H
#define RELAY_LEGACY_LOG_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "wire/wire.h"

/* Room that is enough for a line of lonc.log or a row of the status file with short texts; a longer
 * text is cut, and the line still ends in LF. */
#define LEGACY_LOG_LINE_MAX 2048

/* "Fri Nov 20 22:02:54 2026" with its NUL; years up to 2147485547. */
#define LEGACY_LOG_TIME_MAX 32

/* A text and when it was set.  Text NULL or "" = nothing yet. */
struct legacy_log_text {
	time_t at;
	const char *text;
};

/* The time of a line; a time that cannot be told is "?".  Returns `out`. */
const char *legacy_log_time(char out[static LEGACY_LOG_TIME_MAX], time_t at);

/*
 * A line of lonc.log: `<localtime> (<pid>) [<who>] [<status>]: <message>` LF.  `who` is SHELL,
 * PARENT or a host id.  Returns its bytes, at most `size`; there is no NUL behind them.  `size`
 * must be at least 2.
 */
size_t legacy_log_line(char *out, size_t size, time_t now, pid_t pid, const char *who,
		       struct legacy_log_text status, const char *message);

/*
 * A line of lonnet.perm.log: `<epoch>:S:<hostid>:<command>:<localtime>` LF, for a delayed message
 * that was delivered.  The command is that of the file, `encrypt:` included, without LF.  Never
 * cut: returns the bytes that the line needs; it was written if that is at most `size`, else `out`
 * holds nothing of use.
 */
size_t legacy_log_perm_line(char *out, size_t size, time_t now, const char *host,
			    struct wire_span command);

/* Begins loncstatus.txt: `LONC status <localtime> - parent <pid>` LF LF.  Otherwise as
 * legacy_log_line. */
size_t legacy_log_status_head(char *out, size_t size, time_t now, pid_t parent);

/*
 * A row of loncstatus.txt: `<pid>` TAB `<who>` TAB `<localtime>: <status>` TAB
 * `<localtime>: <last message>` LF; a text that was not set yet leaves its field empty.  Otherwise
 * as legacy_log_line.
 */
size_t legacy_log_status_row(char *out, size_t size, pid_t pid, const char *who,
			     struct legacy_log_text status, struct legacy_log_text message);

#endif
