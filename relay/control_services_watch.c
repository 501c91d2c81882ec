/*
 * control_services_watch.c - is told of changes to the files of `autoreload`, so that what would be
 * looked at within the second is looked at once.
 *
 * Looking every second goes on beside it: inotify does not see what another machine changes, and
 * not more files than WATCH_FILES_MAX.  Owns services.watch.
 */
#include "relay/control_services_internal.h"

#include "relay/control.h"
#include "relay/log.h"
#include "relay/watch.h"

#include <string.h>

void
control_services_watch_files(struct control *control)
{
	struct control_services *services = &control->services;
	const char *paths[WATCH_FILES_MAX];
	size_t count = 0;

	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		const struct control_service *service = services->table[i];
		char *const *files = service == NULL ? NULL : service->config->settings.autoreload;
		for (; files != NULL && *files != NULL && count < WATCH_FILES_MAX; files++)
			paths[count++] = *files;
	}
	if (count == 0) {
		watch_close(services->watch);
		services->watch = NULL;
		return;
	}
	int error = services->watch == NULL ? watch_open(&services->watch, paths, count)
					    : watch_set(services->watch, paths, count);
	if (error != 0)
		log_warning(NULL, "autoreload: files cannot be watched (%s), only looked at",
			    strerror(-error));
}

int
control_services_watch_fd(const struct control *control)
{
	return control->services.watch == NULL ? -1 : watch_fd(control->services.watch);
}

uint64_t
control_services_watch_deadline(const struct control *control)
{
	return control->services.watch == NULL ? WATCH_NO_DEADLINE
					       : watch_deadline(control->services.watch);
}

void
control_services_watch_read(struct control *control, uint64_t now_ms)
{
	/* An error means that something new cannot be watched: looking finds it. */
	if (control->services.watch != NULL && watch_read(control->services.watch, now_ms) > 0)
		control->services.look_at = now_ms;
}
