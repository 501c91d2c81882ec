/*
 * tunnel_end.c - see tunnel_end.h.
 */
#include "relay/tunnel_end.h"

const char *
tunnel_end_text(enum tunnel_end end)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		TUNNEL_ENDS(X)
#undef X
	};

	return end < TUNNEL_END_COUNT ? texts[end] : "unknown";
}
