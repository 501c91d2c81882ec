/*
 * request.c - names of states and results.
 */
#include "relay/request.h"

const char *
request_state_text(enum request_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		REQUEST_STATES(X)
#undef X
	}
	return "unknown";
}

const char *
request_result_text(enum request_result result)
{
	switch (result) {
#define X(name, text) \
	case name:    \
		return text;
		REQUEST_RESULTS(X)
#undef X
	case REQUEST_RESULT_COUNT:
		break;
	}
	return "unknown";
}
