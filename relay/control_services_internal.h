/*
 * control_services_internal.h - what the files of the table of services share; nobody else includes
 * it.
 *
 *   control_services.c       the table, telling the keeper, beginning a generation
 *   control_services_tell.c  telling the home worker
 *   control_services_life.c  what becomes of generations, and why another one is begun
 */
#ifndef RELAY_CONTROL_SERVICES_INTERNAL_H
#define RELAY_CONTROL_SERVICES_INTERNAL_H

#include "relay/control_services.h"

enum {
	CONTROL_SERVICES_BACKLOG = 256, /* messages of a channel above which none is added */
	CONTROL_DRAINING_MAX = 16,      /* generations of one service */
};

/* --- control_services.c */

/* It is in use from now on; the one before drains. */
void control_generation_use(struct control *control, struct control_service *service,
			    struct control_generation *generation);

/* The one in use gets no more calls. */
void control_generation_drain(struct control *control, struct control_service *service);

/* The keeper is to end it; nothing more is known of it then. */
void control_generation_end(struct control *control, struct control_service *service,
			    struct control_generation *generation);

/* It has ended by itself, or never was. */
void control_generation_forget(struct control *control, struct control_service *service,
			       struct control_generation *generation);

/* --- control_services_tell.c */

/* The channel to its home worker; NULL = there is none, or nothing may be said yet. */
struct channel *control_service_home(const struct control *control,
				     const struct control_service *service);

/* Unless too much is queued there. */
bool control_service_send(struct channel *channel, const struct channel_message *message, int fd);

void control_service_tell(struct control *control, struct control_service *service);
bool control_generation_tell(struct channel *home, const struct control_service *service,
			     const struct control_generation *generation,
			     enum service_generation_state state);

/* --- control_services_life.c */

/* `number` did not come to be; another one follows, later. */
void control_service_failed(struct control *control, struct control_service *service,
			    uint32_t number, const char *why, uint64_t now);

/* At files that changed, services that nobody uses and run directories that came or went, when
 * that is due. */
void control_services_look(struct control *control, uint64_t now);
bool control_service_is_watched(const struct control_service *service);

/* The files as they are now are those of the generation that begins. */
void control_service_note_files(struct control_service *service);

#endif
