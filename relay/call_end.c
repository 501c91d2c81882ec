/*
 * call_end.c - see call_end.h.
 */
#include "relay/call_end.h"

const char *
call_end_text(enum call_end end)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		CALL_ENDS(X)
#undef X
	};

	return end < CALL_END_COUNT ? texts[end] : "unknown";
}
