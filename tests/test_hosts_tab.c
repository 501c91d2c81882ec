/*
 * test_hosts_tab.c - which lines of hosts.tab make a host, which ids name a socket, and where lines
 * end.
 */
#include <criterion/criterion.h>

#include "wire/hosts_tab.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(text)  (text), (sizeof(text) - 1)

static const struct {
	const char *line;
	size_t len;
	enum wire_status status;
	const char *id, *domain, *role, *name, *address;
} rows[] = {
	{ BYTES("msul1:msu:library:zeus.example.org:10.0.0.1"), WIRE_OK, "msul1", "msu", "library",
	  "zeus.example.org", "10.0.0.1" },
	{ BYTES("a:b:c:d:e:more:and:more"), WIRE_OK, "a", "b", "c", "d", "e" },
	{ BYTES("a:b:c:d:e:"), WIRE_OK, "a", "b", "c", "d", "e" },
	{ BYTES("a::::e"), WIRE_OK, "a", "", "", "", "e" },
	{ BYTES("#a:b:c:d:e"), WIRE_OK, "#a", "b", "c", "d", "e" },
	{ BYTES("# a : b : c : d : e"), WIRE_OK, "# a ", " b ", " c ", " d ", " e" },
	{ BYTES("a:b:c:d:e\r"), WIRE_OK, "a", "b", "c", "d", "e" },
	{ BYTES("a:b:c:d:e \t\v\f\r"), WIRE_OK, "a", "b", "c", "d", "e" },
	{ BYTES("a:b:c:d:e \r:x"), WIRE_OK, "a", "b", "c", "d", "e" },
	{ BYTES("a:b:c:d:00"), WIRE_OK, "a", "b", "c", "d", "00" },
	{ BYTES("a:b:c:d:0.0.0.0"), WIRE_OK, "a", "b", "c", "d", "0.0.0.0" },
	{ BYTES("\xe9\xff:b:c:d:e"), WIRE_OK, "\xe9\xff", "b", "c", "d", "e" },
	{ BYTES("a:b:c:d:[::1]"), WIRE_OK, "a", "b", "c", "d", "::1" },
	{ BYTES("a:b:c:d:[::1]\r"), WIRE_OK, "a", "b", "c", "d", "::1" },
	{ BYTES("a:b:c:d:[fe80::1%eth0]:more"), WIRE_OK, "a", "b", "c", "d", "fe80::1%eth0" },
	{ BYTES("a:b:c:d:[::1] :more]"), WIRE_OK, "a", "b", "c", "d", "::1" },
	{ BYTES("a:b:c:d:[10.0.0.1]"), WIRE_OK, "a", "b", "c", "d", "10.0.0.1" },
	{ BYTES("a:b:c:d:e[0]"), WIRE_OK, "a", "b", "c", "d", "e[0]" },
	{ BYTES("a:[b:c]:d:e"), WIRE_OK, "a", "[b", "c]", "d", "e" },

	{ BYTES(""), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("\r"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("   "), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("# a comment"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d::e"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:::1"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:0"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:0:e"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d: \r"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:[]"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("/:b:c:d:0"), WIRE_SKIP, 0, 0, 0, 0, 0 },
	{ BYTES("::::"), WIRE_SKIP, 0, 0, 0, 0, 0 },

	{ BYTES(":b:c:d:e"), WIRE_BAD_ID, "", "b", "c", "d", "e" },
	{ BYTES(".:b:c:d:e"), WIRE_BAD_ID, ".", "b", "c", "d", "e" },
	{ BYTES("..:b:c:d:e"), WIRE_BAD_ID, "..", "b", "c", "d", "e" },
	{ BYTES("delayed:b:c:d:e"), WIRE_BAD_ID, "delayed", "b", "c", "d", "e" },
	{ BYTES("a/b:b:c:d:e"), WIRE_BAD_ID, "a/b", "b", "c", "d", "e" },
	{ BYTES("/:b:c:d:[::1]"), WIRE_BAD_ID, "/", "b", "c", "d", "::1" },

	{ BYTES("a\0:b:c:d:e"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:e\0"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:e:\0"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("\0"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:[::1"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:["), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:[::1]x"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
	{ BYTES("a:b:c:d:[::1]x:more"), WIRE_BAD_FORM, 0, 0, 0, 0, 0 },
};

static void
assert_entry(const struct hosts_tab_entry *entry, size_t row)
{
	const char *line = rows[row].line;

	cr_assert(wire_span_equal(entry->id, wire_span_str(rows[row].id)), "%s", line);
	cr_assert(wire_span_equal(entry->domain, wire_span_str(rows[row].domain)), "%s", line);
	cr_assert(wire_span_equal(entry->role, wire_span_str(rows[row].role)), "%s", line);
	cr_assert(wire_span_equal(entry->name, wire_span_str(rows[row].name)), "%s", line);
	cr_assert(wire_span_equal(entry->address, wire_span_str(rows[row].address)), "%s", line);
}

Test(hosts_tab, each_line_alone)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint8_t *src = (const uint8_t *)rows[i].line;
		const uint8_t *end = src + rows[i].len;
		struct wire_span untouched = wire_span("untouched", 9);
		struct hosts_tab_entry entry = { untouched, untouched, untouched, untouched,
						 untouched };

		if (rows[i].len > 0)
			cr_assert_eq(hosts_tab_next(&entry, &src, end), rows[i].status,
				     "row %zu: %s", i, rows[i].line);
		cr_assert_eq(src, end);
		if (rows[i].len > 0 && rows[i].id != NULL)
			assert_entry(&entry, i);
		else
			cr_assert(wire_span_equal(entry.id, untouched));
		cr_assert_eq(hosts_tab_next(&entry, &src, end), WIRE_MORE);
		cr_assert_eq(src, end);
	}
}

/* The whole table as one file, cut off after every byte: the lines that are there read the same. */
Test(hosts_tab, one_file_cut_at_every_position)
{
	uint8_t file[4096];
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
		struct hosts_tab_entry entry;
		enum wire_status status;
		size_t row = 0;

		while ((status = hosts_tab_next(&entry, &src, end)) != WIRE_MORE) {
			cr_assert_lt(row, COUNT(rows));
			/* The last line may be cut within; with only its LF cut off it counts as
			 * well. */
			if (starts[row] + rows[row].len <= cut) {
				cr_assert_eq(status, rows[row].status, "row %zu, cut %zu", row,
					     cut);
				if (rows[row].id != NULL)
					assert_entry(&entry, row);
			}
			size_t next = starts[row + 1] < cut ? starts[row + 1] : cut;
			cr_assert_eq(src, file + next);
			row++;
		}
		cr_assert_eq(src, end);
		cr_assert(starts[row] >= cut);
	}
}

Test(hosts_tab, empty_file)
{
	const uint8_t *src = NULL;
	struct hosts_tab_entry entry;

	cr_assert_eq(hosts_tab_next(&entry, &src, NULL), WIRE_MORE);
	cr_assert_null(src);
}

Test(hosts_tab, line_bound_exact_and_one_over)
{
	static const char head[] = "a:b:c:d:e:";
	static uint8_t file[HOSTS_TAB_LINE_MAX + 2];

	for (int over = 0; over <= 1; over++) {
		for (int lf = 0; lf <= 1; lf++) {
			size_t len = HOSTS_TAB_LINE_MAX + (size_t)over;
			const uint8_t *src = file;
			struct hosts_tab_entry entry;

			memset(file, 'x', sizeof file);
			memcpy(file, head, sizeof head - 1);
			file[len] = '\n';
			enum wire_status status = hosts_tab_next(&entry, &src, file + len + lf);
			cr_assert_eq(status, over ? WIRE_BAD_LONG : WIRE_OK);
			cr_assert_eq(src, over ? file : file + len + lf);
		}
	}
}

Test(hosts_tab, ids)
{
	static const char *const good[] = { "a",  "msul1",   "...",      "..a",      ".a",  "a.b",
					    "#a", "Delayed", "delayed1", "adelayed", "a b", "-" };
	static const char *const bad[] = { "", ".", "..", "delayed", "/", "a/", "/a", "a/b" };

	for (size_t i = 0; i < COUNT(good); i++)
		cr_assert_eq(hosts_tab_check_id(wire_span_str(good[i]), 20), WIRE_OK, "%s",
			     good[i]);
	for (size_t i = 0; i < COUNT(bad); i++) {
		cr_assert_eq(hosts_tab_check_id(wire_span_str(bad[i]), 20), WIRE_BAD_ID, "%s",
			     bad[i]);
		cr_assert_eq(hosts_tab_check_id(wire_span_str(bad[i]), 1000), WIRE_BAD_ID);
	}
	cr_assert_eq(hosts_tab_check_id(wire_span("a\0b", 3), 20), WIRE_BAD_ID);
	cr_assert_eq(hosts_tab_check_id(wire_span("\0", 1), 20), WIRE_BAD_ID);
}

/* The table knows no directory, so the length of an id is not its business. */
Test(hosts_tab, long_id_is_an_entry)
{
	uint8_t file[512];
	const uint8_t *src = file;
	struct hosts_tab_entry entry;

	memset(file, 'i', sizeof file);
	memcpy(file + sizeof file - 9, ":b:c:d:e\n", 9);
	cr_assert_eq(hosts_tab_next(&entry, &src, file + sizeof file), WIRE_OK);
	cr_assert_eq(entry.id.len, sizeof file - 9);
	cr_assert_eq(hosts_tab_check_id(entry.id, 0), WIRE_BAD_LONG);
}

/* Directory, '/', id: 107 bytes are the most, for every way to share them. */
Test(hosts_tab, path_bound_exact_and_one_over)
{
	uint8_t id[HOSTS_TAB_PATH_MAX + 2];

	memset(id, 'i', sizeof id);
	for (size_t dir_len = 0; dir_len <= HOSTS_TAB_PATH_MAX + 2; dir_len++) {
		for (size_t len = 1; len <= sizeof id; len++) {
			bool fits = dir_len + 1 + len <= 107;
			cr_assert_eq(hosts_tab_check_id(wire_span(id, len), dir_len),
				     fits ? WIRE_OK : WIRE_BAD_LONG, "%zu / %zu", dir_len, len);
		}
	}
	cr_assert_eq(hosts_tab_check_id(wire_span(id, 1), SIZE_MAX), WIRE_BAD_LONG);
}
