/*
 * ctl_top.c - the screen, the keys and the clock of `relayctl top`.
 *
 * Two samples are kept, the last one and the one before; all rates are between them.  Never writes
 * to the screen but through ncurses, and no text of the daemon uncleaned.  Owns the terminal while
 * it runs.
 */
#include "relay/ctl_top.h"

#include <inttypes.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/ctl_rates.h"
#include "relay/ctl_units.h"

#define INTERVAL_MS 1000
#define NAME_WIDTH  18 /* then what matters most fits 80 columns */
#define HEAD_ROWS   4
#define FOOT_ROWS   2

enum colour {
	COLOUR_GOOD = 1,
	COLOUR_BAD,
	COLOUR_BETWEEN,
};

struct sample {
	struct control_answer stats;
	struct control_answer hosts;
	uint64_t at_ms; /* 0 = none yet */
};

struct top {
	struct control_client *client;
	uint64_t timeout_ms;
	struct sample samples[2];
	unsigned now; /* which of them is the last */
	struct ctl_rates rates;
	enum ctl_order order;
	size_t first; /* host on the first row */
	bool colours;
	bool quit;
	Relay__Control__Code code;
};

static const struct {
	int key;
	enum ctl_order order;
	const char *name;
} orders[] = {
	{ 'n', CTL_ORDER_HOST, "name" },           { 's', CTL_ORDER_STATE, "state" },
	{ 'r', CTL_ORDER_RATE, "rate" },           { 'w', CTL_ORDER_QUEUE, "waiting" },
	{ 'f', CTL_ORDER_IN_FLIGHT, "in flight" }, { 'p', CTL_ORDER_P99, "p99" },
	{ 'e', CTL_ORDER_ERRORS, "errors" },
};

#define ORDERS_LEN (sizeof orders / sizeof orders[0])

static volatile sig_atomic_t caught; /* the signal's number */

static void
on_signal(int number)
{
	caught = number;
}

/* --- samples */

static enum control_client_result
ask(struct top *top, const char *verb, struct control_answer *answer)
{
	Relay__Control__Request request;
	enum control_client_result result;

	relay__control__request__init(&request);
	/* Its texts are not written to. */
	request.verb = (char *)(uintptr_t)verb;
	result = control_client_ask(top->client, &request, answer,
				    control_client_clock_ms() + top->timeout_ms);
	if (result == CONTROL_CLIENT_OK && answer->reply->code != RELAY__CONTROL__CODE__OK) {
		char *error = ctl_clean(answer->reply->error, strlen(answer->reply->error), false);

		top->code = answer->reply->code;
		snprintf(top->client->error, sizeof top->client->error, "%s: %s", verb,
			 error ? error : "refused");
		free(error);
	}
	return result;
}

static const Relay__Control__Stats *
stats_of(const struct sample *sample)
{
	return sample->at_ms ? sample->stats.reply->stats : NULL;
}

static enum control_client_result
take_sample(struct top *top)
{
	struct sample *before = &top->samples[top->now];
	struct sample *now = &top->samples[!top->now];
	enum control_client_result result;

	now->at_ms = 0;
	result = ask(top, "stats", &now->stats);
	if (result == CONTROL_CLIENT_OK && top->code == RELAY__CONTROL__CODE__OK)
		result = ask(top, "hosts list", &now->hosts);
	if (result != CONTROL_CLIENT_OK || top->code != RELAY__CONTROL__CODE__OK)
		return result;
	if (now->stats.reply->body_case != RELAY__CONTROL__REPLY__BODY_STATS ||
	    now->hosts.reply->body_case != RELAY__CONTROL__REPLY__BODY_HOSTS) {
		snprintf(top->client->error, sizeof top->client->error,
			 "the daemon answered something else than was asked");
		return CONTROL_CLIENT_PROTOCOL;
	}
	now->at_ms = control_client_clock_ms();
	top->now = !top->now;
	ctl_rates_fini(&top->rates);
	/* Without memory the table is empty until the next time. */
	ctl_rates_make(&top->rates, now->hosts.reply->hosts, now->stats.reply->stats,
		       stats_of(before), (now->at_ms - before->at_ms) * 1000);
	return CONTROL_CLIENT_OK;
}

static uint64_t
interval_us(const struct top *top)
{
	const struct sample *before = &top->samples[!top->now];

	return before->at_ms ? (top->samples[top->now].at_ms - before->at_ms) * 1000 : 0;
}

/* --- drawing */

static const char *
rate_text(char to[static CTL_UNIT_SIZE], double rate)
{
	if (rate < 99.95)
		snprintf(to, CTL_UNIT_SIZE, rate < 0.05 ? "0" : "%.1f", rate);
	else if (rate < 99999.5)
		snprintf(to, CTL_UNIT_SIZE, "%.0f", rate);
	else
		snprintf(to, CTL_UNIT_SIZE, "%.0fk", rate / 1000);
	return to;
}

/* At most `width` characters of it, filled up with blanks. */
static void
draw_text(const char *text, size_t width)
{
	char *clean = ctl_clean(text, strlen(text), false);
	const char *end = clean ? clean : "";
	size_t n = 0;

	for (; *end && (n < width || ((unsigned char)*end & 0xc0) == 0x80); end++)
		n += ((unsigned char)*end & 0xc0) != 0x80;
	if (clean)
		addnstr(clean, (int)(end - clean));
	printw("%*s", (int)(width - n), "");
	free(clean);
}

static void
draw_state(const struct top *top, const char *state)
{
	int colour = strcmp(state, "up") == 0 || strcmp(state, "asleep") == 0 ? COLOUR_GOOD
		     : strcmp(state, "down") == 0                             ? COLOUR_BAD
									      : COLOUR_BETWEEN;

	if (top->colours)
		attron(COLOR_PAIR(colour));
	draw_text(state, 10);
	if (top->colours)
		attroff(COLOR_PAIR(colour));
}

static void
draw_heading(int row, const char *text)
{
	attron(A_REVERSE);
	mvprintw(row, 0, "%-*.*s", COLS, COLS, text);
	attroff(A_REVERSE);
}

/* What was too long for its row went on in the next one. */
static void
end_row(int row)
{
	if (row + 1 < LINES) {
		move(row + 1, 0);
		clrtoeol();
	}
}

static void
draw_states(const struct top *top)
{
	size_t up = 0;
	size_t down = 0;

	for (size_t i = 0; i < top->rates.len; i++) {
		up += strcmp(top->rates.host[i].state, "up") == 0;
		down += strcmp(top->rates.host[i].state, "down") == 0;
	}
	mvprintw(2, 0, "hosts %zu   up %zu   down %zu   other %zu", top->rates.len, up, down,
		 top->rates.len - up - down);
}

static void
draw_head(const struct top *top)
{
	const Relay__Control__Stats *stats = stats_of(&top->samples[top->now]);
	const struct ctl_rate *total = &top->rates.total;
	time_t now = time(NULL);
	char text[CTL_UNIT_SIZE];
	char p99[CTL_UNIT_SIZE];

	mvprintw(0, 0, "relayd ");
	draw_text(stats->version, strlen(stats->version) < 24 ? strlen(stats->version) : 24);
	printw("   pid %" PRIu32, top->client->pid);
	if ((uint64_t)now * 1000000 > stats->started && stats->started > 0)
		printw("   up %s", ctl_duration(text, (uint64_t)now * 1000000 - stats->started));
	printw("   generation %" PRIu64 "%s", stats->generation,
	       stats->last_load_ok ? "" : "   the last reload was refused");
	ctl_moment(text, (uint64_t)now * 1000000);
	if (COLS > 80)
		mvprintw(0, COLS - 8, "%.8s", strlen(text) > 11 ? text + 11 : text);
	mvprintw(1, 0, "requests %s/s", rate_text(text, total->requests));
	printw("   errors %s/s", rate_text(text, total->failures));
	printw("   p50 %s", ctl_quantile(text, total->duration, total->before, 50));
	printw("   p99 %s", ctl_quantile(p99, total->duration, total->before, 99));
	printw("   clients %" PRIu64 "   queue %" PRIu64 "   in flight %" PRIu64, total->clients,
	       total->queue, total->in_flight);
	printw("   delayed %" PRIu64, stats->delayed);
	draw_states(top);
}

static void
draw_host(const struct top *top, int row, const struct ctl_rate *rate)
{
	char text[CTL_UNIT_SIZE];

	move(row, 0);
	draw_text(rate->id, NAME_WIDTH);
	addch(' ');
	draw_state(top, rate->state);
	printw("%8s", rate_text(text, rate->requests));
	printw("%8" PRIu64 "%8" PRIu64, rate->queue, rate->in_flight);
	printw("%9s", ctl_quantile(text, rate->duration, rate->before, 50));
	printw("%9s", ctl_quantile(text, rate->duration, rate->before, 99));
	printw("%8s", rate_text(text, rate->failures));
	printw("%9" PRIu64 "%7" PRIu64 "%9" PRIu64, rate->clients, rate->links, rate->delayed);
	end_row(row);
}

static void
draw_worker(const struct top *top, int row, const Relay__Control__WorkerStats *worker)
{
	const Relay__Control__WorkerStats *before =
	    ctl_rates_worker(stats_of(&top->samples[!top->now]), worker->number);
	const Relay__Control__Histogram *lag = before ? before->loop_lag : NULL;
	char text[CTL_UNIT_SIZE];

	mvprintw(row, 0, "%-8" PRIu32, worker->number);
	printw("%6.1f%%", ctl_rates_cpu(worker, before, interval_us(top)));
	printw("%10s", ctl_quantile(text, worker->loop_lag, lag, 50));
	printw("%10s", ctl_quantile(text, worker->loop_lag, lag, 99));
	printw("%10s", ctl_bytes(text, worker->memory_used));
	printw("%10s", ctl_bytes(text, worker->memory_max));
	printw("%9" PRIu64 "%10" PRIu64, worker->clients, worker->restarts);
	end_row(row);
}

/* Rows for hosts: what the workers, of which at most a third of the screen is seen, leave. */
static size_t
host_rows(size_t workers)
{
	int rows = LINES - HEAD_ROWS - FOOT_ROWS - 1 - (int)workers;

	return rows > 0 ? (size_t)rows : 0;
}

static size_t
worker_rows(const struct top *top)
{
	size_t workers = stats_of(&top->samples[top->now])->n_worker;
	size_t most = LINES > 6 ? (size_t)LINES / 3 : 0;

	return workers < most ? workers : most;
}

static void
draw_foot(const struct top *top)
{
	move(LINES - 1, 0);
	addstr("sort:");
	for (size_t i = 0; i < ORDERS_LEN; i++) {
		bool chosen = orders[i].order == top->order;

		addch(' ');
		if (chosen)
			attron(A_BOLD | A_UNDERLINE);
		printw("%c %s", orders[i].key, orders[i].name);
		if (chosen)
			attroff(A_BOLD | A_UNDERLINE);
		addch(' ');
	}
	addstr("   arrows scroll   q quits");
}

static void
draw(struct top *top)
{
	const Relay__Control__Stats *stats = stats_of(&top->samples[top->now]);
	size_t workers = worker_rows(top);
	size_t rows = host_rows(workers);
	int row = HEAD_ROWS;

	erase();
	ctl_rates_sort(&top->rates, top->order);
	if (top->first + rows > top->rates.len)
		top->first = top->rates.len > rows ? top->rates.len - rows : 0;
	draw_head(top);
	draw_heading(row - 1, "HOST               STATE       RATE/s   QUEUE  FLIGHT      P50"
			      "      P99   ERR/s  CLIENTS  LINKS  DELAYED");
	for (size_t i = 0; i < rows && top->first + i < top->rates.len; i++)
		draw_host(top, row + (int)i, &top->rates.host[top->first + i]);
	row += (int)rows;
	draw_heading(row++, "WORKER      CPU   LAG P50   LAG P99    MEMORY        OF  CLIENTS"
			    "  RESTARTS");
	for (size_t i = 0; i < workers; i++)
		draw_worker(top, row++, stats->worker[i]);
	draw_foot(top);
	refresh();
}

/* --- keys */

static void
scroll_by(struct top *top, int rows)
{
	if (rows < 0 && top->first < (size_t)-rows)
		top->first = 0;
	else
		top->first += (size_t)rows; /* draw() keeps it within the table */
}

static void
on_key(struct top *top, int key)
{
	int page = (int)host_rows(worker_rows(top));

	for (size_t i = 0; i < ORDERS_LEN; i++)
		if (orders[i].key == key)
			top->order = orders[i].order;
	if (key == 'q')
		top->quit = true;
	else if (key == KEY_DOWN)
		scroll_by(top, 1);
	else if (key == KEY_UP)
		scroll_by(top, -1);
	else if (key == KEY_NPAGE)
		scroll_by(top, page);
	else if (key == KEY_PPAGE)
		scroll_by(top, -page);
	else if (key == KEY_HOME)
		top->first = 0;
}

/* Draws anew after each key, a new size among them, until it is time to ask again. */
static void
watch_keys(struct top *top, uint64_t until_ms)
{
	for (;;) {
		uint64_t now = control_client_clock_ms();
		int key;

		draw(top);
		if (now >= until_ms || top->quit || caught)
			return;
		timeout((int)(until_ms - now));
		key = getch();
		if (key != ERR)
			on_key(top, key);
	}
}

/* --- the terminal */

static void
begin_screen(struct top *top)
{
	const char *no_color = getenv("NO_COLOR");

	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	top->colours = !(no_color && no_color[0] != '\0') && has_colors();
	if (!top->colours)
		return;
	start_color();
	use_default_colors();
	init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
	init_pair(COLOUR_BAD, COLOR_RED, -1);
	init_pair(COLOUR_BETWEEN, COLOR_YELLOW, -1);
}

static void
catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaction(numbers[i], &action, NULL);
}

static enum control_client_result
run(struct top *top)
{
	enum control_client_result result = CONTROL_CLIENT_OK;

	while (!top->quit && !caught) {
		uint64_t begun = control_client_clock_ms();

		result = take_sample(top);
		if (result != CONTROL_CLIENT_OK || top->code != RELAY__CONTROL__CODE__OK)
			break;
		watch_keys(top, begun + INTERVAL_MS);
	}
	return result;
}

/* As if it had not been caught: who waits for us sees what ended us. */
static void
die_of(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static bool
samples_init(struct top *top)
{
	return control_answer_init(&top->samples[0].stats) &&
	       control_answer_init(&top->samples[0].hosts) &&
	       control_answer_init(&top->samples[1].stats) &&
	       control_answer_init(&top->samples[1].hosts);
}

static void
top_fini(struct top *top)
{
	ctl_rates_fini(&top->rates);
	for (size_t i = 0; i < 2; i++) {
		control_answer_fini(&top->samples[i].stats);
		control_answer_fini(&top->samples[i].hosts);
	}
}

enum control_client_result
ctl_top_run(struct control_client *client, uint64_t timeout_ms, Relay__Control__Code *code)
{
	struct top top = { .client = client, .timeout_ms = timeout_ms, .order = CTL_ORDER_RATE };
	enum control_client_result result = CONTROL_CLIENT_PROTOCOL;
	SCREEN *screen;

	snprintf(client->error, sizeof client->error, "no memory, or a terminal of no known kind");
	screen = samples_init(&top) ? newterm(NULL, stdout, stdin) : NULL;
	if (screen) {
		catch_signals();
		client->stop = &caught;
		begin_screen(&top);
		result = run(&top);
		endwin();
		delscreen(screen);
		*code = top.code;
	}
	top_fini(&top);
	if (caught)
		die_of(caught);
	return result;
}
