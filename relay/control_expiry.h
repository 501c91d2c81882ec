/*
 * control_expiry.h - certificates that are over or soon will be, own ones and those that peers have
 * shown: for `health`, and said in the log and as events once a day.
 */
#ifndef RELAY_CONTROL_EXPIRY_H
#define RELAY_CONTROL_EXPIRY_H

#include <stdint.h>

struct control;

/* Calls `say` for each that expires within tls_expiry_warn; `host` is NULL for an own one. */
typedef void control_expiry_say(void *context, const char *host, const char *text);
void control_expiry_each(const struct control *control, control_expiry_say *say, void *context);

/* Says so in the log where it was not said for a day; control_expiry_deadline() says when to come
 * again (ms). */
void control_expiry_run(struct control *control, uint64_t now_ms);
uint64_t control_expiry_deadline(const struct control *control);

#endif
