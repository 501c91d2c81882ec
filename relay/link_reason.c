/*
 * link_reason.c - the names of the reasons.
 */
#include "relay/link_reason.h"

const char *
link_reason_text(enum link_reason reason)
{
	switch (reason) {
#define X(name, text) \
	case name:    \
		return text;
		LINK_REASONS(X)
#undef X
	case LINK_REASON_COUNT:
		break;
	}
	return "unknown";
}
