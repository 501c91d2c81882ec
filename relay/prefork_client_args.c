/*
 * prefork_client_args.c - options one by one, as the original takes them: letters bundled or not, a
 * value in the same word or the next, long names in full; "-" alone is passed over.
 *
 * Never changes argv, never prints.  Owns its list of words and the copy of a combined argument.
 */
#include "relay/prefork_client_args.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has no letter has a number beyond all of them. */
enum {
	OPTION_KILL = 256,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_SOCKET,
};

struct option {
	int id; /* its letter, if it has one */
	const char *name;
	bool takes_value;
};

static const struct option options[] = {
	{ 'U', NULL, false },
	{ 'f', NULL, false },
	{ 'E', NULL, true },
	{ 'G', NULL, true },
	{ 'g', NULL, true },
	{ OPTION_KILL, "kill", false },
	{ OPTION_HELP, "help", false },
	{ OPTION_VERSION, "version", false },
	{ OPTION_SOCKET, "socket", true },
};

#define OPTIONS (sizeof options / sizeof options[0])

/* The words that are left, and what they told so far that nobody else needs. */
struct reader {
	char **at; /* the next word; NULL is behind the last one */
	bool unlaundered;
};

__attribute__((format(printf, 3, 4))) static bool
wrong(struct prefork_args *args, int exit_code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(args->error, sizeof args->error, format, list);
	va_end(list);
	args->exit_code = exit_code;
	return false;
}

static void
add_item(struct prefork_args *args, int id, const char *text)
{
	args->items[args->items_len++] = (struct prefork_item){ (char)id, text };
}

static void
take(struct prefork_args *args, struct reader *reader, int id, const char *value)
{
	switch (id) {
	case 'U':
		reader->unlaundered = true;
		break;
	case 'f':
		args->action = PREFORK_FRESH;
		break;
	case 'E':
	case 'G':
		add_item(args, id, value);
		break;
	case 'g':
		args->ident = value;
		break;
	case OPTION_KILL:
		args->action = PREFORK_KILL;
		break;
	case OPTION_HELP:
		args->action = PREFORK_HELP;
		break;
	case OPTION_VERSION:
		args->action = PREFORK_VERSION;
		break;
	case OPTION_SOCKET:
		args->socket = value;
		break;
	}
}

/* "--NAME", "--NAME VALUE" or "--NAME=VALUE". */
static bool
take_long(struct prefork_args *args, struct reader *reader, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	const struct option *option = options;

	while (option < options + OPTIONS &&
	       !(option->name && strlen(option->name) == len && !memcmp(option->name, word, len)))
		option++;
	if (option == options + OPTIONS)
		return wrong(args, PREFORK_EXIT_USAGE, "unknown option --%.80s", word);
	if (!option->takes_value && value)
		return wrong(args, PREFORK_EXIT_USAGE, "--%s takes no value", option->name);
	if (option->takes_value && !value)
		value = *reader->at ? *reader->at++ : NULL;
	if (option->takes_value && !value)
		return wrong(args, PREFORK_EXIT_USAGE, "--%s takes a value", option->name);
	take(args, reader, option->id, value);
	return true;
}

/* "-ABC", "-ABgVALUE" or "-ABg VALUE", without the dash. */
static bool
take_letters(struct prefork_args *args, struct reader *reader, const char *word)
{
	while (*word != '\0') {
		const struct option *option = options;
		const char *value = NULL;
		char letter = *word++;

		while (option < options + OPTIONS && option->id != letter)
			option++;
		if (option == options + OPTIONS)
			return wrong(args, PREFORK_EXIT_USAGE, "unknown option -%c", letter);
		if (option->takes_value && *word != '\0') {
			value = word;
			word += strlen(word);
		} else if (option->takes_value) {
			value = *reader->at ? *reader->at++ : NULL;
			if (!value)
				return wrong(args, PREFORK_EXIT_USAGE, "-%c takes a value", letter);
		}
		take(args, reader, option->id, value);
	}
	return true;
}

/* Up to the interpreter, or to an option that asks for something else at once. */
static bool
take_options(struct prefork_args *args, struct reader *reader)
{
	while (*reader->at && (*reader->at)[0] == '-') {
		const char *word = *reader->at++;

		if (strcmp(word, "--") == 0)
			return true;
		if (!(word[1] == '-' ? take_long(args, reader, word + 2)
				     : take_letters(args, reader, word + 1)))
			return false;
		if (args->action == PREFORK_HELP || args->action == PREFORK_VERSION)
			return true;
	}
	return true;
}

/* --- one argument that holds several */

static bool
is_combined(const char *word)
{
	return word && word[0] == '-' && strpbrk(word, " ,") != NULL;
}

/* Cuts the copy into words; *count of them go before the rest of argv. */
static bool
split(struct prefork_args *args, size_t *count)
{
	char *rest = args->combined;
	char separator = strchr(rest, ' ') ? ' ' : ',';

	while (rest[0] == '-') {
		char *end = strchr(rest, separator);

		if (!end)
			return wrong(args, PREFORK_EXIT_USAGE,
				     "no interpreter behind the options of the first argument");
		*end = '\0';
		args->words[(*count)++] = rest;
		rest = end + 1;
	}
	args->words[(*count)++] = rest;
	return true;
}

/*
 * The options of a combined argument take no values out of the arguments behind it: so *inside is
 * the words of it alone, and the others are appended when the options are read.
 */
static bool
make_words(struct prefork_args *args, int argc, char **argv, size_t *inside)
{
	size_t most = (size_t)argc;

	if (argc > 1 && is_combined(argv[1]))
		most += strlen(argv[1]);
	args->words = calloc(most + 1, sizeof args->words[0]);
	args->items = calloc(most + 1, sizeof args->items[0]);
	if (most > (size_t)argc)
		args->combined = strdup(argv[1]);
	if (!args->words || !args->items || (most > (size_t)argc && !args->combined))
		return wrong(args, PREFORK_EXIT_FAILED, "out of memory");

	if (args->combined)
		return split(args, inside);
	for (int i = 1; i < argc; i++)
		args->words[(*inside)++] = argv[i];
	return true;
}

static bool
check(struct prefork_args *args, const struct reader *reader)
{
	if (!*reader->at)
		return wrong(args, PREFORK_EXIT_USAGE, "the interpreter is missing");
	if (args->combined && !reader->at[1])
		return wrong(args, PREFORK_EXIT_USAGE,
			     "no script behind the options in one argument");
	if (args->socket && (args->ident || args->items_len > 0))
		return wrong(args, PREFORK_EXIT_USAGE, "--socket needs no -g, -E or -G");
	if (args->socket && args->action == PREFORK_KILL)
		return wrong(args, PREFORK_EXIT_USAGE, "--kill goes by the ident, not --socket");
	if (!reader->unlaundered)
		return wrong(args, PREFORK_EXIT_FAILED,
			     "say -U: all arguments and the environment go to the service");
	return true;
}

bool
prefork_args_parse(struct prefork_args *args, int argc, char **argv)
{
	struct reader reader = { NULL, false };
	size_t inside = 0;

	*args = (struct prefork_args){ .action = PREFORK_CALL };
	if (!make_words(args, argc, argv, &inside))
		return false;
	reader.at = args->words;
	if (!take_options(args, &reader))
		return false;
	if (args->action == PREFORK_HELP || args->action == PREFORK_VERSION)
		return true;
	if (args->combined && *reader.at)
		for (int i = 2; i < argc; i++)
			args->words[inside++] = argv[i];
	args->command = reader.at;
	return check(args, &reader);
}

void
prefork_args_fini(struct prefork_args *args)
{
	free(args->words);
	free(args->items);
	free(args->combined);
	*args = (struct prefork_args){ .action = PREFORK_CALL };
}
