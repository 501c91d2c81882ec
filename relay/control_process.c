/*
 * control_process.c - the loop of the control process: keeper, workers, resolver, storage, watched
 * files.
 */
#include "relay/control_process.h"

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/control_apply.h"
#include "relay/control_ask.h"
#include "relay/control_expiry.h"
#include "relay/control_sandbox.h"
#include "relay/control_server.h"
#include "relay/keeper.h"
#include "relay/log.h"
#include "relay/resolver.h"
#include "relay/sandbox.h"
#include "relay/stats.h"
#include "relay/storage.h"
#include "relay/watch.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Where child_let_go() puts it. */
enum {
	KEEPER_FD = 3
};

enum {
	SLOT_KEEPER,
	SLOT_RESOLVER,
	SLOT_STORAGE,
	SLOT_WATCH,
	SLOT_SERVICES,
	SLOT_WEBPAGER,
	SLOT_WORKERS,
	SLOTS = SLOT_WORKERS + CONTROL_WORKERS_MAX + CONTROL_SERVER_SLOTS,
	MESSAGES_PER_ROUND = 256, /* of one channel, so that none starves another */
};

static void load(struct control *control);

static void
log_here(void *context, enum log_level level, const char *host, const char *text)
{
	control_log(context, "control", getpid(), level, host, text);
}

/* --- the keeper ------------------------------------------------------------------------------- */

static void
say_ready(struct control *control)
{
	if (control->ready_said || !control->listed)
		return;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct control_worker *worker = &control->workers[i];
		if (worker->channel != NULL && !control_worker_ready(worker))
			return;
	}
	control->ready_said = true;
	control->ready_once = true;
	channel_send(control->keeper, &(struct channel_message){ .type = CHANNEL_READY }, -1);
}

static void
on_signal(struct control *control, int number)
{
	switch (number) {
	case SIGHUP:
		log_info(NULL, "HUP: reading everything again, renewing every link");
		load(control);
		control_tell_all(control, CHANNEL_RENEW);
		control->ready_said = false; /* says so to the service manager */
		break;
	case SIGUSR1:
		log_info(NULL, "USR1: Trying to establish connections again");
		control_tell_all(control, CHANNEL_RETRY);
		control_write_status(control);
		break;
	case SIGTERM:
		control->ending = true;
		break;
	default:
		log_warning(NULL, "signal %d has no effect", number);
	}
}

static void
map_stats(struct control *control, uint32_t number, int fd)
{
	if (number < control->options->worker_count && control->workers[number].stats == NULL)
		control->workers[number].stats = stats_map(fd, false);
	close(fd);
}

static void
on_keeper(struct control *control, struct channel_message *message, int fd)
{
	if (control_services_on_keeper(control, message, fd)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	switch (message->type) {
	case CHANNEL_LISTENER:
		message->listen.id[sizeof message->listen.id - 1] = '\0';
		control_on_listener(control, &message->listen, fd);
		return;
	case CHANNEL_GATEWAY_LISTENER:
		control_gateways_on_listener(control, &message->gateway_listen, fd);
		return;
	case CHANNEL_WORKER:
		control_on_worker(control, &message->worker, fd);
		return;
	case CHANNEL_STATS:
		if (fd >= 0)
			map_stats(control, message->worker.number, fd);
		return;
	case CHANNEL_CONTROL_SOCKET:
		if (fd >= 0)
			control_server_listen(control->server, fd);
		return;
	case CHANNEL_WEBPAGER_SOCKET:
		control_webpager_open(control, fd);
		return;
	case CHANNEL_SYNC_END:
		control_on_listed(control);
		break;
	case CHANNEL_SIGNAL:
		on_signal(control, message->signal.number);
		break;
	case CHANNEL_LOG:
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		control_log(control, NULL, control->options->keeper_pid, message->log.level,
			    message->log.host, message->log.text);
		break;
	case CHANNEL_STOP:
		control->stopping = true;
		break;
	default:
		log_error(NULL, "unexpected message from the keeper: %s",
			  channel_type_text(message->type));
	}
	if (fd >= 0)
		close(fd);
}

/* --- workers ---------------------------------------------------------------------------------- */

static void
on_host_state(struct control *control, uint32_t number, const struct channel_name *message)
{
	struct control_host *host = control_host_at(control, message->index);
	uint64_t bit = 1ull << number;

	/* One that was told to let it go may not know that yet. */
	if (host == NULL || !(host->homes & bit))
		return;
	bool was_up = host->up != 0;
	bool was_down = control_host_down(host);
	host->up = message->up ? host->up | bit : host->up & ~bit;
	host->down = message->down ? host->down | bit : host->down & ~bit;
	if (message->in_use.any.sa_family != AF_UNSPEC)
		host->in_use = message->in_use;
	/* Its line of the log came just before. */
	if (host->up != 0 && !was_up)
		control_event(control, "host_up", host->id, "%s", host->last_log.text);
	else if (control_host_down(host) && !was_down)
		control_event(control, "host_down", host->id, "%s", host->last_log.text);
	control_set_text(&host->status, host->up != 0 ? "online" : "Trying to connect");
	if (message->up)
		control_delayed_host_up(control, host);
	control_host_learn_hold(control, host, (enum host_hold)message->hold);
}

static void
on_worker(struct control *control, uint32_t number, struct channel_message *message)
{
	struct control_host *host;
	char name[24];

	switch (message->type) {
	case CHANNEL_LOG:
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		snprintf(name, sizeof name, "worker-%u", number);
		control_log(control, name, control->workers[number].pid, message->log.level,
			    message->log.host, message->log.text);
		break;
	case CHANNEL_HOST_STATE:
		on_host_state(control, number, &message->name);
		break;
	case CHANNEL_RESOLVE:
		host = control_host_at(control, message->name.index);
		if (host != NULL)
			control_resolve(control, host);
		break;
	case CHANNEL_GATEWAY_RESOLVE:
		control_gateways_resolve(control, message->gateway_index.index);
		break;
	case CHANNEL_DELAYED_DONE:
		control_on_delayed_done(control, &message->delayed);
		break;
	case CHANNEL_SERVICE_CALLS:
		control_services_on_calls(control, number, &message->service_calls);
		break;
	case CHANNEL_SERVICE_SLOW:
		control_services_on_slow(control, number, &message->service_slow);
		break;
	case CHANNEL_HOST_IS:
	case CHANNEL_ROWS:
	case CHANNEL_KILLED:
	case CHANNEL_REPLY:
		control_on_answer(control, number, message);
		break;
	default:
		log_error(NULL, "unexpected message from worker-%u: %s", number,
			  channel_type_text(message->type));
	}
}

/* 0, or the error that ended the channel. */
static int
read_channel(struct control *control, struct channel *channel, int worker)
{
	struct channel_message message;
	int fd;
	int got = 0;

	for (int i = 0; i < MESSAGES_PER_ROUND; i++) {
		got = channel_receive(channel, &message, &fd);
		if (got <= 0)
			break;
		if (worker < 0) {
			on_keeper(control, &message, fd);
			continue;
		}
		if (!control_messages_on_worker(control, (uint32_t)worker, &message, fd))
			on_worker(control, (uint32_t)worker, &message);
		if (fd >= 0)
			close(fd);
	}
	return got < 0 ? got : channel_flush(channel);
}

static void
read_worker(struct control *control, uint32_t number)
{
	struct control_worker *worker = &control->workers[number];

	if (read_channel(control, worker->channel, (int)number) == 0)
		return;
	/* It died; the keeper sends the channel to the next one. */
	channel_free(worker->channel);
	worker->channel = NULL;
	worker->sync_next = 0;
	control_delayed_worker_gone(control, number);
	control_services_forget_worker(control, number);
	control_messages_forget_worker(control, number);
	control_asks_worker_gone(control, number);
}

/* --- watched files ---------------------------------------------------------------------------- */

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

static void
load(struct control *control)
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
		load(control); /* they may have changed since they were read */
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
	load(control);
}

/* A user's run directory came or went: the sockets of his idents follow. */
static void
follow_places(struct control *control)
{
	if (!control->services.moved)
		return;
	control->services.moved = false;
	load(control);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void
want(struct pollfd *slot, int fd, int events)
{
	*slot = (struct pollfd){ .fd = fd, .events = (short)events };
}

static int
channel_events(const struct channel *channel)
{
	return POLLIN | (channel_pending(channel) ? POLLOUT : 0);
}

static int
wait_ms(struct control *control, uint64_t now)
{
	uint64_t next = control_delayed_deadline(control);

	if (control->watch != NULL && watch_deadline(control->watch) < next)
		next = watch_deadline(control->watch);
	if (control_asks_deadline(control) < next)
		next = control_asks_deadline(control);
	if (control_gateways_deadline(control) < next)
		next = control_gateways_deadline(control);
	if (control_services_deadline(control) < next)
		next = control_services_deadline(control);
	if (control_services_watch_deadline(control) < next)
		next = control_services_watch_deadline(control);
	if (control_tickets_deadline(control) < next)
		next = control_tickets_deadline(control);
	if (control_expiry_deadline(control) < next)
		next = control_expiry_deadline(control);
	if (control_messages_deadline(control) < next)
		next = control_messages_deadline(control);
	if (control_server_deadline(control->server) < next)
		next = control_server_deadline(control->server);
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

/* How many. */
static nfds_t
fill(struct control *control, struct pollfd slots[SLOTS])
{
	want(&slots[SLOT_KEEPER], channel_fd(control->keeper), channel_events(control->keeper));
	want(&slots[SLOT_RESOLVER], resolver_fd(control->resolver), POLLIN);
	want(&slots[SLOT_STORAGE], storage_fd(control->storage), POLLIN);
	want(&slots[SLOT_WATCH], control->watch == NULL ? -1 : watch_fd(control->watch), POLLIN);
	want(&slots[SLOT_SERVICES], control_services_watch_fd(control), POLLIN);
	want(&slots[SLOT_WEBPAGER], control_webpager_fd(control), POLLIN);
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		struct channel *channel = control->workers[i].channel;
		if (channel != NULL)
			want(&slots[SLOT_WORKERS + i], channel_fd(channel),
			     channel_events(channel));
		else
			want(&slots[SLOT_WORKERS + i], -1, 0);
	}
	/* No gaps: poll(2) takes no more slots than descriptors may be open. */
	nfds_t count = SLOT_WORKERS + control->options->worker_count;
	return count + control_server_fill(control->server, &slots[count]);
}

/* One round.  false = the end. */
static bool
round_once(struct control *control, struct pollfd slots[SLOTS])
{
	sandbox_say_refused();
	control_pump(control);
	control_apply_run(control);
	say_ready(control);
	nfds_t count = fill(control, slots);
	if (poll(slots, count, wait_ms(control, child_clock_ms())) < 0 && errno != EINTR)
		return false;
	/* Workers first: what they said before the keeper's stop is part of the story. */
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (slots[SLOT_WORKERS + i].revents != 0)
			read_worker(control, i);
	}
	if (slots[SLOT_RESOLVER].revents != 0)
		control_on_resolved(control);
	if (slots[SLOT_STORAGE].revents != 0)
		control_on_storage(control);
	if (slots[SLOT_KEEPER].revents != 0 && read_channel(control, control->keeper, -1) != 0)
		return false; /* the keeper is gone: so are we */
	nfds_t before = SLOT_WORKERS + control->options->worker_count;
	control_server_run(control->server, &slots[before], count - before);
	follow(control);
	follow_places(control);
	read_watch(control, child_clock_ms());
	control_services_watch_read(control, child_clock_ms());
	control_delayed_run(control, child_clock_ms());
	control_asks_run(control, child_clock_ms());
	control_messages_run(control, child_clock_ms());
	control_tickets_run(control, child_clock_ms());
	control_expiry_run(control, child_clock_ms());
	return !control->stopping;
}

/* What the workers logged at their end. */
static void
read_rest(struct control *control)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		while (control->workers[i].channel != NULL &&
		       read_channel(control, control->workers[i].channel, (int)i) == 0 &&
		       control->workers[i].channel != NULL) {
			struct pollfd more = { channel_fd(control->workers[i].channel), POLLIN, 0 };
			if (poll(&more, 1, 0) <= 0)
				break;
		}
	}
}

static bool
init(struct control *control, struct control_server *server, const struct control_options *options)
{
	const struct config *started = options->started;

	*control = (struct control){ .options = options,
				     .server = server,
				     .generation = options->generation };
	control_server_init(server, control);
	control->keeper = channel_new(KEEPER_FD);
	control->resolver = resolver_new();
	if (started->daemons_dir != NULL)
		control->daemons_dir = strdup(started->daemons_dir);
	control_set_text(&control->status, "Forking ...");
	LIST_INIT(&control->asks);
	control_messages_init(control);
	return control->keeper != NULL && control->resolver != NULL &&
	       control_delayed_init(control);
}

_Noreturn void
control_process(int channel_fd, const struct control_options *options)
{
	static struct control control;
	static struct control_server server;
	static struct pollfd slots[SLOTS];

	log_set_process("control");
	log_set_sink(NULL, NULL);
	child_let_go(&channel_fd, 1);
	prctl(PR_SET_NAME, "control");
	control_make_state(options->started);
	/* Before there are threads, which are under it too. */
	if (options->started->relay.sandbox)
		control_sandbox(options->started, options->source);
	if (!init(&control, &server, options)) {
		log_error(NULL, "cannot start: no memory, threads or descriptors");
		_exit(EXIT_OS);
	}
	log_set_sink(log_here, &control);
	if (options->first)
		control_log(&control, "keeper", options->keeper_pid, LOG_WARNING, NULL,
			    "CRITICAL: ---------- Starting ----------");
	load(&control);
	if (options->first && !control.loaded) {
		storage_free(control.storage);
		_exit(EXIT_CONFIG);
	}
	control_set_text(&control.status, "Main loop");
	while (round_once(&control, slots))
		;
	read_rest(&control);
	sandbox_say_refused();
	control_server_stop(&server);
	storage_free(control.storage); /* finishes what was accepted */
	_exit(EXIT_OK); /* the resolver may be busy for minutes: nothing is left to wait for */
}
