/*
 * control_process.c - the control process: its start, its loop, its end.  What comes by its
 * channels is control_channels.c's.
 */
#include "relay/control_process.h"

#include "relay/child.h"
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
#include "relay/storage.h"
#include "relay/watch.h"

#include <errno.h>
#include <poll.h>
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
};

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
	control_say_ready(control);
	nfds_t count = fill(control, slots);
	if (poll(slots, count, wait_ms(control, child_clock_ms())) < 0 && errno != EINTR)
		return false;
	/* Workers first: what they said before the keeper's stop is part of the story. */
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (slots[SLOT_WORKERS + i].revents != 0)
			control_read_worker(control, i);
	}
	if (slots[SLOT_RESOLVER].revents != 0)
		control_on_resolved(control);
	if (slots[SLOT_STORAGE].revents != 0)
		control_on_storage(control);
	if (slots[SLOT_KEEPER].revents != 0 && !control_read_keeper(control))
		return false; /* the keeper is gone: so are we */
	nfds_t before = SLOT_WORKERS + control->options->worker_count;
	control_server_run(control->server, &slots[before], count - before);
	control_watch_run(control);
	control_services_watch_read(control, child_clock_ms());
	control_delayed_run(control, child_clock_ms());
	control_asks_run(control, child_clock_ms());
	control_messages_run(control, child_clock_ms());
	control_tickets_run(control, child_clock_ms());
	control_expiry_run(control, child_clock_ms());
	return !control->stopping;
}

/* --- start and end ---------------------------------------------------------------------------- */

static void
log_here(void *context, enum log_level level, const char *host, const char *text)
{
	control_log(context, "control", getpid(), level, host, text);
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
	control_load_watched(&control);
	if (options->first && !control.loaded) {
		storage_free(control.storage);
		_exit(EXIT_CONFIG);
	}
	control_set_text(&control.status, "Main loop");
	while (round_once(&control, slots))
		;
	control_read_rest(&control);
	sandbox_say_refused();
	control_server_stop(&server);
	storage_free(control.storage); /* finishes what was accepted */
	_exit(EXIT_OK); /* the resolver may be busy for minutes: nothing is left to wait for */
}
