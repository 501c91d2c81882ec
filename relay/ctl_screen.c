/*
 * ctl_screen.c - draws rows of items and of cells by ncurses.
 *
 * Never writes beyond the end of a row: ncurses would go on in the next one.  Owns nothing but the
 * choice of colours.
 */
#include "relay/ctl_screen.h"

#include <ncurses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "relay/ctl_units.h"

#define ITEM_GAP 3
#define ITEM_MAX 256

static bool colours;

void
ctl_screen_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	colours = !(no_color && no_color[0] != '\0') && has_colors();
	if (!colours)
		return;
	start_color();
	use_default_colors();
	init_pair(CTL_COLOUR_GOOD, COLOR_GREEN, -1);
	init_pair(CTL_COLOUR_BETWEEN, COLOR_YELLOW, -1);
	init_pair(CTL_COLOUR_BAD, COLOR_RED, -1);
}

struct ctl_row
ctl_screen_row(int y)
{
	return (struct ctl_row){ .y = y, .gap = ITEM_GAP, .full = y < 0 || y >= LINES };
}

/* Whether `width` more columns are there; from the first that are not, nothing is. */
static bool
has_room(struct ctl_row *row, size_t width)
{
	if (row->x < 0 || row->x > COLS || width > (size_t)(COLS - row->x))
		row->full = true;
	return !row->full;
}

void
ctl_screen_item(struct ctl_row *row, const char *format, ...)
{
	char text[ITEM_MAX];
	char *clean;
	va_list list;
	size_t gap = row->x > 0 ? (size_t)row->gap : 0;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	clean = ctl_clean(text, strlen(text), false);
	if (clean && has_room(row, gap + ctl_width(clean))) {
		mvaddstr(row->y, row->x + (int)gap, clean);
		row->x += (int)(gap + ctl_width(clean));
	}
	free(clean);
}

/* The bytes of its first `width` characters. */
static size_t
cut(const char *text, size_t width)
{
	const char *end = text;

	for (size_t n = 0; *end && (n < width || ((unsigned char)*end & 0xc0) == 0x80); end++)
		n += ((unsigned char)*end & 0xc0) != 0x80;
	return (size_t)(end - text);
}

void
ctl_screen_cell(struct ctl_row *row, const struct ctl_cells *cells, const char *text,
		enum ctl_colour colour)
{
	char *clean = ctl_clean(text, strlen(text), false);
	size_t len = clean ? ctl_width(clean) : 0;

	if (!clean || !has_room(row, cells->width)) {
		free(clean);
		return;
	}
	if (colours && colour != CTL_COLOUR_NONE)
		attron(COLOR_PAIR(colour));
	move(row->y, row->x);
	if (!cells->left && len < cells->width)
		printw("%*s", (int)(cells->width - len), "");
	/* A blank stays between a text and its neighbour. */
	addnstr(clean, (int)cut(clean, cells->left ? cells->width - 1 : cells->width));
	if (colours && colour != CTL_COLOUR_NONE)
		attroff(COLOR_PAIR(colour));
	row->x += (int)cells->width;
	free(clean);
}

void
ctl_screen_headings(int y, const struct ctl_cells *cells, size_t n)
{
	struct ctl_row row = ctl_screen_row(y);

	if (row.full)
		return;
	attron(A_REVERSE);
	mvprintw(y, 0, "%*s", COLS, "");
	for (size_t i = 0; i < n; i++)
		ctl_screen_cell(&row, &cells[i], cells[i].heading, CTL_COLOUR_NONE);
	attroff(A_REVERSE);
}
