/*
 * ctl_grid.c - cells kept until the width of their columns is known.
 *
 * Never knows what a cell means.  Owns its copies of the texts until they are printed.
 */
#include "relay/ctl_grid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/ctl_units.h"

#define GAP 2

void
ctl_grid_init(struct ctl_grid *grid, size_t columns)
{
	assert(columns > 0 && columns <= CTL_GRID_COLUMNS);
	memset(grid, 0, sizeof *grid);
	grid->columns = columns;
}

void
ctl_grid_add(struct ctl_grid *grid, const char *text, size_t len)
{
	char *cell;

	if (grid->cells_len == grid->cells_size) {
		size_t size = grid->cells_size ? grid->cells_size * 2 : 64;
		char **cells = reallocarray(grid->cells, size, sizeof *cells);

		if (!cells) {
			grid->failed = true;
			return;
		}
		grid->cells = cells;
		grid->cells_size = size;
	}
	cell = len > 0 ? ctl_clean(text, len, false) : ctl_clean("-", 1, false);
	if (cell)
		grid->cells[grid->cells_len++] = cell;
	else
		grid->failed = true;
}

static void
pad(FILE *out, size_t n)
{
	fprintf(out, "%*s", (int)n, "");
}

static void
print_row(const struct ctl_grid *grid, FILE *out, char **cells, const size_t *width)
{
	for (size_t i = 0; i < grid->columns; i++) {
		size_t fill = width[i] - ctl_width(cells[i]);

		if (i > 0)
			pad(out, GAP);
		if (grid->right[i])
			pad(out, fill);
		fputs(cells[i], out);
		/* No blanks at the end of a line. */
		if (!grid->right[i] && i + 1 < grid->columns)
			pad(out, fill);
	}
	fputc('\n', out);
}

static void
print_rows(const struct ctl_grid *grid, FILE *out)
{
	size_t width[CTL_GRID_COLUMNS] = { 0 };

	for (size_t i = 0; i < grid->cells_len; i++) {
		size_t cell = ctl_width(grid->cells[i]);

		if (cell > width[i % grid->columns])
			width[i % grid->columns] = cell;
	}
	for (size_t i = 0; i + grid->columns <= grid->cells_len; i += grid->columns)
		print_row(grid, out, grid->cells + i, width);
}

bool
ctl_grid_print(struct ctl_grid *grid, FILE *out)
{
	bool good = !grid->failed;

	if (good)
		print_rows(grid, out);
	for (size_t i = 0; i < grid->cells_len; i++)
		free(grid->cells[i]);
	free(grid->cells);
	ctl_grid_init(grid, grid->columns);
	return good;
}
