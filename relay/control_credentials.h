/*
 * control_credentials.h - certificates and keys in the control process: numbered, kept in sealed
 * memory of the kernel for workers that are started again, and told to all of them.
 *
 * A number stands for what was in three files at one time.  What comes again with another
 * configuration keeps its number, so that nothing is renewed that did not change.  Part of struct
 * control.
 */
#ifndef RELAY_CONTROL_CREDENTIALS_H
#define RELAY_CONTROL_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct control;
struct control_credential;
LIST_HEAD(control_credential_list, control_credential);

struct control_credentials {
	struct control_credential_list list;
	uint32_t last;     /* number */
	uint32_t *numbers; /* by index in the configuration's credentials */
};

/* Before hosts and gateways follow control->config: workers get what is new, and the bytes in the
 * configuration are wiped. */
void control_credentials_apply(struct control *control);

/* After they followed: what is not named any more goes. */
void control_credentials_settle(struct control *control);

/* A worker is told of everything anew: part of a sync. */
void control_credentials_tell(struct control *control, uint32_t worker);

/* For HOST_ADD and so on: the number of credentials of the configuration in force; 0 = none (the
 * index is CONFIG_CREDENTIALS_NONE, or there was no memory: then it must not be served). */
uint32_t control_credentials_number(const struct control *control, uint32_t index);

#endif
