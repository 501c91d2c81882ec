/*
 * ctl_top_draw.c - what `relayctl top` shows: the daemon and its totals, hosts, workers, keys.
 *
 * Never asks the daemon; draws by ctl_screen.h alone.  Owns nothing.
 */
#include "relay/ctl_top_internal.h"

#include <inttypes.h>
#include <ncurses.h>
#include <string.h>
#include <time.h>

#include "relay/ctl_screen.h"
#include "relay/ctl_units.h"

#define NAME_WIDTH 19 /* then what matters most fits 80 columns */
#define HEAD_ROWS  4
#define FOOT_ROWS  2

const struct ctl_top_order ctl_top_orders[CTL_TOP_ORDERS] = {
	{ 'n', CTL_ORDER_HOST, "name" },        { 's', CTL_ORDER_STATE, "state" },
	{ 'r', CTL_ORDER_RATE, "rate" },        { 'w', CTL_ORDER_QUEUE, "waiting" },
	{ 'f', CTL_ORDER_IN_FLIGHT, "flight" }, { 'p', CTL_ORDER_P99, "p99" },
	{ 'e', CTL_ORDER_ERRORS, "errors" },
};

enum host_column {
	HOST_NAME,
	HOST_STATE,
	HOST_RATE,
	HOST_QUEUE,
	HOST_IN_FLIGHT,
	HOST_P50,
	HOST_P99,
	HOST_ERRORS,
	HOST_CLIENTS,
	HOST_LINKS,
	HOST_DELAYED,
	HOST_COLUMNS,
};

static const struct ctl_cells host_cells[HOST_COLUMNS] = {
	[HOST_NAME] = { "HOST", NAME_WIDTH, true }, [HOST_STATE] = { "STATE", 11, true },
	[HOST_RATE] = { "RATE/s", 7, false },       [HOST_QUEUE] = { "QUEUE", 8, false },
	[HOST_IN_FLIGHT] = { "FLIGHT", 8, false },  [HOST_P50] = { "P50", 9, false },
	[HOST_P99] = { "P99", 9, false },           [HOST_ERRORS] = { "ERR/s", 8, false },
	[HOST_CLIENTS] = { "CLIENTS", 9, false },   [HOST_LINKS] = { "LINKS", 7, false },
	[HOST_DELAYED] = { "DELAYED", 9, false },
};

enum worker_column {
	WORKER_NUMBER,
	WORKER_CPU,
	WORKER_LAG_P50,
	WORKER_LAG_P99,
	WORKER_MEMORY,
	WORKER_OF,
	WORKER_CLIENTS,
	WORKER_RESTARTS,
	WORKER_COLUMNS,
};

static const struct ctl_cells worker_cells[WORKER_COLUMNS] = {
	[WORKER_NUMBER] = { "WORKER", 8, true },     [WORKER_CPU] = { "CPU", 7, false },
	[WORKER_LAG_P50] = { "LAG P50", 10, false }, [WORKER_LAG_P99] = { "LAG P99", 10, false },
	[WORKER_MEMORY] = { "MEMORY", 10, false },   [WORKER_OF] = { "OF", 10, false },
	[WORKER_CLIENTS] = { "CLIENTS", 9, false },  [WORKER_RESTARTS] = { "RESTARTS", 10, false },
};

const Relay__Control__Stats *
ctl_top_stats(const struct ctl_top_sample *sample)
{
	return sample->at_ms ? sample->stats.reply->stats : NULL;
}

static uint64_t
interval_us(const struct ctl_top *top)
{
	const struct ctl_top_sample *before = &top->samples[!top->now];

	return before->at_ms ? (top->samples[top->now].at_ms - before->at_ms) * 1000 : 0;
}

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

static const char *
count_text(char to[static CTL_UNIT_SIZE], uint64_t count)
{
	snprintf(to, CTL_UNIT_SIZE, "%" PRIu64, count);
	return to;
}

static enum ctl_colour
colour_of(const char *state)
{
	if (strcmp(state, "up") == 0 || strcmp(state, "asleep") == 0)
		return CTL_COLOUR_GOOD;
	return strcmp(state, "down") == 0 ? CTL_COLOUR_BAD : CTL_COLOUR_BETWEEN;
}

static void
draw_daemon(const struct ctl_top *top)
{
	const Relay__Control__Stats *stats = ctl_top_stats(&top->samples[top->now]);
	struct ctl_row row = ctl_screen_row(0);
	time_t now = time(NULL);
	char text[CTL_UNIT_SIZE];

	if (top->lost) {
		attron(A_BOLD);
		ctl_screen_item(&row, "%.150s: trying again, q quits", top->client->error);
		attroff(A_BOLD);
		return;
	}
	ctl_screen_item(&row, "relayd %.24s", stats->version);
	ctl_screen_item(&row, "pid %" PRIu32, top->client->pid);
	if ((uint64_t)now * 1000000 > stats->started && stats->started > 0)
		ctl_screen_item(&row, "up %s",
				ctl_duration(text, (uint64_t)now * 1000000 - stats->started));
	ctl_screen_item(&row, "generation %" PRIu64, stats->generation);
	if (!stats->last_load_ok)
		ctl_screen_item(&row, "the last reload was refused");
	ctl_moment(text, (uint64_t)now * 1000000);
	ctl_screen_item(&row, "%.8s", strlen(text) > 11 ? text + 11 : text);
}

static void
draw_totals(const struct ctl_top *top)
{
	const struct ctl_rate *total = &top->rates.total;
	struct ctl_row row = ctl_screen_row(1);
	char text[CTL_UNIT_SIZE];

	ctl_screen_item(&row, "requests %s/s", rate_text(text, total->requests));
	ctl_screen_item(&row, "errors %s/s", rate_text(text, total->failures));
	ctl_screen_item(&row, "p50 %s", ctl_quantile(text, total->duration, total->before, 50));
	ctl_screen_item(&row, "p99 %s", ctl_quantile(text, total->duration, total->before, 99));
	ctl_screen_item(&row, "clients %" PRIu64, total->clients);
}

/* Of all services together, where there are any. */
static void
put_calls(const struct ctl_top *top, struct ctl_row *row)
{
	const Relay__Control__Stats *stats = ctl_top_stats(&top->samples[top->now]);
	uint64_t running = 0;
	uint64_t waiting = 0;

	for (size_t i = 0; i < stats->n_service; i++) {
		running += stats->service[i]->running;
		waiting += stats->service[i]->waiting;
	}
	if (stats->n_service > 0)
		ctl_screen_item(row, "calls %" PRIu64 "+%" PRIu64, running, waiting);
}

static void
draw_states(const struct ctl_top *top)
{
	const struct ctl_rate *total = &top->rates.total;
	struct ctl_row row = ctl_screen_row(2);
	size_t up = 0;
	size_t down = 0;

	for (size_t i = 0; i < top->rates.len; i++) {
		up += strcmp(top->rates.host[i].state, "up") == 0;
		down += strcmp(top->rates.host[i].state, "down") == 0;
	}
	ctl_screen_item(&row, "hosts %zu", top->rates.len);
	ctl_screen_item(&row, "up %zu", up);
	ctl_screen_item(&row, "down %zu", down);
	ctl_screen_item(&row, "other %zu", top->rates.len - up - down);
	ctl_screen_item(&row, "queue %" PRIu64, total->queue);
	ctl_screen_item(&row, "in flight %" PRIu64, total->in_flight);
	ctl_screen_item(&row, "delayed %" PRIu64, ctl_top_stats(&top->samples[top->now])->delayed);
	put_calls(top, &row);
}

/* Long names get what the other columns leave. */
static void
fit_names(const struct ctl_top *top, struct ctl_cells cells[HOST_COLUMNS])
{
	size_t others = 0;
	size_t longest = NAME_WIDTH;

	memcpy(cells, host_cells, sizeof host_cells);
	for (size_t i = HOST_NAME + 1; i < HOST_COLUMNS; i++)
		others += cells[i].width;
	for (size_t i = 0; i < top->rates.len; i++)
		if (ctl_width(top->rates.host[i].id) + 1 > longest)
			longest = ctl_width(top->rates.host[i].id) + 1;
	if ((size_t)COLS > others + NAME_WIDTH)
		cells[HOST_NAME].width =
		    longest < (size_t)COLS - others ? longest : (size_t)COLS - others;
}

static void
draw_host(int y, const struct ctl_cells *cells, const struct ctl_rate *rate)
{
	struct ctl_row row = ctl_screen_row(y);
	char text[HOST_COLUMNS][CTL_UNIT_SIZE];

	rate_text(text[HOST_RATE], rate->requests);
	count_text(text[HOST_QUEUE], rate->queue);
	count_text(text[HOST_IN_FLIGHT], rate->in_flight);
	ctl_quantile(text[HOST_P50], rate->duration, rate->before, 50);
	ctl_quantile(text[HOST_P99], rate->duration, rate->before, 99);
	rate_text(text[HOST_ERRORS], rate->failures);
	count_text(text[HOST_CLIENTS], rate->clients);
	count_text(text[HOST_LINKS], rate->links);
	count_text(text[HOST_DELAYED], rate->delayed);
	ctl_screen_cell(&row, &cells[HOST_NAME], rate->id, CTL_COLOUR_NONE);
	ctl_screen_cell(&row, &cells[HOST_STATE], rate->state, colour_of(rate->state));
	for (size_t i = HOST_RATE; i < HOST_COLUMNS; i++)
		ctl_screen_cell(&row, &cells[i], text[i], CTL_COLOUR_NONE);
}

static void
draw_worker(const struct ctl_top *top, int y, const Relay__Control__WorkerStats *worker)
{
	const Relay__Control__WorkerStats *before =
	    ctl_rates_worker(ctl_top_stats(&top->samples[!top->now]), worker->number);
	const Relay__Control__Histogram *lag = before ? before->loop_lag : NULL;
	struct ctl_row row = ctl_screen_row(y);
	char text[WORKER_COLUMNS][CTL_UNIT_SIZE];

	count_text(text[WORKER_NUMBER], worker->number);
	snprintf(text[WORKER_CPU], CTL_UNIT_SIZE, "%.1f%%",
		 ctl_rates_cpu(worker, before, interval_us(top)));
	ctl_quantile(text[WORKER_LAG_P50], worker->loop_lag, lag, 50);
	ctl_quantile(text[WORKER_LAG_P99], worker->loop_lag, lag, 99);
	ctl_bytes(text[WORKER_MEMORY], worker->memory_used);
	ctl_bytes(text[WORKER_OF], worker->memory_max);
	count_text(text[WORKER_CLIENTS], worker->clients);
	count_text(text[WORKER_RESTARTS], worker->restarts);
	for (size_t i = 0; i < WORKER_COLUMNS; i++)
		ctl_screen_cell(&row, &worker_cells[i], text[i], CTL_COLOUR_NONE);
}

static size_t
worker_rows(const struct ctl_top *top)
{
	size_t workers = ctl_top_stats(&top->samples[top->now])->n_worker;
	size_t most = LINES > 6 ? (size_t)LINES / 3 : 0;

	return workers < most ? workers : most;
}

/* Rows for hosts: what the workers, of which at most a third of the screen is seen, leave. */
size_t
ctl_top_host_rows(const struct ctl_top *top)
{
	size_t workers = worker_rows(top);
	int rows = LINES - HEAD_ROWS - FOOT_ROWS - 1 - (int)workers;

	return rows > 0 ? (size_t)rows : 0;
}

static void
draw_foot(const struct ctl_top *top)
{
	struct ctl_row row = ctl_screen_row(LINES - 1);

	/* All of it fits 80 columns. */
	row.gap = 2;
	ctl_screen_item(&row, "q quit");
	ctl_screen_item(&row, "sort:");
	for (size_t i = 0; i < CTL_TOP_ORDERS; i++) {
		bool chosen = ctl_top_orders[i].order == top->order;

		if (chosen)
			attron(A_BOLD);
		ctl_screen_item(&row, chosen ? "[%c %s]" : "%c %s", ctl_top_orders[i].key,
				ctl_top_orders[i].name);
		if (chosen)
			attroff(A_BOLD);
	}
	ctl_screen_item(&row, "arrows scroll");
}

void
ctl_top_draw(struct ctl_top *top)
{
	const Relay__Control__Stats *stats = ctl_top_stats(&top->samples[top->now]);
	struct ctl_cells cells[HOST_COLUMNS];
	size_t workers = worker_rows(top);
	size_t rows = ctl_top_host_rows(top);
	int y = HEAD_ROWS;

	erase();
	ctl_rates_sort(&top->rates, top->order);
	if (top->first + rows > top->rates.len)
		top->first = top->rates.len > rows ? top->rates.len - rows : 0;
	draw_daemon(top);
	draw_totals(top);
	draw_states(top);
	fit_names(top, cells);
	ctl_screen_headings(y - 1, cells, HOST_COLUMNS);
	for (size_t i = 0; i < rows && top->first + i < top->rates.len; i++)
		draw_host(y + (int)i, cells, &top->rates.host[top->first + i]);
	y += (int)rows;
	ctl_screen_headings(y++, worker_cells, WORKER_COLUMNS);
	for (size_t i = 0; i < workers; i++)
		draw_worker(top, y++, stats->worker[i]);
	draw_foot(top);
	refresh();
}
