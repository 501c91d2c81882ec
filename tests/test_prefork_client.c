/*
 * test_prefork_client.c - relay-prefork's command line against what the original makes of the same
 * one, and computed idents against those that it computed from the same facts.
 */
#include "relay/prefork_client_args.h"
#include "relay/prefork_client_ident.h"
#include "relay/prefork_client_place.h"
#include "tests/temp_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define WORDS_MAX  64
#define LENGTH_MAX 300

/* --- the command line */

struct line {
	struct prefork_args args;
	char text[512]; /* the words, each ended */
	char *argv[WORDS_MAX + 1];
	char seen[512]; /* what became of them */
	bool fine;
};

/* Words apart by '|'. */
static struct line *
parse(const char *words)
{
	static struct line line;
	int argc = 1;
	char *at;

	prefork_args_fini(&line.args);
	line = (struct line){ .argv = { line.text } };
	snprintf(line.text, sizeof line.text, "relay-prefork%s%s", words[0] != '\0' ? "|" : "",
		 words);
	for (at = strchr(line.text, '|'); at; at = strchr(at, '|')) {
		*at++ = '\0';
		line.argv[argc++] = at;
	}
	line.fine = prefork_args_parse(&line.args, argc, line.argv);
	return &line;
}

/* The command as "<perl><svc.pl>", what else was said before it: "-g id -E X " and so on. */
static const char *
seen(const char *words)
{
	struct line *line = parse(words);
	FILE *out = fmemopen(line->seen, sizeof line->seen, "w");
	static const char *const actions[] = { "", "-f ", "--kill ", "--help ", "--version " };

	cr_assert_not_null(out);
	if (!line->fine) {
		fprintf(out, "%d: %s", line->args.exit_code, line->args.error);
	} else {
		fputs(actions[line->args.action], out);
		if (line->args.socket)
			fprintf(out, "--socket %s ", line->args.socket);
		if (line->args.ident)
			fprintf(out, "-g %s ", line->args.ident);
		for (size_t i = 0; i < line->args.items_len; i++)
			fprintf(out, "-%c %s ", line->args.items[i].option,
				line->args.items[i].text);
		for (char **word = line->args.command; word && *word; word++)
			fprintf(out, "<%s>", *word);
	}
	fclose(out);
	return line->seen;
}

#define SEES(words, expected) cr_expect_str_eq(seen(words), expected, "%s: %s", words, seen(words))

Test(prefork_args, takes_options_up_to_the_interpreter)
{
	SEES("-U|perl|svc.pl", "<perl><svc.pl>");
	SEES("-U|perl", "<perl>");
	SEES("-U|-g|id|perl|svc.pl|a b||c", "-g id <perl><svc.pl><a b><><c>");
	SEES("-U|-gid|perl|svc.pl|-f|--kill", "-g id <perl><svc.pl><-f><--kill>");
	SEES("-Ugid|perl|svc.pl", "-g id <perl><svc.pl>");
	SEES("-gidU|perl|svc.pl|-U",
	     "127: say -U: all arguments and the environment go to the service");
	SEES("-g=id|-U|perl", "-g =id <perl>");
	SEES("-U|-g||perl", "-g  <perl>");
	SEES("-U|-U|-gone|-gtwo|perl", "-g two <perl>");
	SEES("-U|-E|A|-G|b|-EC|-Gd|perl", "-E A -G b -E C -G d <perl>");
	SEES("-fU|perl|s", "-f <perl><s>");
	SEES("-U|--kill|perl|s", "--kill <perl><s>");
	SEES("-U|--socket|/run/s|perl", "--socket /run/s <perl>");
	SEES("-U|--socket=/run/s|perl", "--socket /run/s <perl>");
	SEES("-U||", "<><>");
}

Test(prefork_args, knows_where_options_end)
{
	SEES("-U|--|perl|svc.pl", "<perl><svc.pl>");
	SEES("-U|perl|--|svc.pl", "<perl><--><svc.pl>");
	SEES("-U|--|-perl|svc.pl", "<-perl><svc.pl>");
	SEES("-U|--|-|svc.pl", "<-><svc.pl>");
	SEES("-|-U|perl", "<perl>");
	SEES("-U|-|-gid|perl", "-g id <perl>");
	SEES("-U|-gid|perl -w|svc.pl", "-g id <perl -w><svc.pl>");
}

Test(prefork_args, refuses_as_the_original_does)
{
	SEES("", "255: the interpreter is missing");
	SEES("-U", "255: the interpreter is missing");
	SEES("--", "255: the interpreter is missing");
	SEES("-EX", "255: the interpreter is missing");
	SEES("-X|perl", "255: unknown option -X");
	SEES("-UX|perl", "255: unknown option -X");
	SEES("-h|perl", "255: unknown option -h");
	SEES("-U|--bogus|perl", "255: unknown option --bogus");
	SEES("-U|--k|perl", "255: unknown option --k");
	SEES("-U|--kill=1|perl", "255: --kill takes no value");
	SEES("--help=1", "255: --help takes no value");
	SEES("-U|-g", "255: -g takes a value");
	SEES("-UE", "255: -E takes a value");
	SEES("-U|--socket", "255: --socket takes a value");
	SEES("perl|svc.pl", "127: say -U: all arguments and the environment go to the service");
	SEES("--kill|-gid|perl",
	     "127: say -U: all arguments and the environment go to the service");
	SEES("-U|--socket=/s|-gid|perl", "255: --socket needs no -g, -E or -G");
	SEES("-U|--socket=/s|-EX|perl", "255: --socket needs no -g, -E or -G");
	SEES("-U|--socket=/s|--kill|perl", "255: --kill goes by the ident, not --socket");
}

Test(prefork_args, help_comes_first)
{
	SEES("--help", "--help ");
	SEES("--help|--bogus", "--help ");
	SEES("--bogus|--help", "255: unknown option --bogus");
	SEES("-U|--version|perl", "--version ");
	SEES("-U,--help,perl|svc", "--help ");
}

Test(prefork_args, takes_one_argument_for_several)
{
	static const char lacks[] = "255: no interpreter behind the options of the first argument";

	SEES("-U,-gid,perl|svc.pl|a|-f", "-g id <perl><svc.pl><a><-f>");
	SEES("-U -gid perl|svc.pl", "-g id <perl><svc.pl>");
	SEES("-Ugid perl|svc.pl", "-g id <perl><svc.pl>");
	SEES("-U,-gid,perl|--|svc.pl", "-g id <perl><--><svc.pl>");
	SEES("-U,-gid,--,perl|svc.pl", "-g id <perl><svc.pl>");
	SEES("-U,-gid,-,perl|svc.pl", "-g id <perl><svc.pl>");
	SEES("-U,-gid,|svc.pl", "-g id <><svc.pl>");
	/* With a space in it a comma is no separator, and after the options neither of them is. */
	SEES("-U -gid perl,-w|svc.pl", "-g id <perl,-w><svc.pl>");
	SEES("-Ga,b -U -gid perl|svc.pl", "-g id -G a,b <perl><svc.pl>");
	SEES("-U  -gid   perl|svc.pl", "< -gid   perl><svc.pl>");
	SEES("-U,,perl|svc.pl", "<,perl><svc.pl>");
	SEES("-EA=B,-U,-gid,perl|svc.pl", "-g id -E A=B <perl><svc.pl>");
	SEES("-U,-gid,perl svc.pl|b", "255: unknown option -,");
	SEES("-U,-gid,perl -w|b", lacks);
	SEES("-U,-gid|perl|svc.pl", lacks);
	SEES("-U,-g|id|perl", lacks);
	SEES("-U -g id perl|svc.pl", "255: the interpreter is missing");
	SEES("-U,-gid,perl", "255: no script behind the options in one argument");
	SEES("-U,-gid,perl|", "-g id <perl><>");
	/* Only the first argument, and only if it begins so. */
	SEES("-U|-gid,perl|svc.pl", "-g id,perl <svc.pl>");
	SEES("-gid|-U perl|svc.pl", "255: unknown option - ");
	SEES(",-U,-gid,perl|svc.pl",
	     "127: say -U: all arguments and the environment go to the service");
}

/* --- the ident */

static struct prefork_ident_facts
some_facts(void)
{
	struct prefork_ident_facts facts = {
		.system = {
			.sysname = "Linux",
			.nodename = "here.example.edu",
			.release = "6.1.0",
			.version = "#1 SMP",
			.machine = "x86_64",
			.domainname = "(none)",
		},
		.working = { 0x803, 0x123456789a },
		.root = { 0x1fe00, 2 },
	};

	return facts;
}

static void
expect_ident(const char *words, const char *expected)
{
	struct prefork_ident_facts facts = some_facts();
	char ident[PREFORK_IDENT_DIGITS + 1];
	struct line *line = parse(words);

	cr_assert(line->fine);
	prefork_ident_compute(ident, &facts, line->args.items, line->args.items_len,
			      line->args.command);
	cr_expect_str_eq(ident, expected, "%s: %s", words, ident);
}

Test(prefork_ident, is_the_original_s)
{
	setenv("ONE", "1", 1);
	setenv("EMPTY", "", 1);
	unsetenv("NO_SUCH");
	expect_ident("-U|perl", "c157c37d8bf2cf3a040708ab8d0967bd2b1402ce4505b1a5405f4c336d2148c8");
	expect_ident("-U|perl|svc.pl",
		     "8561bb5291ac1f6e11edba3abaf5f8f1fdaa9f133fdf8d10232c104b4b161aad");
	expect_ident("-U|-E|ONE|-E|EMPTY|-E|NO_SUCH|-G|text|perl|svc.pl|more",
		     "2a0031ffbd69f6cd2b4b737a9fc89f0de0a970e7edf85150c2a0528fc93a7757");
	expect_ident("-U|-G|text|-E|ONE|perl|svc.pl",
		     "432ab7cdcf6a4c39cd943ad0f103d3e90bc09833945e2a93f8f2bdfd84a05594");
	expect_ident("-U,-Gtext,-EONE,perl|svc.pl|-x",
		     "432ab7cdcf6a4c39cd943ad0f103d3e90bc09833945e2a93f8f2bdfd84a05594");
}

Test(prefork_ident, of_this_system_stays_the_same)
{
	struct prefork_ident_facts once, again;

	memset(&once, 0xff, sizeof once);
	cr_assert_eq(prefork_ident_look(&once), 0);
	cr_assert_eq(prefork_ident_look(&again), 0);
	cr_assert_eq(memcmp(&once, &again, sizeof once), 0);
	cr_assert_neq(once.root.number, 0);
}

static size_t
put(uint8_t *to, char tag, const void *bytes, size_t len)
{
	to[0] = (uint8_t)tag;
	memcpy(to + 1, bytes, len);
	return 1 + len;
}

/* The composition written out and hashed by another; texts of all lengths around ends of blocks. */
Test(prefork_ident, agrees_with_another_hash)
{
	struct prefork_ident_facts facts = { .working = { 1, 2 }, .root = { 3, 4 } };
	static const uint8_t numbers[4][8] = { { 1 }, { 2 }, { 3 }, { 4 } };
	uint8_t size[8] = { sizeof facts.system & 0xff, sizeof facts.system >> 8 };
	static char word[] = "svc";
	char *const command[] = { word, NULL };
	char text[LENGTH_MAX + 1] = "", ident[PREFORK_IDENT_DIGITS + 1];
	uint8_t bytes[sizeof facts.system + LENGTH_MAX + 100], digest[32];

	memset(&facts.system, 'x', sizeof facts.system);
	for (size_t len = 0; len < LENGTH_MAX; text[len++] = 'y') {
		struct prefork_item item = { .option = 'G', .text = text };
		size_t at = put(bytes, 1, "", 0);

		at += put(bytes + at, 'u', size, sizeof size);
		at += put(bytes + at, 'u', &facts.system, sizeof facts.system);
		for (int i = 0; i < 4; i++)
			at += put(bytes + at, ".i/i"[i], numbers[i], sizeof numbers[i]);
		at += put(bytes + at, 'G', text, len + 1);
		at += put(bytes + at, 'i', word, sizeof word);
		gcry_md_hash_buffer(GCRY_MD_SHA256, digest, bytes, at);
		prefork_ident_compute(ident, &facts, &item, 1, command);
		for (size_t i = 0; i < sizeof digest; i++) {
			char expected[3];

			snprintf(expected, sizeof expected, "%02x", digest[i]);
			cr_assert_eq(memcmp(ident + 2 * i, expected, 2), 0, "length %zu", len);
		}
	}
}

/* --- the place */

Test(prefork_place, has_bounds)
{
	struct prefork_place place;
	char text[200];

	cr_assert(prefork_place_of_path(&place, "/run/some.socket"));
	cr_assert_str_eq(place.extended, "/run/some.socket");
	cr_assert_str_eq(place.socket, "");
	memset(text, 'x', sizeof text);
	text[PREFORK_PATH_SIZE - 1] = '\0';
	cr_assert(prefork_place_of_path(&place, text));
	cr_assert_str_eq(place.extended, text);
	text[PREFORK_PATH_SIZE - 1] = 'x';
	text[PREFORK_PATH_SIZE] = '\0';
	cr_assert_not(prefork_place_of_path(&place, text));
	cr_assert_not(prefork_place_of_path(&place, ""));
}

Test(prefork_place, puts_all_names_of_an_ident_into_one_directory)
{
	struct prefork_place place;
	char text[200];
	size_t dir;

	cr_assert(prefork_place_of_ident(&place, "id"), "%s", place.error);
	dir = strlen(place.socket) - strlen("/sid");
	cr_assert_str_eq(place.socket + dir, "/sid");
	cr_assert_str_eq(place.extended + dir, "/xid");
	cr_assert_str_eq(place.lock + dir, "/lid");
	cr_assert_arr_eq(place.socket, place.extended, dir);
	cr_assert_arr_eq(place.socket, place.lock, dir);
	cr_assert_eq(place.socket[0], '/');
	cr_assert_not(prefork_place_of_ident(&place, "../sid"));
	cr_assert(strstr(place.error, "'/'"), "%s", place.error);
	/* The spare bytes of sun_path are the original's rule. */
	memset(text, 'x', sizeof text);
	text[PREFORK_PATH_SIZE - 12 - dir] = '\0';
	cr_assert(prefork_place_of_ident(&place, text), "%s", place.error);
	text[PREFORK_PATH_SIZE - 12 - dir] = 'x';
	text[PREFORK_PATH_SIZE - 12 - dir + 1] = '\0';
	cr_assert_not(prefork_place_of_ident(&place, text));
}

Test(prefork_place, a_run_directory_of_everybody_is_refused, .init = temp_dir_make,
     .fini = temp_dir_remove)
{
	const char *run = temp_path("run");
	struct prefork_place place;

	cr_assert(prefork_place_in_dir(&place, run, "id"), "one that is missing: nobody serves");
	cr_assert_eq(mkdir(run, 0700), 0);
	cr_assert(prefork_place_in_dir(&place, run, "id"), "%s", place.error);
	cr_assert_eq(chmod(run, 01777), 0);
	cr_assert_not(prefork_place_in_dir(&place, run, "id"));
	cr_assert(strstr(place.error, "anybody may write to it (mode 1777)"), "%s", place.error);
}

static int lock_attempts;

/* In place of the C library's: a file system that has no locks. */
int
flock(int fd, int operation)
{
	(void)fd;
	(void)operation;
	cr_assert_lt(++lock_attempts, 10, "tried again and again");
	errno = ENOLCK;
	return -1;
}

Test(prefork_place, kill_says_that_there_are_no_locks)
{
	struct prefork_place place = { .error = "" };

	temp_dir_make();
	snprintf(place.lock, sizeof place.lock, "%s/lid", temp_dir);
	snprintf(place.socket, sizeof place.socket, "%s/sid", temp_dir);
	cr_assert_not(prefork_place_kill(&place));
	cr_assert(strstr(place.error, strerror(ENOLCK)), "%s", place.error);
	temp_dir_remove();
}
