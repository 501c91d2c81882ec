/*
 * ctl_complete.c - completion of relayctl's command line, made from the table of verbs and, for
 * what only the daemon knows, from its lists.
 *
 * Never waits longer than a second, never prints what a shell could not show: a name with a control
 * character in it is no candidate.  Owns nothing.
 */
#include "relay/ctl_complete.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/control_client.h"
#include "relay/ctl_args.h"
#include "relay/ctl_units.h"

#define ASK_MS 1000

static void
candidate(FILE *out, const char *text, size_t len, const char *prefix)
{
	if (strlen(prefix) <= len && strncmp(text, prefix, strlen(prefix)) == 0)
		fprintf(out, "%.*s\n", (int)len, text);
}

static void
candidates(FILE *out, const char *const *texts, const char *prefix)
{
	for (; *texts; texts++)
		candidate(out, *texts, strlen(*texts), prefix);
}

/* --- what the command line alone tells */

static void
complete_options(FILE *out, const char *prefix)
{
	for (const struct option *option = ctl_options; option->name; option++) {
		char text[32];
		int len = snprintf(text, sizeof text, "--%s", option->name);

		candidate(out, text, (size_t)len, prefix);
	}
}

static void
complete_nouns(FILE *out, const char *prefix)
{
	for (size_t i = 0; i < ctl_verbs_len; i++) {
		size_t len = strcspn(ctl_verbs[i].name, " ");

		/* The verbs of a noun stand together in the table. */
		if (i == 0 || strncmp(ctl_verbs[i - 1].name, ctl_verbs[i].name, len) != 0 ||
		    strcspn(ctl_verbs[i - 1].name, " ") != len)
			candidate(out, ctl_verbs[i].name, len, prefix);
	}
	candidate(out, "top", 3, prefix);
}

static void
complete_verbs(FILE *out, const char *noun, const char *prefix)
{
	for (size_t i = 0; i < ctl_verbs_len; i++) {
		const char *second = strchr(ctl_verbs[i].name, ' ');

		if (second && ctl_verb_has_noun(&ctl_verbs[i], noun))
			candidate(out, second + 1, strlen(second + 1), prefix);
	}
}

/* The option that takes the next word as its value, or NULL. */
static const struct option *
valued_option(const char *word)
{
	for (const struct option *option = ctl_options; option->name; option++) {
		bool is_short = option->val < 256 && word[0] == '-' && word[1] == option->val &&
				word[2] == '\0';
		bool is_long = strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0;

		if (option->has_arg == required_argument && (is_short || is_long))
			return option;
	}
	return NULL;
}

static enum ctl_complete
complete_value(FILE *out, const char *name, const char *prefix)
{
	static const char *const formats[] = { "table", "json", NULL };

	if (strcmp(name, "socket") == 0)
		return CTL_COMPLETE_FILE;
	if (strcmp(name, "output") == 0)
		candidates(out, formats, prefix);
	return CTL_COMPLETE_DONE;
}

/* The words that are no options or their values; how many. */
static size_t
plain_words(char **plain, size_t max, char **words, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < max; i++) {
		if (words[i][0] != '-' || words[i][1] == '\0')
			plain[n++] = words[i];
		else if (valued_option(words[i]))
			i++;
	}
	return n;
}

/* One argument of a verb, by its shape in the table. */
static enum ctl_complete
complete_argument(FILE *out, const char *shape, const char *prefix)
{
	static const struct {
		const char *word;
		enum ctl_complete what;
	} known[] = {
		{ "FILE", CTL_COMPLETE_FILE },       { "HOST", CTL_COMPLETE_HOST },
		{ "LINK", CTL_COMPLETE_LINK },       { "CLIENT", CTL_COMPLETE_CLIENT },
		{ "NAME", CTL_COMPLETE_MESSAGE },    { "MESSAGE", CTL_COMPLETE_STORED },
		{ "SERVICE", CTL_COMPLETE_SERVICE }, { "CALL", CTL_COMPLETE_CALL },
	};

	static const char *const levels[] = { "error", "warning", "info", "debug", NULL };

	if (strstr(shape, "LEVEL"))
		candidates(out, levels, prefix);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strstr(shape, known[i].word))
			return known[i].what;
	return CTL_COMPLETE_DONE;
}

static enum ctl_complete
complete_plain(FILE *out, char **plain, size_t n, const char *prefix)
{
	const struct ctl_verb *verb;
	const char *at;
	char shape[32];
	size_t taken;

	if (n == 0) {
		complete_nouns(out, prefix);
		return CTL_COMPLETE_DONE;
	}
	verb = ctl_verb_match(plain, n, &taken);
	if (!verb) {
		if (n == 1)
			complete_verbs(out, plain[0], prefix);
		return CTL_COMPLETE_DONE;
	}
	at = verb->arguments;
	for (size_t i = taken; ctl_verb_next_shape(&at, shape, sizeof shape); i++)
		if (i == n)
			return complete_argument(out, shape, prefix);
	return CTL_COMPLETE_DONE;
}

enum ctl_complete
ctl_complete_words(FILE *out, char **words, size_t len, const char **prefix)
{
	char *plain[8];
	const struct option *option = len > 1 ? valued_option(words[len - 2]) : NULL;
	size_t n;

	*prefix = len > 0 ? words[len - 1] : "";
	if (option)
		return complete_value(out, option->name, *prefix);
	for (option = ctl_options; option->name; option++) {
		size_t name_len = strlen(option->name);

		if (strncmp(*prefix, "--", 2) == 0 &&
		    strncmp(*prefix + 2, option->name, name_len) == 0 &&
		    (*prefix)[2 + name_len] == '=') {
			*prefix += 2 + name_len + 1;
			return complete_value(out, option->name, *prefix);
		}
	}
	if ((*prefix)[0] == '-') {
		complete_options(out, *prefix);
		return CTL_COMPLETE_DONE;
	}
	n = plain_words(plain, sizeof plain / sizeof plain[0], words, len > 0 ? len - 1 : 0);
	return complete_plain(out, plain, n, *prefix);
}

/* --- what the daemon tells */

static const char *
verb_of(enum ctl_complete what)
{
	switch (what) {
	case CTL_COMPLETE_HOST:
		return "hosts list";
	case CTL_COMPLETE_LINK:
		return "links list";
	case CTL_COMPLETE_CLIENT:
		return "clients list";
	case CTL_COMPLETE_MESSAGE:
		return "delayed list";
	case CTL_COMPLETE_STORED:
		return "messages list";
	case CTL_COMPLETE_SERVICE:
		return "services list";
	case CTL_COMPLETE_CALL:
		return "calls list";
	case CTL_COMPLETE_DONE:
	case CTL_COMPLETE_FILE:
		break;
	}
	return NULL;
}

/* The name of a row; NULL = there are no more. */
static const char *
name_at(const Relay__Control__Reply *reply, size_t i)
{
	switch (reply->body_case) {
	case RELAY__CONTROL__REPLY__BODY_HOSTS:
		return i < reply->hosts->n_host ? reply->hosts->host[i]->id : NULL;
	case RELAY__CONTROL__REPLY__BODY_LINKS:
		return i < reply->links->n_link ? reply->links->link[i]->id : NULL;
	case RELAY__CONTROL__REPLY__BODY_CLIENTS:
		return i < reply->clients->n_client ? reply->clients->client[i]->id : NULL;
	case RELAY__CONTROL__REPLY__BODY_DELAYED:
		return i < reply->delayed->n_message ? reply->delayed->message[i]->name : NULL;
	case RELAY__CONTROL__REPLY__BODY_MESSAGES:
		return i < reply->messages->n_message ? reply->messages->message[i]->name : NULL;
	case RELAY__CONTROL__REPLY__BODY_SERVICES:
		return i < reply->services->n_service ? reply->services->service[i]->name : NULL;
	case RELAY__CONTROL__REPLY__BODY_CALLS:
		return i < reply->calls->n_call ? reply->calls->call[i]->id : NULL;
	case RELAY__CONTROL__REPLY__BODY_GATEWAYS:
		return i < reply->gateways->n_gateway ? reply->gateways->gateway[i]->name : NULL;
	default: /* an error, or what was not asked for */
		return NULL;
	}
}

static void
print_names(FILE *out, const Relay__Control__Reply *reply, const char *prefix)
{
	const char *name;

	for (size_t i = 0; (name = name_at(reply, i)) != NULL; i++) {
		char *clean = ctl_clean(name, strlen(name), false);

		if (clean && strcmp(clean, name) == 0)
			candidate(out, name, strlen(name), prefix);
		free(clean);
	}
}

void
ctl_complete_ask(FILE *out, const char *socket, enum ctl_complete what, const char *prefix)
{
	struct control_client client = { .fd = -1 };
	struct control_answer answer = { .reply = NULL };
	Relay__Control__Request request;
	uint64_t deadline_ms = control_client_clock_ms() + ASK_MS;
	const char *verb = verb_of(what);

	assert(verb);
	relay__control__request__init(&request);
	request.verb = (char *)(uintptr_t)verb; /* not written to */
	if (control_answer_init(&answer) &&
	    control_client_open(&client, socket, deadline_ms) == CONTROL_CLIENT_OK &&
	    control_client_ask(&client, &request, &answer, deadline_ms) == CONTROL_CLIENT_OK)
		print_names(out, answer.reply, prefix);
	control_client_close(&client);
	control_answer_fini(&answer);
}
