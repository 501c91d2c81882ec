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

#define GAP       2
#define CUT_LEAST 20 /* characters that are left of a text at least */
#define CUT_MARK  "..."

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

/* --- width */

static void
measure(const struct ctl_grid *grid, size_t *width)
{
	memset(width, 0, CTL_GRID_COLUMNS * sizeof *width);
	for (size_t i = 0; i < grid->cells_len; i++) {
		size_t column = i % grid->columns;
		size_t cell = ctl_width(grid->cells[i]);

		if (grid->most[column] > 0 && cell > grid->most[column])
			cell = grid->most[column];
		if (cell > width[column])
			width[column] = cell;
	}
}

/* Of a whole row. */
static size_t
row_width(const struct ctl_grid *grid, const size_t *width)
{
	size_t sum = 0;

	for (size_t i = 0; i < grid->columns; i++)
		if (!grid->hidden[i])
			sum += width[i] + (sum > 0 ? GAP : 0);
	return sum;
}

/* The column to do without next; `columns` = there is none. */
static size_t
next_to_hide(const struct ctl_grid *grid)
{
	size_t found = grid->columns;

	for (size_t i = 0; i < grid->columns; i++)
		if (!grid->hidden[i] && grid->drop[i] > 0 &&
		    (found == grid->columns || grid->drop[i] >= grid->drop[found]))
			found = i;
	return found;
}

/* What went before something wider did may find room again, the least missed last. */
static void
bring_back(struct ctl_grid *grid, const size_t *widths, size_t width)
{
	unsigned most = 0;

	for (size_t i = 0; i < grid->columns; i++)
		if (grid->drop[i] > most)
			most = grid->drop[i];
	for (unsigned rank = 1; rank <= most; rank++)
		for (size_t i = 0; i < grid->columns; i++) {
			if (!grid->hidden[i] || grid->drop[i] != rank)
				continue;
			grid->hidden[i] = false;
			grid->hidden[i] = row_width(grid, widths) > width;
		}
}

void
ctl_grid_fit(struct ctl_grid *grid, size_t width)
{
	size_t last = grid->columns - 1;
	size_t widths[CTL_GRID_COLUMNS];
	size_t whole;
	size_t hide;

	measure(grid, widths);
	whole = widths[last];
	if (!grid->right[last] && grid->columns > 1 && whole > CUT_LEAST)
		widths[last] = CUT_LEAST;
	while (row_width(grid, widths) > width && (hide = next_to_hide(grid)) < grid->columns)
		grid->hidden[hide] = true;
	bring_back(grid, widths, width);
	if (widths[last] < whole && !grid->hidden[last]) {
		size_t used = row_width(grid, widths);

		grid->most[last] = widths[last] + (used < width ? width - used : 0);
	}
}

/* --- printing */

/* The first `n` characters of it. */
static void
put_cut(FILE *out, const char *text, size_t n)
{
	const char *end = text;

	for (; *end && (n > 0 || ((unsigned char)*end & 0xc0) == 0x80); end++)
		n -= ((unsigned char)*end & 0xc0) != 0x80;
	fprintf(out, "%.*s", (int)(end - text), text);
}

static void
pad(FILE *out, size_t n)
{
	fprintf(out, "%*s", (int)n, "");
}

static void
print_cell(const struct ctl_grid *grid, FILE *out, size_t column, const char *cell, size_t width)
{
	size_t len = ctl_width(cell);

	if (len > width) {
		put_cut(out, cell, width - strlen(CUT_MARK));
		fputs(CUT_MARK, out);
		return;
	}
	if (grid->right[column])
		pad(out, width - len);
	fputs(cell, out);
	/* No blanks at the end of a line. */
	for (size_t i = column + 1; !grid->right[column] && i < grid->columns; i++)
		if (!grid->hidden[i]) {
			pad(out, width - len);
			break;
		}
}

static void
print_row(const struct ctl_grid *grid, FILE *out, char **cells, const size_t *width)
{
	bool first = true;

	for (size_t i = 0; i < grid->columns; i++) {
		if (grid->hidden[i])
			continue;
		if (!first)
			pad(out, GAP);
		print_cell(grid, out, i, cells[i], width[i]);
		first = false;
	}
	fputc('\n', out);
}

static void
print_rows(const struct ctl_grid *grid, FILE *out)
{
	size_t width[CTL_GRID_COLUMNS];

	measure(grid, width);
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
