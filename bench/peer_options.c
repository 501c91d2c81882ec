/*
 * peer_options.c - the command line of relay-peer: reads it, checks it, explains it.
 */
#include "bench/peer_options.h"

#include "bench/address.h"
#include "bench/number.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTION_MAX 4096 /* bytes of an id, a challenge, a build key */

enum {
	OPT_TRICK = 1000, /* + enum trick */
	OPT_REFUSE_FIRST = 2000,
	OPT_RATE,
	OPT_CLOSE_IDLE,
	OPT_CLOSE_AFTER,
	OPT_LISTEN,
	OPT_PROTOCOL,
	OPT_ID,
	OPT_LOCAL,
	OPT_CHALLENGE,
	OPT_BUILD_KEY,
	OPT_TRICKS,
	OPT_REFUSE,
	OPT_TRANSCRIPT,
	OPT_STATS,
	OPT_HELP,
};

static const struct {
	const char *text;
	const char *help;
} refusal_forms[] = {

#define X(name, text, help) { text, help },
	PEER_REFUSALS(X)
#undef X
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "protocol", required_argument, NULL, OPT_PROTOCOL },
	{ "id", required_argument, NULL, OPT_ID },
	{ "local", required_argument, NULL, OPT_LOCAL },
	{ "challenge", required_argument, NULL, OPT_CHALLENGE },
	{ "build-key", required_argument, NULL, OPT_BUILD_KEY },
	{ "transcript", required_argument, NULL, OPT_TRANSCRIPT },
	{ "stats", no_argument, NULL, OPT_STATS },
	{ "tricks", no_argument, NULL, OPT_TRICKS },
	{ "refuse", required_argument, NULL, OPT_REFUSE },
	{ "refuse-first", required_argument, NULL, OPT_REFUSE_FIRST },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "close-idle", required_argument, NULL, OPT_CLOSE_IDLE },
	{ "close-after", required_argument, NULL, OPT_CLOSE_AFTER },
	{ "help", no_argument, NULL, OPT_HELP },
#define X(name, text, unit, max, help) \
	{ text, (unit) != NULL ? required_argument : no_argument, NULL, OPT_TRICK + name },
	PEER_TRICKS(X)
#undef X
	    { NULL, 0, NULL, 0 }
};

static void
print_help(void)
{
	fputs(
	    "usage: relay-peer --listen ADDR:PORT --id REMOTEID --local LOCALID [option ...]\n\n"
	    "A small lond: plays the server of the lonc protocol, answers requests that can be "
	    "foretold, and\n"
	    "misbehaves on demand.  Prints `listening ADDR:PORT` when ready; TERM or INT end "
	    "it.\n\n"
	    "  --listen ADDR:PORT   127.0.0.1:PORT or [::1]:PORT; port 0: any free one; or the "
	    "path of a\n"
	    "                       UNIX socket that is not there yet; once or more\n"
	    "  --protocol NAME      what it speaks: lond (the default); bare: the same lines "
	    "without "
	    "handshake;\n"
	    "                       redis: the request is the last argument of any command\n"
	    "  --id REMOTEID        the host id this peer answers for\n"
	    "  --local LOCALID      the host id of the relay (goes into the key)\n"
	    "  --challenge TEXT     instead of a random one per connection\n"
	    "  --build-key TEXT     instead of a random one per connection\n"
	    "  --transcript FILE    appends every byte both ways, one line per line: `CONN > "
	    "received`,\n"
	    "                       `CONN < sent`, `CONN * event`; unprintable bytes and \\ as "
	    "\\xHH; a line that\n"
	    "                       does not end in \\x0a was cut off\n"
	    "  --stats              at the end: requests, connections, CPU per request (stderr)\n\n"
	    "requests (any other line is answered `unknown_cmd`):\n"
	    "  ping                 REMOTEID\n"
	    "  pong                 REMOTEID:relay-peer\n"
	    "  ekey                 the build key again\n"
	    "  exit                 `bye`, then closes\n"
	    "  echo:X               re:X\n"
	    "  size:N               N bytes of a fixed pattern\n"
	    "  fill:N:X             N bytes that begin with X; the rest depends on X\n"
	    "  enc:n:hex            any of these encrypted, answered likewise\n\n"
	    "tricks, for all requests; with --tricks also for one, as a prefix `name:` or "
	    "`name:VALUE:`\n"
	    "(prefixes add up: delay:50:half:echo:hello):\n",
	    stdout);
	for (size_t i = 0; i < TRICK_COUNT; i++) {
		const struct trick_form *f = &trick_forms[i];
		printf("  --%-11s %-6s %s\n", f->text, f->unit == NULL ? "" : f->unit, f->help);
	}
	fputs("\nthe connection:\n"
	      "  --rate N             serves at most N requests per second, all connections "
	      "together\n"
	      "  --close-idle MS      closes a connection without traffic for MS\n"
	      "  --close-after N      closes a connection after its Nth reply\n"
	      "  --refuse-first N     only the first N connections meet --refuse\n"
	      "  --refuse KIND        spoils the handshake:\n",
	      stdout);
	for (size_t i = 0; i < sizeof refusal_forms / sizeof refusal_forms[0]; i++)
		printf("      %-16s %s\n", refusal_forms[i].text, refusal_forms[i].help);
}

static uint64_t
number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value;

	if (!number_parse(wire_span_str(text), max, &value) || value < min)
		errx(2, "--%s: \"%s\" is not a number from %lu to %lu", option, text, min, max);
	return value;
}

static const char *
line_text(const char *option, const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max || strchr(text, '\n') != NULL)
		errx(2, "--%s: must be one line of 1 to %zu bytes", option, max);
	return text;
}

static enum refusal
refusal(const char *text)
{
	for (size_t i = 0; i < sizeof refusal_forms / sizeof refusal_forms[0]; i++)
		if (strcmp(text, refusal_forms[i].text) == 0)
			return (enum refusal)i;
	errx(2, "--refuse: no kind \"%s\" (see --help)", text);
}

static void
add_listen(struct peer_options *o)
{
	if (o->listen_count == PEER_LISTEN_MAX)
		errx(2, "--listen: at most %d addresses", PEER_LISTEN_MAX);
	struct peer_listen *l = &o->listen[o->listen_count++];
	bool good = optarg[0] == '/' ? address_of_path(optarg, &l->address, &l->len)
				     : address_parse(optarg, &l->address, &l->len);
	if (!good)
		errx(2, "--listen: \"%s\" is neither ADDR:PORT nor the path of a UNIX socket",
		     optarg);
}

static void
set_trick(struct peer_options *o, enum trick trick, const char *value)
{
	const struct trick_form *f = &trick_forms[trick];

	tricks_set(&o->tricks, trick, f->unit == NULL ? 1 : number(f->text, value, 0, f->max));
}

static void
set_option(struct peer_options *o, int opt)
{
	switch (opt) {
	case OPT_LISTEN:
		add_listen(o);
		break;
	case OPT_PROTOCOL:
		if (!protocol_parse(optarg, &o->protocol))
			errx(2, "--protocol: no \"%s\" (see --help)", optarg);
		break;
	case OPT_ID:
		o->id = line_text("id", optarg, OPTION_MAX / 2);
		break;
	case OPT_LOCAL:
		o->local = line_text("local", optarg, OPTION_MAX);
		break;
	case OPT_CHALLENGE:
		o->challenge = line_text("challenge", optarg, OPTION_MAX);
		break;
	case OPT_BUILD_KEY:
		o->build_key = line_text("build-key", optarg, OPTION_MAX);
		break;
	case OPT_TRANSCRIPT:
		o->transcript = optarg;
		break;
	case OPT_STATS:
		o->stats = true;
		break;
	case OPT_TRICKS:
		o->prefixes = true;
		break;
	case OPT_REFUSE:
		o->refusal = refusal(optarg);
		break;
	case OPT_REFUSE_FIRST:
		o->refuse_first = number("refuse-first", optarg, 1, UINT32_MAX);
		break;
	case OPT_RATE:
		o->rate = number("rate", optarg, 1, PEER_RATE_MAX);
		break;
	case OPT_CLOSE_IDLE:
		o->close_idle_ms = number("close-idle", optarg, 1, PEER_MS_MAX);
		break;
	case OPT_CLOSE_AFTER:
		o->close_after = number("close-after", optarg, 1, UINT32_MAX);
		break;
	case OPT_HELP:
		print_help();
		exit(0);
	default:
		if (opt < OPT_TRICK || opt >= OPT_TRICK + TRICK_COUNT)
			errx(2, "try --help");
		set_trick(o, (enum trick)(opt - OPT_TRICK), optarg);
	}
}

void
peer_options_parse(struct peer_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct peer_options){ .refuse_first = UINT64_MAX };
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(o, opt);
	if (optind != argc)
		errx(2, "unexpected argument \"%s\"; try --help", argv[optind]);
	if (o->listen_count == 0 || o->id == NULL || o->local == NULL)
		errx(2, "--listen, --id and --local are needed; try --help");
}
