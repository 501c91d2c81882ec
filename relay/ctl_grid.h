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
	bool right[CTL_GRID_COLUMNS]; /* numbers */
	char **cells;                 /* [row * columns + column] */
	size_t cells_len;
	size_t cells_size;
	bool failed; /* no memory: it prints nothing */
};

void ctl_grid_init(struct ctl_grid *grid, size_t columns);

/* Cells come row after row.  The text is cleaned and copied; an empty one is shown as "-". */
void ctl_grid_add(struct ctl_grid *grid, const char *text, size_t len);

/* Prints and frees.  False: there was no memory. */
bool ctl_grid_print(struct ctl_grid *grid, FILE *out);

#endif
