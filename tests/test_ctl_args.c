/*
 * test_ctl_args.c - relayctl's command line: what is taken, what is refused before anything is
 * sent, help and completion.
 */
#include "relay/ctl_args.h"
#include "relay/ctl_complete.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct ctl_args args;
static char words[32][128];
static char *argv_of[33];

/* Words apart by blanks; '_' stands for a blank inside a word. */
static bool
parse(const char *line)
{
	int n = 0;

	argv_of[n++] = strcpy(words[0], "relayctl");
	while (*line) {
		size_t len = strcspn(line, " ");

		snprintf(words[n], sizeof words[n], "%.*s", (int)len, line);
		for (char *at = words[n]; *at; at++)
			if (*at == '_')
				*at = ' ';
		argv_of[n] = words[n];
		n++;
		line += len + strspn(line + len, " ");
	}
	argv_of[n] = NULL;
	return ctl_args_parse(&args, n, argv_of);
}

Test(ctl_args, takes_verbs_with_their_arguments)
{
	cr_assert(parse("info"));
	cr_assert_str_eq(args.verb->name, "info");
	cr_assert_eq(args.arguments_len, 0);
	cr_assert_eq(args.timeout_ms, 5000);
	cr_assert(parse("hosts show msul1"));
	cr_assert_str_eq(args.verb->name, "hosts show");
	cr_assert_eq(args.arguments_len, 1);
	cr_assert_str_eq(args.arguments[0], "msul1");
	cr_assert(parse("links list"));
	cr_assert(parse("links list msul1"));
	cr_assert_eq(args.arguments_len, 1);
	cr_assert(parse("hosts apply -"));
	cr_assert_eq(args.body_kind, CTL_BODY_FILE);
	cr_assert_str_eq(args.body, "-");
	cr_assert_eq(args.arguments_len, 0);
	cr_assert(parse("request msul1 get:a_b"));
	cr_assert_eq(args.body_kind, CTL_BODY_LINE);
	cr_assert_str_eq(args.body, "get:a b");
	cr_assert_eq(args.arguments_len, 1);
	cr_assert(parse("request msul1 -- -x"));
	cr_assert_str_eq(args.body, "-x");
}

Test(ctl_args, takes_options_anywhere)
{
	cr_assert(
	    parse("--socket /s -o json hosts pause h --wait=1500ms --if-generation 7 --dry-run"));
	cr_assert_str_eq(args.socket, "/s");
	cr_assert(args.json);
	cr_assert(args.dry_run);
	cr_assert_eq(args.wait_ms, 1500);
	cr_assert_eq(args.if_generation, 7);
	cr_assert_str_eq(args.arguments[0], "h");
	cr_assert(parse("stop --wait --timeout 2m"));
	cr_assert_eq(args.wait_ms, 60000);
	cr_assert_eq(args.timeout_ms, 120000);
	cr_assert(parse("top"));
	cr_assert_eq(args.action, CTL_ACTION_TOP);
	cr_assert(parse("--version"));
	cr_assert_eq(args.action, CTL_ACTION_VERSION);
}

Test(ctl_args, refuses_what_makes_no_sense_and_names_it)
{
	static const struct {
		const char *line;
		const char *error;
	} cases[] = {
		{ "", "no verb" },
		{ "hosts", "hosts: a verb is missing; relayctl hosts --help" },
		{ "help frob", "frob: no such noun" },
		{ "hosts frobnicate", "no such verb" },
		{ "host list", "no such noun" },
		{ "hosts show", "HOST is missing" },
		{ "hosts apply", "FILE is missing" },
		{ "request h", "'LINE' is missing" },
		{ "hosts show a b", "'b' is one argument too many" },
		{ "info --wait", "--wait makes no sense with info" },
		{ "hosts list --dry-run", "--dry-run makes no sense" },
		{ "top --if-generation 3", "--if-generation makes no sense" },
		{ "top now", "no argument" },
		{ "top -o json", "no json" },
		{ "info -o xml", "table or json" },
		{ "info --timeout 0", "--timeout 0" },
		{ "info --timeout soon", "--timeout soon" },
		{ "stop --wait=-1s", "--wait=-1s" },
		{ "stop --if-generation 0", "number from 1" },
		{ "stop --if-generation 12x", "number from 1" },
		{ "info --frob", "--frob: no such option" },
		{ "info --socket", "--socket takes a value" },
		{ "frob --help", "frob: no such noun" },
		{ "messages list --client 2a", "--client makes no sense with messages list" },
		{ "top --older 1h", "--older makes no sense with top" },
		{ "info --ready", "--ready makes no sense with info" },
		{ "top --ready", "--ready makes no sense with top" },
		{ "messages drop --older 0s", "--older 0s" },
		{ "messages drop --older 3651d", "--older 3651d" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cr_assert_not(parse(cases[i].line), "%s", cases[i].line);
		cr_assert_not_null(strstr(args.error, cases[i].error), "%s: %s", cases[i].line,
				   args.error);
	}
}

Test(ctl_args, which_messages)
{
	cr_assert(parse("messages drop --older 30d"));
	cr_assert_eq(args.older_ms, UINT64_C(30) * 86400000);
	cr_assert_null(args.client);
	cr_assert(parse("messages drop --client 2a"));
	cr_assert_str_eq(args.client, "2a");
	cr_assert_eq(args.older_ms, 0u);
	cr_assert(parse("messages drop 17"));
	cr_assert_eq(args.arguments_len, 1u);
}

Test(ctl_args, whether_it_serves)
{
	cr_assert(parse("health"));
	cr_assert_not(args.ready);
	cr_assert(parse("health --ready"));
	cr_assert(args.ready);
}

Test(ctl_args, reads_times)
{
	uint64_t ms = 0;

	cr_assert(ctl_args_duration("5", &ms) && ms == 5000);
	cr_assert(ctl_args_duration("250ms", &ms) && ms == 250);
	cr_assert(ctl_args_duration("24h", &ms) && ms == 86400000);
	cr_assert_not(ctl_args_duration("25h", &ms));
	cr_assert_not(ctl_args_duration("", &ms));
	cr_assert_not(ctl_args_duration("s", &ms));
	cr_assert_not(ctl_args_duration(" 5s", &ms));
	cr_assert_not(ctl_args_duration("5 s", &ms));
	cr_assert_not(ctl_args_duration("99999999999999999999ms", &ms));
}

static char *
help_of(const char *noun)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ctl_args_help(out, noun);
	fclose(out);
	return text;
}

Test(ctl_args, helps_with_every_verb_or_those_of_a_noun)
{
	char *all = help_of(NULL);
	char *links = help_of("links");

	cr_assert(parse("help"));
	cr_assert(args.action == CTL_ACTION_HELP && !args.noun);
	cr_assert(parse("help links"));
	cr_assert(args.action == CTL_ACTION_HELP && strcmp(args.noun, "links") == 0);
	cr_assert(parse("links --help"));
	cr_assert_eq(args.action, CTL_ACTION_HELP);
	cr_assert_str_eq(args.noun, "links");
#define VERB(name, role, handler, arguments, options, help)    \
	cr_assert_not_null(strstr(all, name " "), "%s", name); \
	cr_assert_not_null(strstr(all, help), "%s", name);
#include "relay/control_verbs.def"
#undef VERB
	cr_assert_not_null(strstr(links, "links kill LINK"));
	cr_assert_not_null(strstr(links, "operate"));
	cr_assert_null(strstr(links, "clients"));
	free(all);
	free(links);
}

/* What is printed; FILE, HOST and so on with the prefix when others are to be asked. */
static const char *
complete(const char *line)
{
	static char result[4096];
	const char *prefix = NULL;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	static const char *const who[] = { "", "FILE:", "HOST:", "LINK:", "CLIENT:", "MESSAGE:" };
	enum ctl_complete what;

	cr_assert(parse(line));
	/* A blank cannot be a word of the line: '_' became one. */
	if (args.words_len > 0 && strcmp(args.words[args.words_len - 1], " ") == 0)
		args.words[args.words_len - 1][0] = '\0';
	what = ctl_complete_words(out, args.words, args.words_len, &prefix);
	fclose(out);
	snprintf(result, sizeof result, "%s%s%s", text, who[what],
		 what == CTL_COMPLETE_DONE ? "" : prefix);
	free(text);
	return result;
}

Test(ctl_args, completes_nouns_verbs_and_hosts)
{
	cr_assert_str_eq(complete("--complete l"), "limits\nlinks\nlog\n");
	cr_assert_not_null(strstr(complete("--complete"), "hosts\nlinks\n"));
	cr_assert_str_eq(complete("--complete t"), "top\n");
	cr_assert_str_eq(complete("--complete hosts re"), "resume\nreconnect\n");
	cr_assert_str_eq(complete("--complete hosts show m"), "HOST:m");
	cr_assert_str_eq(complete("--complete hosts show _"), "HOST:");
	cr_assert_str_eq(complete("--complete -o json stats m"), "HOST:m");
	cr_assert_str_eq(complete("--complete --socket /x links list m"), "HOST:m");
	cr_assert_str_eq(complete("--complete hosts show msul1 x"), "");
	cr_assert_str_eq(complete("--complete hosts apply x"), "FILE:x");
	cr_assert_str_eq(complete("--complete hosts list x"), "");
	cr_assert_str_eq(complete("--complete links kill 0."), "LINK:0.");
	cr_assert_str_eq(complete("--complete clients kill _"), "CLIENT:");
	cr_assert_str_eq(complete("--complete delayed show 1"), "MESSAGE:1");
	cr_assert_str_eq(complete("--complete log level _"), "error\nwarning\ninfo\ndebug\n");
	cr_assert_str_eq(complete("--complete request msul1 x"), "");
	cr_assert_str_eq(complete("--complete nonsense x"), "");
	cr_assert_str_eq(complete("--complete hosts list --s"), "--socket\n");
}

Test(ctl_args, completes_values_of_options)
{
	cr_assert_str_eq(complete("--complete -o _"), "table\njson\n");
	cr_assert_str_eq(complete("--complete hosts --output j"), "json\n");
	cr_assert_str_eq(complete("--complete --output=t"), "table\n");
	cr_assert_str_eq(complete("--complete --socket=/r"), "FILE:/r");
	cr_assert_str_eq(complete("--complete -s _"), "FILE:");
	cr_assert_str_eq(complete("--complete -t _"), "");
	cr_assert_str_eq(complete("--complete --if-generation _"), "");
	cr_assert_str_eq(complete("--complete --wait inf"), "info\n");
	cr_assert_str_eq(complete("--complete --socket=/x hosts sh"), "show\n");
}
