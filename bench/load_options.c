/*
 * load_options.c - the command line of `relay-bench load`.
 */
#include "bench/load.h"

#include "bench/address.h"
#include "bench/clock.h"
#include "bench/load_udp.h"
#include "bench/number.h"
#include "bench/option.h"
#include "wire/enc.h"

#include <err.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#define ASKS_MAX    ((uint64_t)1 << 24)
#define CLIENTS_MAX 1000000
#define COUNT_MAX   (UINT64_C(1) << 48)
#define PARTS_MAX   100000
#define SECONDS_MAX 86400

static const char help[] =
    "usage: relay-bench load --unix PATH | --tcp ADDR:PORT | --udp ADDR:PORT --host NAME [option "
    "...]\n\n"
    "Asks and compares every reply byte for byte with the one that is right.  In the closed loop "
    "each "
    "client keeps\n"
    "--depth requests in flight; in the open loop (--rate) requests are due at a fixed rhythm, and "
    "the "
    "latency counts\n"
    "from the moment a request was due, whether or not a client had room for it.\n"
    "The other end must be a relay-peer, or a relay in front of one.\n\n"
    "  --unix PATH          the socket of a host of the relay; once or more: clients are dealt out "
    "in "
    "turn\n"
    "  --tcp ADDR:PORT      relay-peer itself: 127.0.0.1:PORT or [::1]:PORT; once or more\n"
    "  --udp ADDR:PORT      a UDP socket of the relay\n"
    "  --host NAME          the host that is asked over --udp; once or more: clients are dealt out "
    "in "
    "turn\n"
    "  --keys FILE          over --udp: ids and keys of the clients, sealed; else not sealed, ids "
    "are "
    "1, 2 ...\n"
    "  --sockets N          over --udp: all clients share N sockets (one each)\n"
    "  --datagram-bytes N   over --udp: the longest datagram that is taken (1232)\n"
    "  --protocol NAME      lond: lines, over --tcp behind a lond's handshake (the default); bare: "
    "lines, no\n"
    "                       handshake; redis: the same lines as GET (longer ones GETSET)\n"
    "  --clients N          connections that ask (50)\n"
    "  --depth N            requests in flight on each, at most (1)\n"
    "  --rate N             open loop: N requests per second, all clients together\n"
    "  --requests N         ends after N requests; or\n"
    "  --seconds S          ends after S seconds (5)\n"
    "  --warmup S           asks for S seconds before it measures (0)\n"
    "  --parts N            measures N times so long, each time (warm-up included) when a byte "
    "comes on stdin;\n"
    "                       says \"done I\" on stdout before the first and after each\n"
    "  --request-bytes N    of the plain request line without LF and `encrypt:` (32)\n"
    "  --reply-bytes N      of the plain reply line without LF (64)\n"
    "  --encrypt PERCENT    of the requests encrypted (0); over --tcp it needs --id and --local\n"
    "  --id REMOTEID        host id of the peer\n"
    "  --local LOCALID      host id of the relay\n"
    "  --idle N             additionally N connections that ask nothing (0)\n"
    "  --connect-per N      a new connection after N requests, its making counted in the latency "
    "(0 = never)\n"
    "  --settle S           rest between connecting and asking (0.2 with --idle, else 0)\n"
    "  --timeout S          no reply at all for S seconds is a failure (30)\n"
    "  --seed N             other requests (1)\n"
    "  --strict             con_lost, ended connections and refusals fail the run too\n"
    "  --relay-pid PID,...  meters these processes as the relay; once or more\n"
    "  --peer-pid PID,...   meters these processes as the peer; once or more\n"
    "  --hook COMMAND       runs COMMAND begin and COMMAND end around the measured window\n"
    "  --progress           a line on stderr every second\n"
    "  --json FILE          also writes the result as JSON; - is stdout, and the table goes to "
    "stderr\n\n"
    "Exit status: 0 = every reply was right; 1 = a wrong one, none at all, or a stall; 2 = "
    "usage.\n";

static void
set_unix(struct load_target *target)
{
	if (*optarg == '\0' || !address_of_path(optarg, &target->address, &target->address_len))
		errx(2, "--unix: a path of 1 to %zu bytes",
		     sizeof((struct sockaddr_un *)0)->sun_path - 1);
}

static void
add_target(struct load_options *o, bool tcp)
{
	struct load_target *target = &o->targets[o->target_count];

	if (o->udp || (o->target_count > 0 && o->tcp != tcp))
		errx(2, "either --unix or --tcp or --udp");
	if (o->target_count++ == LOAD_TARGETS_MAX)
		errx(2, "at most %d targets", LOAD_TARGETS_MAX);
	target->name = optarg;
	o->tcp = tcp;
	if (!tcp)
		set_unix(target);
	else if (!address_parse(optarg, &target->address, &target->address_len))
		errx(2, "--tcp: \"%s\" is not ADDR:PORT", optarg);
}

static void
add_unix(struct load_options *o)
{
	add_target(o, false);
}

static void
add_tcp(struct load_options *o)
{
	add_target(o, true);
}

static void
set_udp(struct load_options *o)
{
	if (o->udp || (o->target_count > 0 && o->targets[0].address_len != 0))
		errx(2, "either --unix or --tcp or --udp, which is there once");
	if (!address_parse(optarg, &o->udp_address, &o->udp_address_len))
		errx(2, "--udp: \"%s\" is not ADDR:PORT", optarg);
	o->udp = true;
}

/* A target without an address. */
static void
add_host(struct load_options *o)
{
	size_t len = strlen(optarg);

	if (len == 0 || len > DATAGRAM_HOST_MAX)
		errx(2, "--host: a name of 1 to %d bytes", DATAGRAM_HOST_MAX);
	if (o->target_count == LOAD_TARGETS_MAX)
		errx(2, "at most %d targets", LOAD_TARGETS_MAX);
	o->targets[o->target_count++].name = optarg;
}

static void
add_processes(struct load_options *o, enum load_group group)
{
	const char *at = optarg;
	uint64_t pid;

	for (;;) {
		size_t n = strcspn(at, ",");
		if (!number_parse(wire_span(at, n), INT32_MAX, &pid) || pid == 0)
			errx(2, "\"%s\" is not PID[,PID]", optarg);
		if (o->process_count == LOAD_PIDS_MAX)
			errx(2, "at most %d processes can be metered", LOAD_PIDS_MAX);
		o->processes[o->process_count++] = (struct load_process){ (pid_t)pid, group };
		if (at[n] == '\0')
			return;
		at += n + 1;
	}
}

static void
add_relay(struct load_options *o)
{
	add_processes(o, LOAD_RELAY);
}

static void
add_peer(struct load_options *o)
{
	add_processes(o, LOAD_PEER);
}

static void
set_protocol(struct load_options *o)
{
	if (!protocol_parse(optarg, &o->protocol))
		errx(2, "--protocol: no \"%s\"; try --help", optarg);
}

static void
print_help(struct load_options *o)
{
	(void)o;
	fputs(help, stdout);
	exit(0);
}

/* What an option's value is, and the type of the field that it goes to. */
enum option_kind {
	OPTION_FLAG,    /* bool; no value */
	OPTION_TEXT,    /* const char *, a view into the arguments */
	OPTION_NUMBER,  /* uint64_t from min to max */
	OPTION_SECONDS, /* uint64_t, in ns */
	OPTION_ACTION,  /* with a value, and act() */
	OPTION_COMMAND, /* without, and act() */
};

struct option_form {
	const char *name;
	enum option_kind kind;
	size_t field; /* its place in struct load_options */
	uint64_t min;
	uint64_t max;
	void (*act)(struct load_options *o);
};

#define FIELD(name) .field = offsetof(struct load_options, name)

static const struct option_form forms[] = {
	{ "unix", OPTION_ACTION, .act = add_unix },
	{ "tcp", OPTION_ACTION, .act = add_tcp },
	{ "udp", OPTION_ACTION, .act = set_udp },
	{ "host", OPTION_ACTION, .act = add_host },
	{ "keys", OPTION_TEXT, FIELD(keys) },
	{ "sockets", OPTION_NUMBER, FIELD(sockets), .min = 1, .max = CLIENTS_MAX },
	{ "datagram-bytes", OPTION_NUMBER, FIELD(datagram_bytes), .min = DATAGRAM_SIZE_MIN,
	  .max = DATAGRAM_SIZE_MAX },
	{ "id", OPTION_TEXT, FIELD(id) },
	{ "local", OPTION_TEXT, FIELD(local) },
	{ "clients", OPTION_NUMBER, FIELD(clients), .min = 1, .max = CLIENTS_MAX },
	{ "depth", OPTION_NUMBER, FIELD(depth), .min = 1, .max = 1000000 },
	{ "requests", OPTION_NUMBER, FIELD(requests), .min = 1, .max = COUNT_MAX },
	{ "seconds", OPTION_SECONDS, FIELD(duration_ns), .min = 1 },
	{ "warmup", OPTION_SECONDS, FIELD(warmup_ns) },
	{ "parts", OPTION_NUMBER, FIELD(parts), .min = 1, .max = PARTS_MAX },
	{ "settle", OPTION_SECONDS, FIELD(settle_ns) },
	{ "timeout", OPTION_SECONDS, FIELD(timeout_ns) },
	{ "request-bytes", OPTION_NUMBER, FIELD(request_bytes), .min = 1, .max = LOAD_LINE_MAX },
	{ "reply-bytes", OPTION_NUMBER, FIELD(reply_bytes), .min = 1, .max = LOAD_LINE_MAX },
	{ "encrypt", OPTION_NUMBER, FIELD(encrypt), .min = 0, .max = 100 },
	{ "idle", OPTION_NUMBER, FIELD(idle), .min = 0, .max = CLIENTS_MAX },
	{ "connect-per", OPTION_NUMBER, FIELD(connect_per), .min = 0, .max = COUNT_MAX },
	{ "seed", OPTION_NUMBER, FIELD(seed), .min = 0, .max = COUNT_MAX },
	{ "strict", OPTION_FLAG, FIELD(strict) },
	{ "json", OPTION_TEXT, FIELD(json) },
	{ "relay-pid", OPTION_ACTION, .act = add_relay },
	{ "peer-pid", OPTION_ACTION, .act = add_peer },
	{ "protocol", OPTION_ACTION, .act = set_protocol },
	{ "rate", OPTION_NUMBER, FIELD(rate), .min = 1, .max = 10000000 },
	{ "progress", OPTION_FLAG, FIELD(progress) },
	{ "hook", OPTION_TEXT, FIELD(hook) },
	{ "help", OPTION_COMMAND, .act = print_help },
};

#define FORM_COUNT (sizeof forms / sizeof forms[0])
/* What getopt_long() returns for the first of them: nothing that it could return otherwise. */
#define FORM_FIRST 1000

static void
set_option(struct load_options *o, const struct option_form *form)
{
	void *field = (char *)o + form->field;

	switch (form->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		break;
	case OPTION_TEXT:
		*(const char **)field = optarg;
		break;
	case OPTION_NUMBER:
		*(uint64_t *)field = option_number(form->name, optarg, form->min, form->max);
		break;
	case OPTION_SECONDS:
		*(uint64_t *)field = option_seconds(form->name, optarg, form->min, SECONDS_MAX);
		break;
	case OPTION_ACTION:
	case OPTION_COMMAND:
		form->act(o);
		break;
	}
}

static void
parse(struct load_options *o, int argc, char **argv)
{
	struct option options[FORM_COUNT + 1] = { { 0 } };
	int opt;

	for (size_t i = 0; i < FORM_COUNT; i++) {
		bool is_bare = forms[i].kind == OPTION_FLAG || forms[i].kind == OPTION_COMMAND;
		options[i] = (struct option){ .name = forms[i].name,
					      .has_arg = is_bare ? no_argument : required_argument,
					      .val = FORM_FIRST + (int)i };
	}
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt < FORM_FIRST)
			errx(2, "try --help");
		set_option(o, &forms[opt - FORM_FIRST]);
	}
	if (optind != argc)
		errx(2, "unexpected argument \"%s\"; try --help", argv[optind]);
}

static void
check_udp(const struct load_options *o)
{
	if (!o->udp && (o->keys != NULL || o->sockets != 0 || o->targets[0].address_len == 0))
		errx(2, "--host, --keys and --sockets need --udp");
	if (!o->udp)
		return;
	if (o->protocol != PROTOCOL_LOND || o->connect_per != 0)
		errx(2, "--udp: neither --protocol nor --connect-per");
	if (o->depth > UDP_DEPTH_MAX)
		errx(2, "--udp: at most --depth %d", UDP_DEPTH_MAX);
	if (o->reply_bytes > DATAGRAM_JOINED_MAX)
		errx(2, "--udp: --reply-bytes of at most %u", DATAGRAM_JOINED_MAX);
	for (size_t i = 0; i < o->target_count; i++)
		if (o->request_bytes + (o->encrypt != 0 ? strlen(ENC_REQUEST_PREFIX) : 0) >
		    datagram_line_max(o->datagram_bytes, strlen(o->targets[i].name),
				      o->keys != NULL))
			errx(2, "--request-bytes: more than fits into a datagram");
}

/* What only goes, or does not go, with something else. */
static void
check_together(const struct load_options *o)
{
	if (o->target_count == 0)
		errx(2, "--unix, --tcp or --udp with --host is needed; try --help");
	check_udp(o);
	if (o->requests != 0 && o->duration_ns != 0)
		errx(2, "one of --requests and --seconds");
	if (o->parts != 0 && (o->requests != 0 || o->rate != 0))
		errx(2, "--parts: neither --requests nor --rate");
	if (o->parts != 0 && o->json != NULL && strcmp(o->json, "-") == 0)
		errx(2, "--parts: stdout is taken; give --json a file");
	if (o->clients * o->depth > ASKS_MAX)
		errx(2, "more than %lu requests in flight in all", ASKS_MAX);
	if (o->encrypt == 0)
		return;
	if (o->protocol == PROTOCOL_REDIS || (o->tcp && o->protocol != PROTOCOL_LOND))
		errx(2, "--encrypt: only lines of the lond protocol can be encrypted");
	if (o->tcp && (o->id == NULL || o->local == NULL))
		errx(2, "--encrypt over --tcp needs --id and --local");
	if (o->tcp && o->target_count > 1)
		errx(2, "--encrypt over --tcp takes one target: the key depends on it");
}

void
load_options_parse(struct load_options *o, int argc, char **argv)
{
	*o = (struct load_options){
		.clients = 50,
		.depth = 1,
		.datagram_bytes = DATAGRAM_SIZE_DEFAULT,
		.settle_ns = UINT64_MAX,
		.timeout_ns = 30 * NS_PER_S,
		.request_bytes = 32,
		.reply_bytes = 64,
		.seed = 1,
	};
	parse(o, argc, argv);
	check_together(o);
	if (o->requests == 0 && o->duration_ns == 0)
		o->duration_ns = 5 * NS_PER_S;
	if (o->settle_ns == UINT64_MAX)
		o->settle_ns = o->idle != 0 ? 200 * NS_PER_MS : 0;
}
