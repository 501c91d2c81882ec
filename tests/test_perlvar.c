/*
 * test_perlvar.c - PerlSetVar lines among all the others that an Apache configuration holds.
 */
#include <criterion/criterion.h>

#include "wire/perlvar.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(text)  (text), (sizeof(text) - 1)

static const struct {
	const char *line;
	size_t len;
	enum wire_status status;
	const char *name, *value;
} rows[] = {
	{ BYTES("PerlSetVar lonHostID msul1"), WIRE_OK, "lonHostID", "msul1" },
	{ BYTES("PerlSetVar\tlonSockDir\t/home/httpd/sockets"), WIRE_OK, "lonSockDir",
	  "/home/httpd/sockets" },
	{ BYTES(" \t PerlSetVar  a \t b \t\r"), WIRE_OK, "a", "b" },
	{ BYTES("PerlSetVar a b c  d"), WIRE_OK, "a", "b c  d" },
	{ BYTES("PerlSetVar a \"b c\""), WIRE_OK, "a", "\"b c\"" },
	{ BYTES("PerlSetVar a b # not a comment"), WIRE_OK, "a", "b # not a comment" },
	{ BYTES("PerlSetVar a PerlSetVar"), WIRE_OK, "a", "PerlSetVar" },
	{ BYTES("PerlSetVar PerlSetVar a"), WIRE_OK, "PerlSetVar", "a" },
	{ BYTES("PerlSetVar a 0"), WIRE_OK, "a", "0" },
	{ BYTES("PerlSetVar \xe9 \xff\x80"), WIRE_OK, "\xe9", "\xff\x80" },
	{ BYTES("PerlSetVar a\vb"), WIRE_OK, "a", "b" },

	{ BYTES(""), WIRE_SKIP, 0, 0 },
	{ BYTES(" \t\r"), WIRE_SKIP, 0, 0 },
	{ BYTES("#PerlSetVar a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("# PerlSetVar a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("PerlSetVars a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("PerlSetVa a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("perlsetvar a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("PerlSetVar=a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("PerlAddVar a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("xPerlSetVar a b"), WIRE_SKIP, 0, 0 },
	{ BYTES("<Location /x>"), WIRE_SKIP, 0, 0 },
	{ BYTES("Other \0"), WIRE_SKIP, 0, 0 },
	{ BYTES("PerlSetVar\0 a b"), WIRE_SKIP, 0, 0 },

	{ BYTES("PerlSetVar"), WIRE_BAD_FORM, 0, 0 },
	{ BYTES("PerlSetVar "), WIRE_BAD_FORM, 0, 0 },
	{ BYTES("PerlSetVar a"), WIRE_BAD_FORM, 0, 0 },
	{ BYTES("PerlSetVar a \t\r"), WIRE_BAD_FORM, 0, 0 },
	{ BYTES("PerlSetVar a b\0"), WIRE_BAD_FORM, 0, 0 },
	{ BYTES("PerlSetVar \0 b"), WIRE_BAD_FORM, 0, 0 },
};

static void
assert_var(const struct perlvar *var, size_t row)
{
	cr_assert(wire_span_equal(var->name, wire_span_str(rows[row].name)), "%s", rows[row].line);
	cr_assert(wire_span_equal(var->value, wire_span_str(rows[row].value)), "%s",
		  rows[row].line);
}

Test(perlvar, each_line_alone)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint8_t *src = (const uint8_t *)rows[i].line;
		const uint8_t *end = src + rows[i].len;
		struct wire_span untouched = wire_span("untouched", 9);
		struct perlvar var = { untouched, untouched };

		if (rows[i].len > 0)
			cr_assert_eq(perlvar_next(&var, &src, end), rows[i].status, "row %zu: %s",
				     i, rows[i].line);
		cr_assert_eq(src, end);
		if (rows[i].status == WIRE_OK)
			assert_var(&var, i);
		else
			cr_assert(wire_span_equal(var.name, untouched));
		cr_assert_eq(perlvar_next(&var, &src, end), WIRE_MORE);
		cr_assert_eq(src, end);
	}
}

/* The whole table as one file, cut off after every byte: the lines that are there read the same. */
Test(perlvar, one_file_cut_at_every_position)
{
	uint8_t file[2048];
	size_t starts[COUNT(rows) + 1];
	struct wire_out out = wire_out(file, sizeof file);

	for (size_t i = 0; i < COUNT(rows); i++) {
		starts[i] = out.len;
		wire_out_bytes(&out, rows[i].line, rows[i].len);
		wire_out_bytes(&out, "\n", 1);
	}
	starts[COUNT(rows)] = out.len;
	cr_assert_not(out.overflow);
	for (size_t cut = 0; cut <= out.len; cut++) {
		const uint8_t *src = file;
		const uint8_t *end = file + cut;
		struct perlvar var;
		enum wire_status status;
		size_t row = 0;

		while ((status = perlvar_next(&var, &src, end)) != WIRE_MORE) {
			cr_assert_lt(row, COUNT(rows));
			if (starts[row] + rows[row].len <= cut) {
				cr_assert_eq(status, rows[row].status, "row %zu, cut %zu", row,
					     cut);
				if (status == WIRE_OK)
					assert_var(&var, row);
			}
			size_t next = starts[row + 1] < cut ? starts[row + 1] : cut;
			cr_assert_eq(src, file + next);
			row++;
		}
		cr_assert_eq(src, end);
		cr_assert(starts[row] >= cut);
	}
}

Test(perlvar, empty_file)
{
	const uint8_t *src = NULL;
	struct perlvar var;

	cr_assert_eq(perlvar_next(&var, &src, NULL), WIRE_MORE);
	cr_assert_null(src);
}

Test(perlvar, line_bound_exact_and_one_over)
{
	static const char head[] = "PerlSetVar a ";
	static uint8_t file[PERLVAR_LINE_MAX + 2];

	for (int over = 0; over <= 1; over++) {
		for (int lf = 0; lf <= 1; lf++) {
			size_t len = PERLVAR_LINE_MAX + (size_t)over;
			const uint8_t *src = file;
			struct perlvar var;

			memset(file, 'x', sizeof file);
			memcpy(file, head, sizeof head - 1);
			file[len] = '\n';
			enum wire_status status = perlvar_next(&var, &src, file + len + lf);
			cr_assert_eq(status, over ? WIRE_BAD_LONG : WIRE_OK);
			cr_assert_eq(src, over ? file : file + len + lf);
			cr_assert(over || var.value.len == PERLVAR_LINE_MAX - (sizeof head - 1));
		}
	}
}
