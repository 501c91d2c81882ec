/*
 * prefork_client_args.h - the command line of relay-prefork, which is that of prefork-interp.
 *
 *   relay-prefork [OPTION]... INTERPRETER [SCRIPT [ARGUMENT]...]
 *   relay-prefork [OPTION,]...INTERPRETER  SCRIPT [ARGUMENT]...     what #! gives: one argument
 *
 * The second form: a first argument that begins with '-' and has a space in it, or a comma if it
 * has none.  What begins with '-' up to the next one is an option, the rest is the interpreter.
 *
 * Source: prefork-interp 7.0.0, as documented and as observed.  Prints nothing by itself.
 */
#ifndef RELAY_PREFORK_CLIENT_ARGS_H
#define RELAY_PREFORK_CLIENT_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#define PREFORK_EXIT_FAILED 127
/* The original ends so when it does not understand its options: exit(-1). */
#define PREFORK_EXIT_USAGE 255

enum prefork_action {
	PREFORK_CALL,
	PREFORK_FRESH, /* -f */
	PREFORK_KILL,
	PREFORK_HELP,
	PREFORK_VERSION,
};

/* -E NAME or -G STRING: what the ident is made of, in this order. */
struct prefork_item {
	char option;
	const char *text;
};

struct prefork_args {
	enum prefork_action action;
	const char *ident;  /* NULL = to be computed */
	const char *socket; /* NULL = of the ident */
	struct prefork_item *items;
	size_t items_len;
	char **command; /* interpreter, script, arguments, NULL; never empty after PREFORK_CALL */
	int exit_code;  /* if it cannot be understood */
	char error[160];

	char **words;   /* what the texts above are views into, but for argv: */
	char *combined; /* the argument that held several, cut */
};

/* Views into argv, which must stay.  False: error and exit_code; *args is to be freed all the same.
 */
bool prefork_args_parse(struct prefork_args *args, int argc, char **argv);

void prefork_args_fini(struct prefork_args *args);

#endif
