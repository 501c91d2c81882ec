/*
 * control_messages_verbs.h - what `messages list / drop` asked of the message store.
 */
#ifndef RELAY_CONTROL_MESSAGES_VERBS_H
#define RELAY_CONTROL_MESSAGES_VERBS_H

#include <stdint.h>

struct control;
struct message_view;

/* An order of a verb was answered; its call may be gone. */
void control_messages_verb_on_view(struct control *control, uint64_t token,
				   const struct message_view *view);

#endif
