/*
 * control_messages_verbs.h - verbs that ask the message store: one order each at a time, answered
 * when the store has.
 */
#ifndef RELAY_CONTROL_MESSAGES_VERBS_H
#define RELAY_CONTROL_MESSAGES_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/control_call.h"
#include "relay/message_order.h"

/* An order of a verb was answered; its call may be gone. */
void control_messages_verb_on_view(struct control *control, uint64_t token,
				   const struct message_view *view);

/* --- for the handlers */

/* Answers the call, or asks anew; `number` is what control_messages_ask() was given. */
typedef void control_messages_answered(struct control_call *call, const struct message_view *view,
				       uint64_t number);

/* false: it cannot be asked, and was answered so.  One that is not answered in time is, too. */
bool control_messages_ask(struct control_call *call, const struct message_order *order,
			  control_messages_answered *answered, uint64_t number);

/* The last answer: the store's status. */
void control_messages_refused(struct control_call *call, const struct message_view *view);

/* false: it is not, and the call was answered so. */
bool control_messages_is_on(struct control_call *call);

/* A whole text of digits; false: it is none, or too great. */
bool control_messages_number(const char *text, int base, uint64_t *number);

#endif
