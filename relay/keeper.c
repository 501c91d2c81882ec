/*
 * keeper.c - listeners, worker processes, signals.  One poll loop that never waits for anything else.
 *
 * Every host has a home: the worker (its index modulo the number of workers) that is given its listening socket.  The
 * keeper keeps a copy, so that clients can connect whatever happens to the worker, and a restarted worker gets it again.
 */
#include "relay/keeper.h"

#include "relay/channel.h"
#include "relay/listener.h"
#include "relay/log.h"
#include "relay/resolve.h"
#include "relay/worker_process.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	RESTART_MIN_MS = 50,
	RESTART_MAX_MS = 5000,
	GOOD_LIFE_MS = 1000,   /* a worker that was ready for so long is restarted at once */
	KILL_AFTER_MS = 2000,  /* on top of stop_timeout */
	RESERVED_FDS = 64,     /* of a worker: ring, channel, room for whatever comes */
};

struct keeper_host {
	struct listener listener;
	struct channel_host message;
};

struct keeper_worker {
	pid_t pid; /* 0 = none */
	struct channel *channel;
	uint64_t ready_at;   /* 0 = not yet */
	uint64_t restart_at; /* while there is no process */
	unsigned backoff_ms;
	char name[24];
};

struct keeper {
	struct config *config;
	struct keeper_host *hosts;
	struct keeper_worker *workers;
	uint32_t worker_count;
	uint32_t clients_max; /* of one worker */
	int signals;
	uint64_t stopping_at; /* 0 = running */
	enum exit_status status;
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* --- hosts ------------------------------------------------------------------------------------------- */

static void
describe_host(struct keeper *keeper, size_t i)
{
	const struct config_host *from = &keeper->config->hosts[i];
	struct channel_host *to = &keeper->hosts[i].message;

	to->index = (uint32_t)i;
	strncpy(to->id, from->id, sizeof to->id - 1);
	strncpy(to->local_id, keeper->config->relay.host_id, sizeof to->local_id - 1);
	to->settings = from->settings;
	int error = resolve_address(from->address, from->port, &to->address, &to->address_len);
	if (error != 0)
		/* Served nevertheless: its clients get con_lost, as for any host that is down. */
		log_error(from->id, "address %s cannot be resolved: %s", from->address,
		    resolve_error_text(error));
}

static bool
open_listener(struct keeper *keeper, size_t i)
{
	const struct relay_settings *relay = &keeper->config->relay;
	const char *id = keeper->config->hosts[i].id;
	int error = listener_open(&keeper->hosts[i].listener, relay->socket_dir, id,
	    (mode_t)relay->socket_mode);

	if (error != 0)
		log_error(id, "cannot listen on %s/%s: %s", relay->socket_dir, id,
		    strerror(-error));
	return error == 0;
}

static bool
open_hosts(struct keeper *keeper)
{
	size_t open = 0;
	size_t count = keeper->config->host_count;

	keeper->hosts = calloc(count + 1, sizeof *keeper->hosts);
	if (keeper->hosts == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		keeper->hosts[i].listener.fd = -1;
	for (size_t i = 0; i < count; i++) {
		describe_host(keeper, i);
		open += open_listener(keeper, i);
	}
	log_info(NULL, "serving %zu of %zu hosts in %s", open, count,
	    keeper->config->relay.socket_dir);
	return open > 0 || count == 0;
}

/* --- workers ----------------------------------------------------------------------------------------- */

static void
send_hosts(struct keeper *keeper, uint32_t home)
{
	struct keeper_worker *worker = &keeper->workers[home];

	for (size_t i = home; i < keeper->config->host_count; i += keeper->worker_count) {
		struct keeper_host *host = &keeper->hosts[i];
		struct channel_message message = { .type = CHANNEL_HOST_ADD, .host = host->message };
		if (host->listener.fd < 0)
			continue;
		int error = channel_send(worker->channel, &message, host->listener.fd);
		if (error != 0)
			log_error(host->message.id, "cannot be given to %s: %s", worker->name,
			    strerror(-error));
	}
}

static void
start_worker(struct keeper *keeper, uint32_t i)
{
	struct keeper_worker *worker = &keeper->workers[i];
	struct worker_options options = {
		.memory_max = keeper->config->relay.memory_max / keeper->worker_count,
		.clients_max = keeper->clients_max,
		.seed = now_ms() * 0x9e3779b97f4a7c15u + i + 1,
	};
	int ends[2];
	int error = channel_pair(ends);

	worker->ready_at = 0;
	worker->restart_at = now_ms() + worker->backoff_ms;
	if (error != 0) {
		log_error(NULL, "%s cannot be started: %s", worker->name, strerror(-error));
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		worker_process(ends[1], worker->name, &options); /* never returns */
	close(ends[1]);
	if (pid < 0) {
		log_error(NULL, "%s cannot be started: %s", worker->name, strerror(errno));
		close(ends[0]);
		return;
	}
	worker->pid = pid;
	worker->channel = channel_new(ends[0]);
	if (worker->channel == NULL) {
		close(ends[0]); /* the child sees the end of its channel and goes */
		return;
	}
	send_hosts(keeper, i);
}

static void
begin_stop(struct keeper *keeper)
{
	uint64_t timeout = keeper->config->relay.stop_timeout_ms;
	struct channel_message message = { .type = CHANNEL_STOP, .stop = { timeout } };

	if (keeper->stopping_at != 0)
		return;
	keeper->stopping_at = now_ms();
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		struct keeper_worker *worker = &keeper->workers[i];
		worker->restart_at = 0;
		if (worker->channel != NULL && channel_send(worker->channel, &message, -1) != 0)
			kill(worker->pid, SIGKILL); /* it does not even read its channel */
	}
}

/* The channel ends with the process; log lines it sent before are still in it. */
static void
read_channel(struct keeper_worker *worker)
{
	struct channel_message message;
	int fd;
	int got;

	while (worker->channel != NULL && (got = channel_receive(worker->channel, &message, &fd)) != 0) {
		if (got < 0) {
			channel_free(worker->channel);
			worker->channel = NULL;
			return;
		}
		if (fd >= 0)
			close(fd);
		if (message.type == CHANNEL_LOG) {
			message.log.host[sizeof message.log.host - 1] = '\0';
			message.log.text[sizeof message.log.text - 1] = '\0';
			log_write(worker->name, message.log.level, message.log.host, message.log.text);
		} else if (message.type == CHANNEL_READY) {
			worker->ready_at = now_ms();
			log_info(NULL, "%s ready, pid %ld", worker->name, (long)worker->pid);
		}
	}
	if (worker->channel != NULL && channel_pending(worker->channel))
		(void)channel_flush(worker->channel); /* a failure shows as the end of the channel */
}

static void
worker_died(struct keeper *keeper, struct keeper_worker *worker, int wait_status)
{
	bool was_ready = worker->ready_at != 0;
	uint64_t now = now_ms();

	read_channel(worker);
	was_ready = was_ready || worker->ready_at != 0;
	channel_free(worker->channel);
	worker->channel = NULL;
	worker->pid = 0;
	if (keeper->stopping_at != 0) {
		if (WIFSIGNALED(wait_status))
			log_error(NULL, "%s died of signal %d", worker->name, WTERMSIG(wait_status));
		return;
	}
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_UNAVAILABLE && !was_ready) {
		/* It has said why; trying again would only say it again. */
		keeper->status = EXIT_UNAVAILABLE;
		begin_stop(keeper);
		return;
	}
	if (WIFSIGNALED(wait_status))
		log_error(NULL, "%s died of signal %d; its requests in flight are lost", worker->name,
		    WTERMSIG(wait_status));
	else
		log_error(NULL, "%s ended with status %d", worker->name, WEXITSTATUS(wait_status));
	if (was_ready && now - worker->ready_at >= GOOD_LIFE_MS) {
		worker->backoff_ms = 0;
		worker->restart_at = now;
	} else {
		worker->backoff_ms = worker->backoff_ms == 0 ? RESTART_MIN_MS : worker->backoff_ms * 2;
		if (worker->backoff_ms > RESTART_MAX_MS)
			worker->backoff_ms = RESTART_MAX_MS;
		worker->restart_at = now + worker->backoff_ms;
	}
}

static void
reap(struct keeper *keeper)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (keeper->workers[i].pid == pid)
				worker_died(keeper, &keeper->workers[i], wait_status);
		}
	}
}

/* --- signals and the loop ---------------------------------------------------------------------------- */

static int
take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
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
			log_info(NULL, "stopping");
			begin_stop(keeper);
			break;
		default:
			log_warning(NULL, "signal %" PRIu32 " has no effect", info.ssi_signo);
		}
	}
}

/* Starts what is due, kills what overstays; returns how long poll may wait. */
static int
run_clock(struct keeper *keeper)
{
	uint64_t now = now_ms();
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		struct keeper_worker *worker = &keeper->workers[i];
		if (worker->pid == 0 && keeper->stopping_at == 0) {
			/* The first shows whether io_uring works here at all: once, not once per worker. */
			bool first = i == 0 || keeper->workers[0].ready_at != 0;
			if (first && worker->restart_at <= now)
				start_worker(keeper, i);
			if (first && worker->pid == 0 && worker->restart_at < next)
				next = worker->restart_at;
		}
		if (worker->pid != 0 && keeper->stopping_at != 0) {
			uint64_t end = keeper->stopping_at +
			    keeper->config->relay.stop_timeout_ms + KILL_AFTER_MS;
			if (end <= now)
				kill(worker->pid, SIGKILL);
			else if (end < next)
				next = end;
		}
	}
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 10 : (int)(next - now);
}

static bool
finished(const struct keeper *keeper)
{
	if (keeper->stopping_at == 0)
		return false;
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		if (keeper->workers[i].pid != 0)
			return false;
	}
	return true;
}

static void
loop(struct keeper *keeper, struct pollfd *fds)
{
	while (!finished(keeper)) {
		int timeout = run_clock(keeper);
		fds[0] = (struct pollfd){ .fd = keeper->signals, .events = POLLIN };
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			struct channel *channel = keeper->workers[i].channel;
			fds[i + 1] = (struct pollfd){ .fd = -1, .events = POLLIN };
			if (channel == NULL)
				continue;
			fds[i + 1].fd = channel_fd(channel);
			if (channel_pending(channel))
				fds[i + 1].events |= POLLOUT;
		}
		if (poll(fds, keeper->worker_count + 1, timeout) < 0 && errno != EINTR) {
			log_error(NULL, "poll: %s", strerror(errno));
			keeper->status = EXIT_OS;
			return;
		}
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (fds[i + 1].fd >= 0 && fds[i + 1].revents != 0)
				read_channel(&keeper->workers[i]);
		}
		on_signals(keeper);
	}
}

/* Descriptors that are left for clients when every host has all its links. */
static uint32_t
clients_limit(const struct keeper *keeper)
{
	struct rlimit limit = { 0 };
	uint64_t reserved = RESERVED_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < keeper->config->host_count; i++)
		reserved += 1 + keeper->config->hosts[i].settings.links_max;
	if (reserved > limit.rlim_cur / 2)
		reserved = limit.rlim_cur / 2;
	uint64_t left = limit.rlim_cur - reserved;
	return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static void
fini(struct keeper *keeper)
{
	for (size_t i = 0; keeper->hosts != NULL && i < keeper->config->host_count; i++)
		listener_close(&keeper->hosts[i].listener, keeper->config->relay.socket_dir,
		    keeper->config->hosts[i].id);
	for (uint32_t i = 0; keeper->workers != NULL && i < keeper->worker_count; i++)
		channel_free(keeper->workers[i].channel);
	if (keeper->signals >= 0)
		close(keeper->signals);
	free(keeper->hosts);
	free(keeper->workers);
}

enum exit_status
keeper_run(struct config *config)
{
	struct keeper keeper = { .config = config, .signals = -1, .status = EXIT_OK };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	log_set_process("keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keeper.worker_count = config->relay.workers != 0 ? config->relay.workers
	    : processors > 0				 ? (uint32_t)processors
							 : 1;
	keeper.workers = calloc(keeper.worker_count, sizeof *keeper.workers);
	struct pollfd *fds = calloc(keeper.worker_count + 1, sizeof *fds);
	keeper.signals = take_signals();
	keeper.clients_max = clients_limit(&keeper);
	if (keeper.workers == NULL || fds == NULL || keeper.signals < 0 || !open_hosts(&keeper)) {
		keeper.status = EXIT_OS;
	} else {
		for (uint32_t i = 0; i < keeper.worker_count; i++)
			snprintf(keeper.workers[i].name, sizeof keeper.workers[i].name,
			    "worker-%" PRIu32, i);
		loop(&keeper, fds);
	}
	fini(&keeper);
	free(fds);
	if (keeper.status == EXIT_OK)
		log_info(NULL, "stopped");
	return keeper.status;
}
