/*
 * keeper.c - the keeper's life: set-up, signals, and one poll loop that never waits for anything
 * else.
 */
#include "relay/keeper_internal.h"

#include "relay/log.h"
#include "relay/sandbox.h"
#include "relay/service_manager.h"
#include "relay/stats.h"

#include <errno.h>
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
#include <time.h>
#include <unistd.h>

enum {
	RESERVED_FDS = 64, /* of a worker: ring, channels, room for whatever comes */
	DATAGRAM_PATIENCE_MS = 5000,
};

/* --- signals -------------------------------------------------------------------------------- */

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
			keeper_reap(keeper);
			break;
		case SIGTERM:
		case SIGINT:
			log_warning(NULL, "CRITICAL: Shutting down");
			keeper_begin_stop(keeper);
			break;
		case SIGQUIT:
			log_error(NULL, "CRITICAL: ABNORMAL EXIT: signal QUIT");
			keeper->status = EXIT_OS;
			keeper->quit = true;
			keeper_begin_stop(keeper);
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

/* --- the loop ------------------------------------------------------------------------------- */

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int
run_clock(struct keeper *keeper)
{
	uint64_t now = child_clock_ms();
	uint64_t next = keeper_child_clock(keeper, &keeper->control, now);

	for (uint32_t i = 0; i < keeper->worker_count; i++)
		next = min_u64(next, keeper_child_clock(keeper, &keeper->workers[i].child, now));
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
	return keeper->stopping_at != 0 && keeper->control.pid == 0 &&
	       !keeper_workers_alive(keeper) &&
	       keeper_services_stop(&keeper->services, keeper->quit) &&
	       keeper_exporter_stop(&keeper->exporter);
}

static void
loop(struct keeper *keeper, struct pollfd *fds)
{
	while (!finished(keeper)) {
		int timeout = run_clock(keeper);
		fds[0] = (struct pollfd){ .fd = keeper->signals, .events = POLLIN };
		keeper_watch(&fds[1], &keeper->control);
		for (uint32_t i = 0; i < keeper->worker_count; i++)
			keeper_watch(&fds[i + 2], &keeper->workers[i].child);
		struct pollfd *of_services = &fds[keeper->worker_count + 2];
		nfds_t services = keeper_services_fill(&keeper->services, of_services);
		if (poll(fds, keeper->worker_count + 2 + services, timeout) < 0 && errno != EINTR) {
			log_error(NULL, "poll: %s", strerror(errno));
			keeper->status = EXIT_OS;
			return;
		}
		keeper_services_run(&keeper->services, of_services, services);
		if (fds[1].fd >= 0 && fds[1].revents != 0)
			keeper_read_channel(keeper, &keeper->control);
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (fds[i + 2].fd >= 0 && fds[i + 2].revents != 0)
				keeper_read_channel(keeper, &keeper->workers[i].child);
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
		keeper_open_control_socket(&keeper);
		log_set_sink(keeper_log, &keeper);
		begin_sandbox(keeper.settings);
		loop(&keeper, fds);
	}
	free(fds);
	fini(&keeper);
	return keeper.status;
}
