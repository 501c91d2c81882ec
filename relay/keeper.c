/*
 * keeper.c - children, listening sockets, signals.  One poll loop that never waits for anything
 * else.
 */
#include "relay/keeper_internal.h"

#include "relay/daemonize.h"
#include "relay/log.h"
#include "relay/sandbox.h"
#include "relay/service_manager.h"
#include "relay/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	KILL_AFTER_MS = 3000, /* on top of stop_timeout */
	RESERVED_FDS = 64,    /* of a worker: ring, channels, room for whatever comes */
	DATAGRAM_PATIENCE_MS = 5000,
	CONTROL_BACKLOG = 1024, /* messages to control above which none of its own are read */
};

static void begin_stop(struct keeper *keeper);

/* --- messages --------------------------------------------------------------------------------- */

/* A socket that the service manager made for a host is as good as one of ours. */
static void
adopt(struct keeper *keeper, const char *id)
{
	char path[sizeof(struct sockaddr_un)];

	snprintf(path, sizeof path, "%s/%s", keeper->settings->socket_dir, id);
	int fd = service_manager_take_socket(keeper->options->manager, id, path);
	if (fd >= 0 && listener_table_adopt(&keeper->listeners, id, fd) != 0)
		close(fd);
}

static void
on_listen(struct keeper *keeper, const char *id)
{
	struct channel_message answer = { .type = CHANNEL_LISTENER };
	struct listener_entry *entry = NULL;

	adopt(keeper, id);
	snprintf(answer.listen.id, sizeof answer.listen.id, "%s", id);
	answer.listen.error = listener_table_open(&keeper->listeners, id, &entry);
	if (answer.listen.error == 0)
		answer.listen.index = entry->index;
	channel_send(keeper->control.channel, &answer,
		     answer.listen.error == 0 ? entry->listener.fd : -1);
}

static void
announce(struct keeper *keeper)
{
	if (keeper->announced || keeper->control.ready_at == 0)
		return;
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		if (keeper->workers[i].child.ready_at == 0)
			return;
	}
	keeper->announced = true;
	log_info(NULL, "Done starting initial servers");
	service_manager_ready(keeper->options->manager, NULL);
	/* Sockets of hosts that are not in the table: nobody will serve them. */
	service_manager_close_rest(keeper->options->manager, NULL);
	if (keeper->options->daemonize != NULL &&
	    daemonize_ready(keeper->options->daemonize, false) != 0)
		log_error(NULL, "cannot let go of the terminal: %s", strerror(errno));
}

/* Of control alone; false: it does not say such things. */
static bool
on_control_message(struct keeper *keeper, const struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_STOP:
		log_warning(NULL, "CRITICAL: Shutting down: asked by the control socket");
		begin_stop(keeper);
		return true;
	case CHANNEL_GENERATION:
		keeper->generation = message->generation.number;
		return true;
	case CHANNEL_LOG_LEVEL: /* children that are started later inherit it */
		log_set_level(message->level.level);
		return true;
	default:
		return false;
	}
}

static void
on_message(struct keeper *keeper, struct child *child, struct channel_message *message)
{
	bool control = child == &keeper->control;

	switch (message->type) {
	case CHANNEL_READY:
		/* Control says it again at the end of each reload. */
		if (control && keeper->reload_due && keeper->stopping_at == 0)
			service_manager_ready(keeper->options->manager, NULL);
		if (control)
			keeper->reload_due = false;
		child->ready_at = child_clock_ms();
		announce(keeper);
		return;
	case CHANNEL_LOG: /* from a worker that has no control yet */
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		log_line(message->log.level, message->log.host, "%s", message->log.text);
		return;
	case CHANNEL_LISTEN:
		if (!control)
			break;
		message->listen.id[sizeof message->listen.id - 1] = '\0';
		on_listen(keeper, message->listen.id);
		return;
	case CHANNEL_UNLISTEN:
		if (control)
			listener_table_close(&keeper->listeners, message->listen.index);
		return;
	case CHANNEL_STOP_TIMEOUT:
		if (control)
			keeper->stop_timeout_ms = message->stop.timeout_ms;
		return;
	case CHANNEL_SYNC_BEGIN:
		if (!control)
			break;
		listener_table_mark(&keeper->listeners);
		keeper_services_mark(&keeper->services);
		keeper_gateways_mark(&keeper->gateways);
		return;
	case CHANNEL_SYNC_END:
		if (!control)
			break;
		listener_table_sweep(&keeper->listeners);
		keeper_services_sweep(&keeper->services);
		keeper_gateways_sweep(&keeper->gateways);
		channel_send(child->channel, &(struct channel_message){ .type = CHANNEL_SYNC_END },
			     -1);
		return;
	default:
		if (control && (on_control_message(keeper, message) ||
				keeper_services_on_message(&keeper->services, message) ||
				keeper_gateways_on_message(&keeper->gateways, message,
							   child->channel, child_clock_ms())))
			return;
		break;
	}
	log_error(NULL, "unexpected message from %s: %s", child->name,
		  channel_type_text(message->type));
}

/* Up to its end: what a process said before it died is still there. */
static void
read_channel(struct keeper *keeper, struct child *child)
{
	struct channel_message message;
	int fd;
	int got = 1;

	while (child->channel != NULL && channel_queued(child->channel) < CONTROL_BACKLOG) {
		got = channel_receive(child->channel, &message, &fd);
		if (got <= 0)
			break;
		on_message(keeper, child, &message);
		if (fd >= 0)
			close(fd);
	}
	if (got < 0) {
		channel_free(child->channel);
		child->channel = NULL;
	} else if (child->channel != NULL) {
		(void)channel_flush(child->channel); /* a failure shows as the end of the channel */
	}
}

/* --- the end of children ---------------------------------------------------------------------- */

static void
stop_child(struct keeper *keeper, struct child *child)
{
	struct channel_message message = { .type = CHANNEL_STOP,
					   .stop = { keeper->quit ? 0 : keeper->stop_timeout_ms } };

	child->restart_at = 0;
	if (child->pid != 0 &&
	    (child->channel == NULL || channel_send(child->channel, &message, -1) != 0))
		kill(child->pid, SIGKILL); /* it does not even read its channel */
}

static bool
workers_alive(const struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		if (keeper->workers[i].child.pid != 0)
			return true;
	}
	return false;
}

static void
begin_stop(struct keeper *keeper)
{
	if (keeper->stopping_at != 0)
		return;
	keeper->stopping_at = child_clock_ms();
	service_manager_stopping(keeper->options->manager);
	keeper_pass_on(keeper, SIGTERM); /* control says so to who asks */
	for (uint32_t i = 0; i < keeper->worker_count; i++)
		stop_child(keeper, &keeper->workers[i].child);
	if (!workers_alive(keeper))
		stop_child(keeper, &keeper->control);
}

static void
child_died(struct keeper *keeper, struct child *child, int wait_status)
{
	bool control = child == &keeper->control;
	int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;

	read_channel(keeper, child);
	bool never_ready = child->ready_at == 0;
	child_ended(child);
	if (WIFSIGNALED(wait_status))
		log_error(NULL, "%s died of signal %d%s", child->name, WTERMSIG(wait_status),
			  control ? "" : "; its requests in flight are lost");
	else if (status != 0 || keeper->stopping_at == 0)
		log_error(NULL, "%s ended with status %d", child->name, status);
	/* It has said why; trying again would only say it again. */
	if (never_ready && !keeper->announced &&
	    (status == EXIT_UNAVAILABLE || status == EXIT_CONFIG)) {
		keeper->status = (enum exit_status)status;
		begin_stop(keeper);
	}
	/* Control goes last: what the workers log at their end is still to be written. */
	if (keeper->stopping_at != 0 && !control && !workers_alive(keeper))
		stop_child(keeper, &keeper->control);
}

static void
reap(struct keeper *keeper)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (keeper->control.pid == pid)
			child_died(keeper, &keeper->control, wait_status);
		keeper_exporter_reap(&keeper->exporter, pid, wait_status);
		keeper_services_reap(&keeper->services, pid, wait_status);
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (keeper->workers[i].child.pid == pid)
				child_died(keeper, &keeper->workers[i].child, wait_status);
		}
	}
}

/* --- signals and the loop --------------------------------------------------------------------- */

static int
take_signals(void)
{
	static const int TAKEN[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof TAKEN / sizeof TAKEN[0]; i++)
		sigaddset(&set, TAKEN[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
on_signals(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	while (read(keeper->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(keeper);
			break;
		case SIGTERM:
		case SIGINT:
			log_warning(NULL, "CRITICAL: Shutting down");
			begin_stop(keeper);
			break;
		case SIGQUIT:
			log_error(NULL, "CRITICAL: ABNORMAL EXIT: signal QUIT");
			keeper->status = EXIT_OS;
			keeper->quit = true;
			begin_stop(keeper);
			break;
		case SIGHUP:
			service_manager_reloading(keeper->options->manager);
			keeper_pass_on(keeper, SIGHUP);
			break;
		default:
			keeper_pass_on(keeper, (int)info.ssi_signo);
		}
	}
}

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Starts a child that is due, kills one that overstays; returns when to look again. */
static uint64_t
run_child_clock(struct keeper *keeper, struct child *child, uint64_t now)
{
	if (keeper->stopping_at == 0) {
		if (child->pid != 0)
			return UINT64_MAX;
		bool control = child == &keeper->control;
		struct keeper_worker *worker =
		    control ? NULL : (struct keeper_worker *)(void *)child;
		/* The first shows whether io_uring works here at all: once, not once per worker. */
		if (worker > keeper->workers && keeper->workers[0].child.ready_at == 0)
			return UINT64_MAX;
		if (child->restart_at <= now && control)
			keeper_start_control(keeper);
		else if (child->restart_at <= now)
			keeper_start_worker(keeper, (uint32_t)(worker - keeper->workers));
		return child->pid == 0 ? child->restart_at : UINT64_MAX;
	}
	if (child->pid == 0)
		return UINT64_MAX;
	uint64_t end =
	    keeper->stopping_at + KILL_AFTER_MS + (keeper->quit ? 0 : keeper->stop_timeout_ms);
	if (end <= now)
		kill(child->pid, SIGKILL);
	return end <= now ? now + 100 : end;
}

static int
run_clock(struct keeper *keeper)
{
	uint64_t now = child_clock_ms();
	uint64_t next = run_child_clock(keeper, &keeper->control, now);

	for (uint32_t i = 0; i < keeper->worker_count; i++)
		next = min_u64(next, run_child_clock(keeper, &keeper->workers[i].child, now));
	/* Whoever asks it shall find a relay that serves. */
	if (keeper->announced)
		next = min_u64(next, keeper_exporter_clock(&keeper->exporter, now,
							   keeper->options->daemonize != NULL));
	if (keeper->beat_at <= now) {
		service_manager_watchdog(keeper->options->manager);
		keeper->beat_at = now + keeper->options->manager->watchdog_ms;
	}
	next = min_u64(next, keeper->beat_at);
	next = min_u64(next, keeper_services_clock(&keeper->services, now));
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)min_u64(next - now, 60000);
}

/* Services end when nobody calls them any more.  The exporter goes last, so that a stop can be
 * watched. */
static bool
finished(struct keeper *keeper)
{
	return keeper->stopping_at != 0 && keeper->control.pid == 0 && !workers_alive(keeper) &&
	       keeper_services_stop(&keeper->services, keeper->quit) &&
	       keeper_exporter_stop(&keeper->exporter);
}

static void
watch(struct pollfd *slot, const struct child *child)
{
	*slot = (struct pollfd){ .fd = -1 };
	if (child->channel == NULL)
		return;
	slot->fd = channel_fd(child->channel);
	if (channel_queued(child->channel) < CONTROL_BACKLOG)
		slot->events |= POLLIN;
	if (channel_queued(child->channel) > 0)
		slot->events |= POLLOUT;
}

static void
loop(struct keeper *keeper, struct pollfd *fds)
{
	while (!finished(keeper)) {
		int timeout = run_clock(keeper);
		fds[0] = (struct pollfd){ .fd = keeper->signals, .events = POLLIN };
		watch(&fds[1], &keeper->control);
		for (uint32_t i = 0; i < keeper->worker_count; i++)
			watch(&fds[i + 2], &keeper->workers[i].child);
		struct pollfd *of_services = &fds[keeper->worker_count + 2];
		nfds_t services = keeper_services_fill(&keeper->services, of_services);
		if (poll(fds, keeper->worker_count + 2 + services, timeout) < 0 && errno != EINTR) {
			log_error(NULL, "poll: %s", strerror(errno));
			keeper->status = EXIT_OS;
			return;
		}
		keeper_services_run(&keeper->services, of_services, services);
		if (fds[1].fd >= 0 && fds[1].revents != 0)
			read_channel(keeper, &keeper->control);
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (fds[i + 2].fd >= 0 && fds[i + 2].revents != 0)
				read_channel(keeper, &keeper->workers[i].child);
		}
		on_signals(keeper);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

/* Descriptors of a worker that are left for clients when every host has all its links. */
static uint32_t
clients_limit(const struct config *config)
{
	struct rlimit limit = { 0 };
	uint64_t reserved = RESERVED_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < config->host_count; i++)
		reserved += 1 + config->hosts[i].settings.links_max;
	if (reserved > limit.rlim_cur / 2)
		reserved = limit.rlim_cur / 2;
	uint64_t left = limit.rlim_cur - reserved;
	return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static bool
init_workers(struct keeper *keeper)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	keeper->worker_count = keeper->settings->workers;
	if (keeper->worker_count == 0)
		keeper->worker_count = processors > 0 ? (uint32_t)processors : 1;
	keeper->workers = calloc(keeper->worker_count, sizeof *keeper->workers);
	for (uint32_t i = 0; keeper->workers != NULL && i < keeper->worker_count; i++) {
		struct keeper_worker *worker = &keeper->workers[i];
		snprintf(worker->child.name, sizeof worker->child.name, "worker-%" PRIu32, i);
		worker->stats = stats_create();
		if (worker->stats < 0)
			return false;
	}
	return keeper->workers != NULL;
}

/* Without it the relay serves, but nobody can ask it anything. */
static void
open_control_socket(struct keeper *keeper)
{
	const struct relay_settings *settings = keeper->settings;
	struct owner owner = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct stat found;

	/* One that the service manager made has its owner and mode from there. */
	keeper->control_socket.fd = service_manager_take_socket(
	    keeper->options->manager, SETTINGS_CONTROL_SOCKET, settings->control_socket);
	if (keeper->control_socket.fd >= 0) {
		if (fcntl(keeper->control_socket.fd, F_SETFL, O_NONBLOCK) != 0)
			log_error(NULL, "the control socket that was passed: %s", strerror(errno));
		return;
	}
	if (settings->control_group != NULL &&
	    !owner_find_group(settings->control_group, &owner.gid)) {
		log_error(NULL, "control.group: there is no group %s: no control socket",
			  settings->control_group);
		return;
	}
	/* A socket that a dead relay left may be replaced, a file may not. */
	if (lstat(settings->control_socket, &found) == 0 && !S_ISSOCK(found.st_mode)) {
		log_error(NULL, "no control socket at %s: it is there and no socket",
			  settings->control_socket);
		return;
	}
	int error = listener_open_path(&keeper->control_socket, settings->control_socket,
				       (mode_t)settings->control_mode, owner);
	if (error == 0 && fcntl(keeper->control_socket.fd, F_SETFL, O_NONBLOCK) != 0)
		error = -errno;
	if (error != 0)
		log_error(NULL, "no control socket at %s: %s", settings->control_socket,
			  strerror(-error));
}

static void
name_this_start(struct keeper *keeper)
{
	struct timespec now;
	uint64_t random = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	keeper->started_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		random = keeper->started_us;
	snprintf(keeper->boot_id, sizeof keeper->boot_id, "%016" PRIx64, random);
}

static void
fini(struct keeper *keeper)
{
	log_set_sink(NULL, NULL);
	listener_close_path(&keeper->control_socket, keeper->settings->control_socket);
	listener_table_fini(&keeper->listeners);
	keeper_services_fini(&keeper->services);
	keeper_gateways_fini(&keeper->gateways);
	keeper_datagram_fini(&keeper->datagram);
	channel_free(keeper->control.channel);
	for (uint32_t i = 0; keeper->workers != NULL && i < keeper->worker_count; i++) {
		channel_free(keeper->workers[i].child.channel);
		if (keeper->workers[i].stats >= 0)
			close(keeper->workers[i].stats);
	}
	if (keeper->signals >= 0)
		close(keeper->signals);
	free(keeper->workers);
}

/* Says once what will be missing.  The keeper itself only hides: services by command are its
 * children, and may be what they are. */
static void
begin_sandbox(const struct relay_settings *settings)
{
	const char *lacks = sandbox_lacks();

	if (!settings->sandbox) {
		log_warning(NULL, "relay.sandbox = no: workers and control process keep all the "
				  "rights of the relay's user");
		return;
	}
	if (lacks != NULL)
		log_warning(NULL, "the sandbox of workers and control process lacks %s", lacks);
	sandbox_hide();
}

enum exit_status
keeper_run(const struct keeper_options *options)
{
	struct keeper keeper = {
		.options = options,
		.settings = &options->config->relay,
		.control = { .name = "control" },
		.control_socket = { .fd = -1 },
		.datagram = { .pager = { .fd = -1 } },
		.beat_at = options->manager->watchdog_ms > 0 ? child_clock_ms() : UINT64_MAX,
		.stop_timeout_ms = options->config->relay.stop_timeout_ms,
		.status = EXIT_OK,
	};

	struct owner owner;

	log_set_process("keeper");
	name_this_start(&keeper);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!owner_parse(keeper.settings->socket_owner, &owner)) {
		log_error(NULL, "relay.socket_owner: there is no such user or group: %s",
			  keeper.settings->socket_owner);
		return EXIT_CONFIG;
	}
	listener_table_init(&keeper.listeners, keeper.settings->socket_dir,
			    (mode_t)keeper.settings->socket_mode, owner);
	keeper_exporter_init(&keeper.exporter, keeper.settings);
	keeper_services_init(&keeper.services, keeper.settings, options->source, &keeper.control,
			     options->daemonize != NULL);
	keeper_gateways_init(&keeper.gateways, options->source);
	keeper.signals = take_signals();
	keeper.clients_max = clients_limit(options->config);
	bool ok = init_workers(&keeper) && keeper.signals >= 0;
	struct pollfd *fds = calloc(keeper.worker_count + 2 + KEEPER_GENERATIONS_MAX, sizeof *fds);
	if (!ok || fds == NULL) {
		log_error(NULL, "cannot start: %s", strerror(errno));
		keeper.status = EXIT_OS;
	} else if (!keeper_datagram_init(&keeper.datagram, keeper.settings, keeper.worker_count,
					 DATAGRAM_PATIENCE_MS)) {
		keeper.status = EXIT_OS;
	} else {
		open_control_socket(&keeper);
		log_set_sink(keeper_log, &keeper);
		begin_sandbox(keeper.settings);
		loop(&keeper, fds);
	}
	free(fds);
	fini(&keeper);
	return keeper.status;
}
