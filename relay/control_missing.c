#include "relay/control_call.h"
#define MISSING(name)                                                                      \
	void control_do_##name(struct control_call *call)                                  \
	{                                                                                  \
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED, "not there yet"); \
	}
MISSING(stats)
