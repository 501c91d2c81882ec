/*
 * ctl_top.c - the samples, the keys and the clock of `relayctl top`.
 *
 * Two samples are kept, the last one and the one before; all rates are between them.  Never writes
 * to the screen but through ncurses, and no text of the daemon uncleaned.  Owns the terminal while
 * it runs.
 */
#include "relay/ctl_top_internal.h"

#include <inttypes.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/ctl_screen.h"
#include "relay/ctl_units.h"

#define INTERVAL_MS 1000

static volatile sig_atomic_t caught; /* the signal's number */

static void
on_signal(int number)
{
	caught = number;
}

/* --- samples */

static enum control_client_result
ask(struct ctl_top *top, const char *verb, struct control_answer *answer)
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

static enum control_client_result
take_sample(struct ctl_top *top)
{
	struct ctl_top_sample *before = &top->samples[top->now];
	struct ctl_top_sample *now = &top->samples[!top->now];
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
		       ctl_top_stats(before), (now->at_ms - before->at_ms) * 1000);
	return CONTROL_CLIENT_OK;
}

/* --- keys */

static void
scroll_by(struct ctl_top *top, int rows)
{
	if (rows < 0 && top->first < (size_t)-rows)
		top->first = 0;
	else
		top->first += (size_t)rows; /* draw() keeps it within the table */
}

static void
on_key(struct ctl_top *top, int key)
{
	int page = (int)ctl_top_host_rows(top);

	for (size_t i = 0; i < CTL_TOP_ORDERS; i++)
		if (ctl_top_orders[i].key == key)
			top->order = ctl_top_orders[i].order;
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
watch_keys(struct ctl_top *top, uint64_t until_ms)
{
	for (;;) {
		uint64_t now = control_client_clock_ms();
		int key;

		ctl_top_draw(top);
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
begin_screen(void)
{
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	ctl_screen_colours();
}

static void
catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaction(numbers[i], &action, NULL);
}

/* What was seen last stays, but without rates: the sample before it is gone. */
static void
lose(struct ctl_top *top)
{
	const struct ctl_top_sample *last = &top->samples[top->now];

	top->lost = true;
	control_client_close(top->client);
	ctl_rates_fini(&top->rates);
	ctl_rates_make(&top->rates, last->hosts.reply->hosts, last->stats.reply->stats, NULL, 0);
}

/* A daemon that was there once may be back at any moment. */
static enum control_client_result
sample_again(struct ctl_top *top)
{
	enum control_client_result result = CONTROL_CLIENT_OK;

	if (top->lost) {
		*top->client = (struct control_client){ .fd = -1, .stop = top->client->stop };
		result = control_client_open(top->client, top->path,
					     control_client_clock_ms() + INTERVAL_MS);
	}
	if (result == CONTROL_CLIENT_OK)
		result = take_sample(top);
	if (result == CONTROL_CLIENT_OK)
		top->lost = false;
	else if (ctl_top_stats(&top->samples[top->now]))
		lose(top);
	return result;
}

static enum control_client_result
run(struct ctl_top *top)
{
	enum control_client_result result = CONTROL_CLIENT_OK;

	while (!top->quit && !caught) {
		uint64_t begun = control_client_clock_ms();

		result = sample_again(top);
		if (top->code != RELAY__CONTROL__CODE__OK ||
		    (result != CONTROL_CLIENT_OK && !top->lost))
			return result;
		watch_keys(top, begun + INTERVAL_MS);
	}
	return CONTROL_CLIENT_OK;
}

/* As if it had not been caught: who waits for us sees what ended us. */
static void
die_of(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static bool
samples_init(struct ctl_top *top)
{
	return control_answer_init(&top->samples[0].stats) &&
	       control_answer_init(&top->samples[0].hosts) &&
	       control_answer_init(&top->samples[1].stats) &&
	       control_answer_init(&top->samples[1].hosts);
}

static void
top_fini(struct ctl_top *top)
{
	ctl_rates_fini(&top->rates);
	for (size_t i = 0; i < 2; i++) {
		control_answer_fini(&top->samples[i].stats);
		control_answer_fini(&top->samples[i].hosts);
	}
}

enum control_client_result
ctl_top_run(struct control_client *client, const char *path, uint64_t timeout_ms,
	    Relay__Control__Code *code)
{
	struct ctl_top top = {
		.client = client, .path = path, .timeout_ms = timeout_ms, .order = CTL_ORDER_RATE
	};
	enum control_client_result result = CONTROL_CLIENT_PROTOCOL;
	SCREEN *screen;

	snprintf(client->error, sizeof client->error, "no memory, or a terminal of no known kind");
	screen = samples_init(&top) ? newterm(NULL, stdout, stdin) : NULL;
	if (screen) {
		catch_signals();
		client->stop = &caught;
		begin_screen();
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
