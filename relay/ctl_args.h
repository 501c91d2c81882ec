/*
 * ctl_args.h - the command line of relayctl: options, verbs and their arguments, help.
 *
 * All it knows of verbs is control_verbs.def.  Prints nothing by itself but where it is told to.
 */
#ifndef RELAY_CTL_ARGS_H
#define RELAY_CTL_ARGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct ctl_verb {
	const char *name;
	const char *role; /* "view", "operate", "admin" */
	const char *arguments;
	unsigned options; /* enum control_option */
	const char *help;
};

/* All of them; the verbs of a noun stand together. */
extern const struct ctl_verb ctl_verbs[];
extern const size_t ctl_verbs_len;
extern const struct option ctl_options[]; /* for getopt_long */

enum ctl_action {
	CTL_ACTION_VERB,
	CTL_ACTION_TOP,
	CTL_ACTION_HELP,
	CTL_ACTION_VERSION,
	CTL_ACTION_COMPLETE,
};

enum ctl_body {
	CTL_BODY_NONE,
	CTL_BODY_FILE, /* the contents of `body` */
	CTL_BODY_LINE, /* `body` itself */
};

struct ctl_args {
	enum ctl_action action;
	const char *socket; /* NULL = not said */
	uint64_t timeout_ms;
	bool json;
	bool dry_run;
	uint64_t if_generation;      /* 0 = not said */
	uint32_t wait_ms;            /* likewise */
	const char *client;          /* NULL = not said */
	uint64_t older_ms;           /* 0 = not said */
	bool ready;                  /* of health: only whether it serves */
	const struct ctl_verb *verb; /* ACTION_VERB */
	const char *noun;            /* ACTION_HELP: of these verbs; NULL = all */
	char **arguments;            /* views into argv, without what becomes the body */
	size_t arguments_len;
	enum ctl_body body_kind;
	const char *body;
	char **words; /* ACTION_COMPLETE: what was typed, the last one to be completed */
	size_t words_len;
	char error[256];
};

/* argv[0] is the program.  Reorders argv.  False: error says why. */
bool ctl_args_parse(struct ctl_args *args, int argc, char **argv);

/* "500ms", "5s", "2m", "1h", "5" (seconds): at most a day.  False: it is none. */
bool ctl_args_duration(const char *text, uint64_t *ms);

/* The verb that the words begin with, and how many of them it takes; NULL = there is none. */
const struct ctl_verb *ctl_verb_match(char **words, size_t len, size_t *taken);

/* Whether `noun` is the first word of the verb. */
bool ctl_verb_has_noun(const struct ctl_verb *verb, const char *noun);

/* One word of a verb's `arguments`, moved past; false at the end. */
bool ctl_verb_next_shape(const char **at, char *shape, size_t size);

/* Help of all, or of the verbs of one noun. */
void ctl_args_help(FILE *out, const char *noun);

#endif
