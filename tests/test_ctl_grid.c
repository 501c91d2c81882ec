/*
 * test_ctl_grid.c - tables on narrow terminals: which columns give way, and what is cut.
 */
#include "relay/ctl_grid.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/ctl_units.h"

#define COLUMNS 4

/* NAME (always there), A (goes first), B, and a text. */
static struct ctl_grid grid;

static void
add(const char *const *cells)
{
	for (size_t i = 0; i < COLUMNS; i++)
		ctl_grid_add(&grid, cells[i], strlen(cells[i]));
}

static void
make(const char *text)
{
	ctl_grid_init(&grid, COLUMNS);
	grid.right[1] = grid.right[2] = true;
	grid.drop[1] = 3;
	grid.drop[2] = 1;
	grid.drop[3] = 2;
	add((const char *const[]){ "NAME", "A", "B", "TEXT" });
	add((const char *const[]){ "gr\xc3\xbcn", "100", "2", text });
}

/* To be freed.  0 = no terminal. */
static char *
printed(size_t width)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (width > 0)
		ctl_grid_fit(&grid, width);
	cr_assert(ctl_grid_print(&grid, out));
	fclose(out);
	return text;
}

static void
expect(const char *cell, size_t width, const char *expected)
{
	char *text;

	make(cell);
	text = printed(width);
	cr_assert_str_eq(text, expected);
	free(text);
}

#define LONG "a text of no less than 40 characters ..."
#define ALL                    \
	"NAME    A  B  TEXT\n" \
	"gr\xc3\xbcn  100  2  " LONG "\n"

Test(ctl_grid, is_whole_where_there_is_room)
{
	expect(LONG, 0, ALL);
	expect(LONG, SIZE_MAX, ALL);
	expect(LONG, 54, ALL);
}

Test(ctl_grid, cuts_the_last_text_before_it_hides_anything)
{
	expect(LONG, 53,
	       "NAME    A  B  TEXT\n"
	       "gr\xc3\xbcn  100  2  a text of no less than 40 characters...\n");
	expect(LONG, 34,
	       "NAME    A  B  TEXT\n"
	       "gr\xc3\xbcn  100  2  a text of no less...\n");
}

Test(ctl_grid, hides_the_greatest_first)
{
	expect(LONG, 33,
	       "NAME  B  TEXT\n"
	       "gr\xc3\xbcn  2  a text of no less tha...\n");
	/* The text goes, and what went before it comes back. */
	expect(LONG, 28,
	       "NAME    A  B\n"
	       "gr\xc3\xbcn  100  2\n");
	expect(LONG, 11,
	       "NAME  B\n"
	       "gr\xc3\xbcn  2\n");
	expect(LONG, 6,
	       "NAME\n"
	       "gr\xc3\xbcn\n");
	/* What never goes is printed even so. */
	expect(LONG, 1,
	       "NAME\n"
	       "gr\xc3\xbcn\n");
}

Test(ctl_grid, says_what_it_hid)
{
	make(LONG);
	ctl_grid_fit(&grid, 33);
	cr_assert(!grid.hidden[0] && grid.hidden[1] && !grid.hidden[2] && !grid.hidden[3]);
	free(printed(0));
}

Test(ctl_grid, leaves_a_short_text_whole)
{
	expect("short", 19,
	       "NAME    A  B  TEXT\n"
	       "gr\xc3\xbcn  100  2  short\n");
	expect("short", 18,
	       "NAME  B  TEXT\n"
	       "gr\xc3\xbcn  2  short\n");
}

Test(ctl_grid, never_exceeds_the_width_if_it_can)
{
	for (size_t width = 4; width < 70; width++) {
		char *text;
		size_t longest = 0;

		make("gr\xc3\xbcn und gr\xc3\xbcn und gr\xc3\xbcn und gr\xc3\xbcn und gr\xc3\xbcn");
		text = printed(width);
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			if (ctl_width(line) > longest)
				longest = ctl_width(line);
		cr_assert_leq(longest, width);
		free(text);
	}
}
