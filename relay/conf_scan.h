/*
 * conf_scan.h - a first look at relay.conf, before libconfuse sees it.
 *
 * libconfuse 3.3 counts the line of a comment twice, allows comments only where a key may stand,
 * takes the end of the file for any number of closing braces, drops characters that it does not
 * know, and replaces `${NAME}` by whatever the environment holds, or nothing.  Here comments become
 * blanks and the rest becomes an error with its line.
 */
#ifndef RELAY_CONF_SCAN_H
#define RELAY_CONF_SCAN_H

#include "relay/report.h"
#include "relay/text_file.h"

struct conf_scan {
	unsigned *lines; /* of the opening brace of each top-level section */
	size_t count;
};

/*
 * Blanks comments and carriage returns in place.  False: a fatal entry (or no memory) is in the
 * report.  In either case conf_scan_fini.
 */
bool conf_scan(struct conf_scan *scan, struct text_file *file, const char *path,
	       struct report *report);

void conf_scan_fini(struct conf_scan *scan);

#endif
