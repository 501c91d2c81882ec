/*
 * control_watch.c - the files that the configuration is made of are watched, and read again when
 * they change.  How files are watched is watch.c's.
 */
#include "relay/control.h"

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/log.h"
#include "relay/watch.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Until something could be read: those that the keeper was started with. */
static const struct relay_settings *
settings_now(const struct control *control)
{
	return control->loaded ? &control->config.relay : &control->options->started->relay;
}

/* hosts.tab, relay.conf and the two of LON-CAPA. */
#define OWN_FILES 4

static_assert(OWN_FILES + CONFIG_CREDENTIALS_MAX * TLS_FILE_COUNT <= WATCH_FILES_MAX,
	      "all files of a configuration can be watched");

/* One may belong to several sets; `count` is that of all so far. */
static size_t
add_path(const char **paths, size_t count, size_t from, const char *path)
{
	for (size_t i = from; i < count; i++)
		if (strcmp(paths[i], path) == 0)
			return count;
	paths[count] = path;
	return count + 1;
}

/* Those of certificates and keys: whoever renews them tells nobody. */
static size_t
add_credentials(const struct config *config, const char **paths, size_t count)
{
	size_t from = count;

	for (size_t i = 0; i < config->credential_count; i++)
		for (size_t j = 0; j < TLS_FILE_COUNT; j++)
			count = add_path(paths, count, from, config->credentials[i].paths[j]);
	return count;
}

/* The files that the configuration is made of. */
static void
watch_files(struct control *control)
{
	char apache[PATH_MAX];
	char loncapa[PATH_MAX];
	const char *paths[WATCH_FILES_MAX];
	size_t count = 0;
	const struct config_source *source = control->options->source;

	paths[count++] = settings_now(control)->hosts_file;
	if (source->conf_file != NULL)
		paths[count++] = source->conf_file;
	if (source->loncapa_dir != NULL) {
		snprintf(apache, sizeof apache, "%s/loncapa_apache.conf", source->loncapa_dir);
		snprintf(loncapa, sizeof loncapa, "%s/loncapa.conf", source->loncapa_dir);
		paths[count++] = apache;
		paths[count++] = loncapa;
	}
	count = add_credentials(control->loaded ? &control->config : control->options->started,
				paths, count);
	int error = control->watch == NULL ? watch_open(&control->watch, paths, count)
					   : watch_set(control->watch, paths, count);
	if (error != 0)
		log_error(NULL, "hosts_watch: files cannot be watched: %s", strerror(-error));
}

static void
update_watch(struct control *control)
{
	control->watched = control->generation;
	if (settings_now(control)->hosts_watch) {
		watch_files(control);
	} else if (control->watch != NULL) {
		watch_close(control->watch);
		control->watch = NULL;
	}
}

void
control_load_watched(struct control *control)
{
	/* Watched before they are read, so that no change falls in between; what is read may name
	 * others. */
	if (control->watch == NULL)
		update_watch(control);
	control_load(control);
	update_watch(control);
}

/* What an operator's verb took over may want other files to be watched, or any at all. */
static void
follow(struct control *control)
{
	if (control->watched == control->generation)
		return;
	bool before = control->watch != NULL;
	update_watch(control);
	if (!before && control->watch != NULL)
		control_load_watched(control); /* they may have changed since they were read */
}

static void
read_watch(struct control *control, uint64_t now)
{
	if (control->watch == NULL)
		return;
	int changed = watch_read(control->watch, now);
	if (changed < 0)
		log_error(NULL, "hosts_watch: %s", strerror(-changed));
	if (changed <= 0)
		return;
	log_info(NULL, "the configuration's files changed: reading them again");
	control_load_watched(control);
}

/* A user's run directory came or went: the sockets of his idents follow. */
static void
follow_places(struct control *control)
{
	if (!control->services.moved)
		return;
	control->services.moved = false;
	control_load_watched(control);
}

void
control_watch_run(struct control *control)
{
	follow(control);
	follow_places(control);
	read_watch(control, child_clock_ms());
}
