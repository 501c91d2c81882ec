/*
 * ctl_grid.h - a table of texts, printed with aligned columns when all rows are there.
 */
#ifndef RELAY_CTL_GRID_H
#define RELAY_CTL_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CTL_GRID_COLUMNS 16

struct ctl_grid {
	size_t columns;
	bool right[CTL_GRID_COLUMNS];    /* numbers */
	unsigned drop[CTL_GRID_COLUMNS]; /* the greatest gives way first; 0 = never */
	size_t most[CTL_GRID_COLUMNS];   /* characters to which cells are cut; 0 = none is */
	bool hidden[CTL_GRID_COLUMNS];   /* gave way */
	char **cells;                    /* [row * columns + column] */
	size_t cells_len;
	size_t cells_size;
	bool failed; /* no memory: it prints nothing */
};

void ctl_grid_init(struct ctl_grid *grid, size_t columns);

/* Cells come row after row.  The text is cleaned and copied; an empty one is shown as "-". */
void ctl_grid_add(struct ctl_grid *grid, const char *text, size_t len);

/*
 * Makes it as narrow as `width`, as far as it can: hides columns, then gives the last column,
 * unless it holds numbers, what room is left.  To be called when all rows are there.
 */
void ctl_grid_fit(struct ctl_grid *grid, size_t width);

/* Prints and frees.  False: there was no memory. */
bool ctl_grid_print(struct ctl_grid *grid, FILE *out);

#endif
