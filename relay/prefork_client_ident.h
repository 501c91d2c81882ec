/*
 * prefork_client_ident.h - the ident that the original client computes when none is given: SHA-256
 * over what shall tell services apart, as 64 hexadecimal digits.
 *
 *   1
 *   'u' 390:64 'u' struct utsname
 *   '.' st_dev:64 'i' st_ino:64    of the working directory
 *   '/' st_dev:64 'i' st_ino:64    of the root
 *   'E' NAME 0, then 'v' VALUE 0 or, if it is not set, 0     -E NAME     } in the order
 *   'G' STRING 0                                             -G STRING   } of the options
 *   'i' INTERPRETER 0
 *   's' SCRIPT 0                                             if there is one
 *
 * Numbers are little-endian.  Source: what prefork-interp 7.0.0 gives to its hash on Linux x86-64.
 * It writes numbers as they lie in memory; on a big-endian machine its idents are others.
 */
#ifndef RELAY_PREFORK_CLIENT_IDENT_H
#define RELAY_PREFORK_CLIENT_IDENT_H

#include <stdint.h>
#include <sys/utsname.h>

#include "relay/prefork_client_args.h"

#define PREFORK_IDENT_DIGITS 64

struct prefork_inode {
	uint64_t device;
	uint64_t number;
};

struct prefork_ident_facts {
	struct utsname system; /* zeros behind its texts */
	struct prefork_inode working, root;
};

/* Asks the system for them.  0, or a negative errno. */
int prefork_ident_look(struct prefork_ident_facts *facts);

/* `command` is interpreter, script, ...; the environment is this process's. */
void prefork_ident_compute(char ident[static PREFORK_IDENT_DIGITS + 1],
			   const struct prefork_ident_facts *facts,
			   const struct prefork_item *items, size_t items_len,
			   char *const *command);

#endif
