/*
 * ctl_screen.h - rows of the terminal's screen.  What does not fit whole is left out: half a number
 * is a wrong one.
 *
 * ncurses must be initialised.  Texts are cleaned.
 */
#ifndef RELAY_CTL_SCREEN_H
#define RELAY_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum ctl_colour {
	CTL_COLOUR_NONE,
	CTL_COLOUR_GOOD,
	CTL_COLOUR_BETWEEN,
	CTL_COLOUR_BAD,
};

/* Of a table. */
struct ctl_cells {
	const char *heading;
	size_t width;
	bool left; /* texts, which are cut; else numbers */
};

/* The pen: where the next thing of a row goes. */
struct ctl_row {
	int y;
	int x;
	int gap;   /* blanks between items */
	bool full; /* something found no room, nor does what follows */
};

void ctl_screen_colours(void); /* NO_COLOR is honoured */

struct ctl_row ctl_screen_row(int y);

/* One of several things in a row. */
void ctl_screen_item(struct ctl_row *row, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One cell of a table. */
void ctl_screen_cell(struct ctl_row *row, const struct ctl_cells *cells, const char *text,
		     enum ctl_colour colour);
void ctl_screen_headings(int y, const struct ctl_cells *cells, size_t n);

#endif
