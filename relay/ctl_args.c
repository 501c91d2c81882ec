/*
 * ctl_args.c - what was typed, checked against the verb table before anything is sent; and the
 * help, made from the same table.
 *
 * Never talks to the daemon, opens no file.  Owns nothing: all results are views into argv.
 */
#include "relay/ctl_args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "relay/control_call.h"
#include "wire/control_frame.h"

#define TIMEOUT_MS 5000
#define WAIT_MS    60000
#define DAY_MS     ((uint64_t)24 * 60 * 60 * 1000)
#define AGE_MS     (3650 * DAY_MS)
#define USAGE_SIZE 64

enum option_value {
	OPTION_HELP = 'h',
	OPTION_OUTPUT = 'o',
	OPTION_SOCKET = 's',
	OPTION_TIMEOUT = 't',
	OPTION_VERSION = 'V',
	OPTION_WAIT = 256,
	OPTION_DRY_RUN,
	OPTION_IF_GENERATION,
	OPTION_CLIENT,
	OPTION_OLDER,
	OPTION_READY,
};

const struct option ctl_options[] = {
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "wait", optional_argument, NULL, OPTION_WAIT },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "if-generation", required_argument, NULL, OPTION_IF_GENERATION },
	{ "client", required_argument, NULL, OPTION_CLIENT },
	{ "older", required_argument, NULL, OPTION_OLDER },
	{ "ready", no_argument, NULL, OPTION_READY },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

#define ROLE_VIEW    "view"
#define ROLE_OPERATE "operate"
#define ROLE_ADMIN   "admin"
#define MUTATES      CONTROL_OPTION_MUTATES
#define PAGED        CONTROL_OPTION_PAGED
#define STREAM       CONTROL_OPTION_STREAM
#define SELECTS      CONTROL_OPTION_SELECTS
#define VERB(name, role, handler, arguments, options, help) \
	{ name, ROLE_##role, arguments, options, help },
const struct ctl_verb ctl_verbs[] = {
#include "relay/control_verbs.def"
};
#undef VERB
#undef MUTATES
#undef PAGED
#undef STREAM
#undef SELECTS

const size_t ctl_verbs_len = sizeof ctl_verbs / sizeof ctl_verbs[0];

static const char intro[] =
    "usage: relayctl [OPTION...] NOUN VERB [ARGUMENT...]\n"
    "       relayctl [OPTION...] top\n"
    "\n"
    "  -s, --socket PATH      the daemon's control socket; else $RELAY_CONTROL,\n"
    "                         else /run/relay/relay.control\n"
    "  -t, --timeout TIME     how long to wait for an answer (5s)\n"
    "  -o, --output FORMAT    table (for people) or json\n"
    "      --wait[=TIME]      wait for the effect (60s)          verbs marked *\n"
    "      --dry-run          only say what would happen         verbs marked *\n"
    "      --if-generation N  only if the configuration is at N  verbs marked *\n"
    "      --client ID        those of this client               messages drop\n"
    "      --older TIME       those that wait for longer (30d)   messages drop\n"
    "      --ready            degraded is no failure             health\n"
    "  -h, --help             this, or of one noun: relayctl hosts --help\n"
    "  -V, --version\n";

static const char outro[] =
    "\n"
    "FILE may be - for standard input.  TIME is a number with ms, s, m or h.\n"
    "Exit status: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 degraded,\n"
    "5 not found, 6 denied, 7 wait expired, 8 the configuration is at another generation.\n";

__attribute__((format(printf, 2, 3))) static bool
wrong(struct ctl_args *args, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(args->error, sizeof args->error, format, list);
	va_end(list);
	return false;
}

static bool
parse_duration(const char *text, uint64_t most_ms, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "", 1000 },   { "ms", 1 },      { "s", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", DAY_MS } };

	unsigned long long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (errno != 0 || n > most_ms / units[i].ms)
			return false;
		*ms = n * units[i].ms;
		return true;
	}
	return false;
}

bool
ctl_args_duration(const char *text, uint64_t *ms)
{
	return parse_duration(text, DAY_MS, ms);
}

/* --- options */

static bool
take_generation(struct ctl_args *args, const char *text)
{
	char *end;

	errno = 0;
	args->if_generation = strtoull(text, &end, 10);
	if (text[0] < '1' || text[0] > '9' || *end != '\0' || errno != 0)
		return wrong(args, "--if-generation %s: it is a number from 1", text);
	return true;
}

static bool
take_wait(struct ctl_args *args, const char *text)
{
	uint64_t ms = WAIT_MS;

	if (text && (!ctl_args_duration(text, &ms) || ms == 0))
		return wrong(args, "--wait=%s: it is a time like 500ms, 10s, 2m", text);
	args->wait_ms = (uint32_t)ms;
	return true;
}

static bool
take_output(struct ctl_args *args, const char *text)
{
	args->json = strcmp(text, "json") == 0;
	if (!args->json && strcmp(text, "table") != 0)
		return wrong(args, "-o %s: it is table or json", text);
	return true;
}

static bool
take_option(struct ctl_args *args, int option, const char *given)
{
	switch (option) {
	case OPTION_SOCKET:
		args->socket = optarg;
		return true;
	case OPTION_TIMEOUT:
		if (!ctl_args_duration(optarg, &args->timeout_ms) || args->timeout_ms == 0)
			return wrong(args, "--timeout %s: it is a time like 500ms, 5s", optarg);
		return true;
	case OPTION_OUTPUT:
		return take_output(args, optarg);
	case OPTION_WAIT:
		return take_wait(args, optarg);
	case OPTION_DRY_RUN:
		args->dry_run = true;
		return true;
	case OPTION_IF_GENERATION:
		return take_generation(args, optarg);
	case OPTION_CLIENT:
		args->client = optarg;
		return true;
	case OPTION_OLDER:
		if (!parse_duration(optarg, AGE_MS, &args->older_ms) || args->older_ms == 0)
			return wrong(args, "--older %s: it is a time like 90s, 1h, 30d", optarg);
		return true;
	case OPTION_READY:
		args->ready = true;
		return true;
	case OPTION_HELP:
		args->action = CTL_ACTION_HELP;
		return true;
	case OPTION_VERSION:
		args->action = CTL_ACTION_VERSION;
		return true;
	case ':':
		return wrong(args, "%s takes a value", given);
	}
	return wrong(args, "%s: no such option", given);
}

static bool
take_options(struct ctl_args *args, int argc, char **argv)
{
	optind = 0; /* begins anew */
	opterr = 0;
	for (;;) {
		int before = optind > 0 ? optind : 1;
		int option = getopt_long(argc, argv, ":ho:s:t:V", ctl_options, NULL);

		if (option < 0)
			return true;
		/* Words may have been moved behind it: the option is the last one taken. */
		if (!take_option(args, option, argv[optind > before ? optind - 1 : before]))
			return false;
	}
}

/* --- verbs and arguments */

static size_t
words_of(const struct ctl_verb *verb)
{
	return strchr(verb->name, ' ') ? 2 : 1;
}

bool
ctl_verb_has_noun(const struct ctl_verb *verb, const char *noun)
{
	size_t len = strcspn(verb->name, " ");

	return strlen(noun) == len && strncmp(verb->name, noun, len) == 0;
}

static bool
is_noun(const char *noun)
{
	for (size_t i = 0; i < ctl_verbs_len; i++)
		if (ctl_verb_has_noun(&ctl_verbs[i], noun))
			return true;
	return false;
}

const struct ctl_verb *
ctl_verb_match(char **words, size_t len, size_t *taken)
{
	for (size_t i = 0; len > 0 && i < ctl_verbs_len; i++) {
		size_t n = words_of(&ctl_verbs[i]);

		if (!ctl_verb_has_noun(&ctl_verbs[i], words[0]))
			continue;
		if (n == 2 &&
		    (len < 2 || strcmp(strchr(ctl_verbs[i].name, ' ') + 1, words[1]) != 0))
			continue;
		*taken = n;
		return &ctl_verbs[i];
	}
	return NULL;
}

bool
ctl_verb_next_shape(const char **at, char *shape, size_t size)
{
	size_t len;

	*at += strspn(*at, " ");
	len = strcspn(*at, " ");
	if (len == 0 || len >= size)
		return false;
	memcpy(shape, *at, len);
	shape[len] = '\0';
	*at += len;
	return true;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void
set_body(struct ctl_args *args, enum ctl_body kind, const char *body)
{
	args->body_kind = kind;
	args->body = body;
}

/* What the table says is to come, against what came. */
static bool
take_arguments(struct ctl_args *args, char **words, size_t len)
{
	const char *at = args->verb->arguments;
	char shape[32];
	size_t used = 0;

	args->arguments = words;
	while (ctl_verb_next_shape(&at, shape, sizeof shape)) {
		if (used == len && shape[0] == '[')
			continue;
		if (used == len)
			return wrong(args, "%s %s: %s is missing", args->verb->name,
				     args->verb->arguments, shape);
		if (strcmp(shape, "FILE") == 0) {
			set_body(args, CTL_BODY_FILE, words[used++]);
		} else if (shape[0] == '\'') {
			set_body(args, CTL_BODY_LINE, words[used++]);
		} else {
			size_t n = ends_with(shape, "...") ? len - used : 1;

			args->arguments_len += n;
			used += n;
		}
	}
	if (used < len)
		return wrong(args, "%s: '%s' is one argument too many", args->verb->name,
			     words[used]);
	if (args->arguments_len > CONTROL_ARGUMENTS_MAX)
		return wrong(args, "more than %d arguments", CONTROL_ARGUMENTS_MAX);
	return true;
}

static bool
check_options(struct ctl_args *args)
{
	const char *option = args->wait_ms > 0         ? "--wait"
			     : args->dry_run           ? "--dry-run"
			     : args->if_generation > 0 ? "--if-generation"
						       : NULL;
	const char *name = args->verb ? args->verb->name : "top";

	if (option && !(args->verb && args->verb->options & CONTROL_OPTION_MUTATES))
		return wrong(args, "%s makes no sense with %s", option, name);
	if ((args->client || args->older_ms > 0) &&
	    !(args->verb && args->verb->options & CONTROL_OPTION_SELECTS))
		return wrong(args, "%s makes no sense with %s",
			     args->client ? "--client" : "--older", name);
	if (args->ready && !(args->verb && strcmp(name, "health") == 0))
		return wrong(args, "--ready makes no sense with %s", name);
	if (!args->verb && args->json)
		return wrong(args, "top has no json: use stats");
	return true;
}

/* Of one noun; NULL = of all. */
static bool
take_help(struct ctl_args *args, const char *noun)
{
	args->action = CTL_ACTION_HELP;
	args->noun = noun && strcmp(noun, "top") != 0 ? noun : NULL;
	if (args->noun && !is_noun(args->noun))
		return wrong(args, "%s: no such noun", args->noun);
	return true;
}

static bool
take_words(struct ctl_args *args, char **words, size_t len)
{
	size_t taken;

	if (len == 0)
		return wrong(args, "no verb; relayctl --help lists them");
	/* What many type first. */
	if (strcmp(words[0], "help") == 0)
		return take_help(args, len > 1 ? words[1] : NULL);
	if (strcmp(words[0], "top") == 0) {
		args->action = CTL_ACTION_TOP;
		if (len > 1)
			return wrong(args, "top takes no argument");
		return check_options(args);
	}
	args->verb = ctl_verb_match(words, len, &taken);
	if (!args->verb && is_noun(words[0]) && len == 1)
		return wrong(args, "%s: a verb is missing; relayctl %s --help lists them", words[0],
			     words[0]);
	if (!args->verb && is_noun(words[0]))
		return wrong(args, "%s %s: no such verb; relayctl %s --help lists them", words[0],
			     words[1], words[0]);
	if (!args->verb)
		return wrong(args, "%s: no such noun; relayctl --help lists them", words[0]);
	return check_options(args) && take_arguments(args, words + taken, len - taken);
}

bool
ctl_args_parse(struct ctl_args *args, int argc, char **argv)
{
	memset(args, 0, sizeof *args);
	args->timeout_ms = TIMEOUT_MS;
	if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
		args->action = CTL_ACTION_COMPLETE;
		args->words = argv + 2;
		args->words_len = (size_t)argc - 2;
		return true;
	}
	if (!take_options(args, argc, argv))
		return false;
	if (args->action == CTL_ACTION_VERSION)
		return true;
	if (args->action == CTL_ACTION_HELP)
		return take_help(args, optind < argc ? argv[optind] : NULL);
	return take_words(args, argv + optind, (size_t)(argc - optind));
}

/* --- help */

/* "hosts show HOST" into `usage`; its length. */
static int
usage_of(const struct ctl_verb *verb, char *usage, size_t size)
{
	return snprintf(usage, size, "%s%s%s", verb->name, verb->arguments[0] != '\0' ? " " : "",
			verb->arguments);
}

static void
help_verb(FILE *out, const struct ctl_verb *verb, int width)
{
	char usage[USAGE_SIZE];

	usage_of(verb, usage, sizeof usage);
	fprintf(out, "  %-*s %c %-7s  %s\n", width, usage,
		verb->options & CONTROL_OPTION_MUTATES ? '*' : ' ', verb->role, verb->help);
}

void
ctl_args_help(FILE *out, const char *noun)
{
	static const struct ctl_verb top = { "top", ROLE_VIEW, "", 0,
					     "All of it on the screen, each second." };

	char usage[USAGE_SIZE];
	int width = 0;

	for (size_t i = 0; i < ctl_verbs_len; i++) {
		int len = usage_of(&ctl_verbs[i], usage, sizeof usage);

		width = len > width ? len : width;
	}
	if (!noun)
		fputs(intro, out);
	fprintf(out, "%s  %-*s   needs\n", noun ? "" : "\n", width, "verb");
	for (size_t i = 0; i < ctl_verbs_len; i++)
		if (!noun || ctl_verb_has_noun(&ctl_verbs[i], noun))
			help_verb(out, &ctl_verbs[i], width);
	if (!noun)
		help_verb(out, &top, width);
	fputs(noun ? "\n* takes --wait[=TIME], --dry-run, --if-generation N\n" : outro, out);
}
