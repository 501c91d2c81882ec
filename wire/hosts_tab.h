/*
 * hosts_tab.h - hosts.tab, the table of LON-CAPA hosts: `id:domain:role:name:address[:more]`, one
 * per line.
 *
 * Source: gatewayc.  A line counts iff its fifth field, LF removed, is neither empty nor "0"; `#`
 * has no special meaning there.  New here: an address in brackets may be an IPv6 literal ("[::1]"),
 * and white space (a CR) at the end of the address is cut.
 */
#ifndef WIRE_HOSTS_TAB_H
#define WIRE_HOSTS_TAB_H

#include "wire/wire.h"

#define HOSTS_TAB_LINE_MAX (64 * 1024)
/* sockaddr_un.sun_path less its NUL: no socket path may be longer. */
#define HOSTS_TAB_PATH_MAX 107

struct hosts_tab_entry {
	struct wire_span id;
	struct wire_span domain;
	struct wire_span role;
	struct wire_span name;
	struct wire_span address; /* without brackets */
};

/*
 * Takes one line out of [*src, end); a last line without LF counts.  *src moves on every answer but
 * WIRE_MORE and WIRE_BAD_LONG.
 *
 * WIRE_OK        a host.
 * WIRE_SKIP      a line that the original ignored (fewer than five fields, empty or "0" address);
 *                a blank line too.
 * WIRE_BAD_ID    a host whose id is unusable: empty, ".", "..", "delayed", or with '/' in it.
 *                *entry is filled.
 * WIRE_BAD_FORM  the line holds a NUL, or an address with an opening bracket and without its end,
 *                or with more behind the closing one.
 * WIRE_BAD_LONG  the line exceeds HOSTS_TAB_LINE_MAX.
 * WIRE_MORE      the end: *src == end.
 */
WIRE_MUST_CHECK enum wire_status hosts_tab_next(struct hosts_tab_entry *entry, const uint8_t **src,
						const uint8_t *end);

/*
 * Whether `id` may name a socket in a directory whose path (no '/' at its end) is `dir_len` long.
 *
 * WIRE_BAD_ID    unusable in any directory: empty, ".", "..", "delayed", or with '/' or NUL in it.
 * WIRE_BAD_LONG  the path would exceed HOSTS_TAB_PATH_MAX.
 */
WIRE_MUST_CHECK enum wire_status hosts_tab_check_id(struct wire_span id, size_t dir_len);

#endif
