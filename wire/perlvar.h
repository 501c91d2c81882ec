/*
 * perlvar.h - `PerlSetVar name value` lines of loncapa.conf and loncapa_apache.conf.
 *
 * Leading blanks are allowed, the name is the next word, the value all that follows less
 * surrounding blanks.  Any other line (Apache directives, comments) is skipped.
 */
#ifndef WIRE_PERLVAR_H
#define WIRE_PERLVAR_H

#include "wire/wire.h"

#define PERLVAR_LINE_MAX (64 * 1024)

struct perlvar {
	struct wire_span name;
	struct wire_span value;
};

/*
 * Takes one line out of [*src, end); a last line without LF counts.
 * WIRE_OK        a variable; views into the input.
 * WIRE_SKIP      any other line.
 * WIRE_BAD_FORM  a PerlSetVar line without a value, or one with a NUL.
 * WIRE_BAD_LONG  a line over PERLVAR_LINE_MAX; *src is untouched.
 * WIRE_MORE      the end: *src == end.
 */
WIRE_MUST_CHECK enum wire_status perlvar_next(struct perlvar *var, const uint8_t **src,
					      const uint8_t *end);

#endif
