/*
 * loncapa.h - the variables of loncapa_apache.conf and loncapa.conf that concern the relay.
 */
#ifndef RELAY_LONCAPA_H
#define RELAY_LONCAPA_H

#include <stdbool.h>

#include "relay/report.h"

#define LONCAPA_VARS(X)                   \
	X(LONCAPA_SOCK_DIR, "lonSockDir") \
	X(LONCAPA_TAB_DIR, "lonTabDir")   \
	X(LONCAPA_DAEMONS, "lonDaemons")  \
	X(LONCAPA_HOST_ID, "lonHostID")   \
	X(LONCAPA_PORT, "londPort")       \
	X(LONCAPA_DOC_ROOT, "lonDocRoot")

enum loncapa_var {
#define X(name, text) name,
	LONCAPA_VARS(X)
#undef X
	LONCAPA_VAR_COUNT,
};

/* In the order in which they are read: of one variable the last value counts. */
enum {
	LONCAPA_FILE_COUNT = 2
};

struct loncapa_value {
	char *text;       /* NULL = not set */
	const char *file; /* one of loncapa.files */
	unsigned line;
};

struct loncapa {
	char *files[LONCAPA_FILE_COUNT];
	struct loncapa_value vars[LONCAPA_VAR_COUNT];
};

const char *loncapa_var_name(enum loncapa_var var);

/*
 * Reads both files of the directory; one of them may be missing.  NULL for `dir`: nothing is set.
 * False: fatal entries in the report.  In either case loncapa_fini.
 */
bool loncapa_load(struct loncapa *loncapa, const char *dir, struct report *report);

void loncapa_fini(struct loncapa *loncapa);

#endif
