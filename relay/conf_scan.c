/*
 * conf_scan.c - walks over the bytes of relay.conf as libconfuse's lexer would, and mends or
 * refuses what that lexer gets wrong.
 *
 * Never interprets a key or a value.  Owns the list of lines; the text is its caller's.
 */
#include "relay/conf_scan.h"

#include <stdlib.h>
#include <string.h>

/* Where the walk stands: [at, end) is still to be looked at. */
struct walk {
	struct conf_scan *scan;
	uint8_t *at;
	uint8_t *end;
	unsigned line;
	unsigned depth;      /* open braces */
	unsigned depth_line; /* where the outermost of them is */
	bool in_word;        /* the byte before belongs to a bare word */
	const char *path;
	struct report *report;
};

static bool
refuse(const struct walk *walk, unsigned line, const char *text)
{
	report_add(walk->report, REPORT_FATAL, walk->path, line, "%s", text);
	return false;
}

static bool
next_is(const struct walk *walk, uint8_t c)
{
	return walk->end - walk->at > 1 && walk->at[1] == c;
}

static void
blank_line_comment(struct walk *walk)
{
	while (walk->at < walk->end && *walk->at != '\n')
		*walk->at++ = ' ';
}

static bool
blank_block_comment(struct walk *walk)
{
	unsigned start = walk->line;

	memset(walk->at, ' ', 2);
	for (walk->at += 2; walk->at < walk->end; walk->at++) {
		if (*walk->at == '*' && next_is(walk, '/')) {
			memset(walk->at, ' ', 2);
			walk->at += 2;
			return true;
		}
		if (*walk->at == '\n')
			walk->line++;
		else
			*walk->at = ' ';
	}
	return refuse(walk, start, "a comment without its end");
}

static bool
skip_quoted(struct walk *walk)
{
	uint8_t quote = *walk->at++;
	unsigned start = walk->line;

	for (; walk->at < walk->end && *walk->at != quote; walk->at++) {
		if (quote == '"' && *walk->at == '$' && next_is(walk, '{'))
			return refuse(walk, walk->line,
				      "\"${\": variables of the environment are not filled in");
		if (*walk->at == '\\' && walk->end - walk->at > 1)
			walk->at++;
		if (*walk->at == '\n')
			walk->line++;
	}
	if (walk->at == walk->end)
		return refuse(walk, start, "a quoted text without its end");
	walk->at++;
	return true;
}

static bool
add_section(struct walk *walk)
{
	struct conf_scan *scan = walk->scan;

	/* Grows at 0, 1, 2, 4, 8 ... entries. */
	if ((scan->count & (scan->count - 1)) == 0) {
		size_t room = scan->count == 0 ? 1 : scan->count * 2;
		unsigned *lines = realloc(scan->lines, room * sizeof *lines);

		if (lines == NULL)
			return refuse(walk, walk->line, "out of memory");
		scan->lines = lines;
	}
	scan->lines[scan->count++] = walk->line;
	walk->depth_line = walk->line;
	return true;
}

/* A byte outside of quotes and comments. */
static bool
take_plain(struct walk *walk)
{
	uint8_t c = *walk->at;
	bool word = false;

	switch (c) {
	case '\n':
		walk->line++;
		break;
	case '\r':
		*walk->at = ' ';
		break;
	case '{':
		if (walk->depth++ == 0 && !add_section(walk))
			return false;
		break;
	case '}':
		if (walk->depth == 0)
			return refuse(walk, walk->line, "a closing brace without a section");
		walk->depth--;
		break;
	case '*':
		return refuse(walk, walk->line, "unexpected '*': put such a text in quotes");
	case '+':
		if (!next_is(walk, '='))
			return refuse(walk, walk->line,
				      "unexpected '+': put such a text in quotes");
		break;
	case '$':
		if (next_is(walk, '{'))
			return refuse(walk, walk->line,
				      "\"${\": variables of the environment are not filled in");
		word = true;
		break;
	case ' ':
	case '\t':
	case '=':
	case '(':
	case ')':
	case ',':
		break;
	default:
		word = true;
		break;
	}
	walk->in_word = word;
	walk->at++;
	return true;
}

static bool
step(struct walk *walk)
{
	uint8_t c = *walk->at;

	if (c == '"' || c == '\'') {
		walk->in_word = false;
		return skip_quoted(walk);
	}
	/* Inside of a word two slashes are part of it, as in a path. */
	if (c == '#' || (c == '/' && !walk->in_word && next_is(walk, '/'))) {
		walk->in_word = false;
		blank_line_comment(walk);
		return true;
	}
	if (c == '/' && !walk->in_word && next_is(walk, '*'))
		return blank_block_comment(walk);
	return take_plain(walk);
}

bool
conf_scan(struct conf_scan *scan, struct text_file *file, const char *path, struct report *report)
{
	struct walk walk = {
		.scan = scan,
		.at = file->data,
		.end = file->data + file->len,
		.line = 1,
		.path = path,
		.report = report,
	};

	*scan = (struct conf_scan){ .lines = NULL };
	while (walk.at < walk.end)
		if (!step(&walk))
			return false;
	if (walk.depth > 0)
		return refuse(&walk, walk.depth_line, "a section without its closing brace");
	return true;
}

void
conf_scan_fini(struct conf_scan *scan)
{
	free(scan->lines);
	*scan = (struct conf_scan){ .lines = NULL };
}
