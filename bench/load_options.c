/*
 * load_options.c - the command line of `relay-bench load`.
 */
#include "bench/load.h"

#include "bench/address.h"
#include "bench/clock.h"
#include "bench/load_udp.h"
#include "bench/number.h"
#include "wire/enc.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/un.h>

#define ASKS_MAX ((uint64_t)1 << 24)

enum {
	OPT_UNIX = 1000,
	OPT_TCP,
	OPT_UDP,
	OPT_HOST,
	OPT_KEYS,
	OPT_SOCKETS,
	OPT_DATAGRAM_BYTES,
	OPT_ID,
	OPT_LOCAL,
	OPT_CLIENTS,
	OPT_DEPTH,
	OPT_REQUESTS,
	OPT_SECONDS,
	OPT_WARMUP,
	OPT_SETTLE,
	OPT_TIMEOUT,
	OPT_REQUEST_BYTES,
	OPT_REPLY_BYTES,
	OPT_ENCRYPT,
	OPT_IDLE,
	OPT_CONNECT_PER,
	OPT_SEED,
	OPT_STRICT,
	OPT_JSON,
	OPT_RELAY_PID,
	OPT_PEER_PID,
	OPT_PROTOCOL,
	OPT_RATE,
	OPT_PROGRESS,
	OPT_HOOK,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "unix", required_argument, NULL, OPT_UNIX },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "udp", required_argument, NULL, OPT_UDP },
	{ "host", required_argument, NULL, OPT_HOST },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "sockets", required_argument, NULL, OPT_SOCKETS },
	{ "datagram-bytes", required_argument, NULL, OPT_DATAGRAM_BYTES },
	{ "id", required_argument, NULL, OPT_ID },
	{ "local", required_argument, NULL, OPT_LOCAL },
	{ "clients", required_argument, NULL, OPT_CLIENTS },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "settle", required_argument, NULL, OPT_SETTLE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "request-bytes", required_argument, NULL, OPT_REQUEST_BYTES },
	{ "reply-bytes", required_argument, NULL, OPT_REPLY_BYTES },
	{ "encrypt", required_argument, NULL, OPT_ENCRYPT },
	{ "idle", required_argument, NULL, OPT_IDLE },
	{ "connect-per", required_argument, NULL, OPT_CONNECT_PER },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "relay-pid", required_argument, NULL, OPT_RELAY_PID },
	{ "peer-pid", required_argument, NULL, OPT_PEER_PID },
	{ "protocol", required_argument, NULL, OPT_PROTOCOL },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "hook", required_argument, NULL, OPT_HOOK },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

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

static uint64_t
number(const char *option, uint64_t min, uint64_t max)
{
	uint64_t value;

	if (!number_parse(wire_span_str(optarg), max, &value) || value < min)
		errx(2, "--%s: \"%s\" is not a number from %lu to %lu", option, optarg, min, max);
	return value;
}

static uint64_t
seconds(const char *option)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end == optarg || *end != '\0' || !(value >= 0.0 && value <= 86400.0))
		errx(2, "--%s: \"%s\" is not a number of seconds up to a day", option, optarg);
	return (uint64_t)(value * (double)NS_PER_S);
}

static void
set_unix(struct load_target *target)
{
	struct sockaddr_un *addr = (struct sockaddr_un *)&target->address;
	size_t len = strlen(optarg);

	if (len == 0 || len >= sizeof addr->sun_path)
		errx(2, "--unix: a path of 1 to %zu bytes", sizeof addr->sun_path - 1);
	memset(addr, 0, sizeof *addr);
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, optarg, len + 1);
	target->address_len = sizeof *addr;
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
set_option(struct load_options *o, int opt)
{
	switch (opt) {
	case OPT_UNIX:
	case OPT_TCP:
		add_target(o, opt == OPT_TCP);
		break;
	case OPT_UDP:
		set_udp(o);
		break;
	case OPT_HOST:
		add_host(o);
		break;
	case OPT_KEYS:
		o->keys = optarg;
		break;
	case OPT_SOCKETS:
		o->sockets = number("sockets", 1, 1000000);
		break;
	case OPT_DATAGRAM_BYTES:
		o->datagram_bytes = number("datagram-bytes", DATAGRAM_SIZE_MIN, DATAGRAM_SIZE_MAX);
		break;
	case OPT_PROTOCOL:
		if (!protocol_parse(optarg, &o->protocol))
			errx(2, "--protocol: no \"%s\"; try --help", optarg);
		break;
	case OPT_RATE:
		o->rate = number("rate", 1, 10000000);
		break;
	case OPT_PROGRESS:
		o->progress = true;
		break;
	case OPT_HOOK:
		o->hook = optarg;
		break;
	case OPT_ID:
		o->id = optarg;
		break;
	case OPT_LOCAL:
		o->local = optarg;
		break;
	case OPT_CLIENTS:
		o->clients = number("clients", 1, 1000000);
		break;
	case OPT_DEPTH:
		o->depth = number("depth", 1, 1000000);
		break;
	case OPT_REQUESTS:
		o->requests = number("requests", 1, UINT64_C(1) << 48);
		break;
	case OPT_SECONDS:
		o->duration_ns = seconds("seconds");
		break;
	case OPT_WARMUP:
		o->warmup_ns = seconds("warmup");
		break;
	case OPT_SETTLE:
		o->settle_ns = seconds("settle");
		break;
	case OPT_TIMEOUT:
		o->timeout_ns = seconds("timeout");
		break;
	case OPT_REQUEST_BYTES:
		o->request_bytes = number("request-bytes", 1, LOAD_LINE_MAX);
		break;
	case OPT_REPLY_BYTES:
		o->reply_bytes = number("reply-bytes", 1, LOAD_LINE_MAX);
		break;
	case OPT_ENCRYPT:
		o->encrypt = number("encrypt", 0, 100);
		break;
	case OPT_IDLE:
		o->idle = number("idle", 0, 1000000);
		break;
	case OPT_CONNECT_PER:
		o->connect_per = number("connect-per", 0, UINT64_C(1) << 48);
		break;
	case OPT_SEED:
		o->seed = number("seed", 0, UINT64_C(1) << 48);
		break;
	case OPT_STRICT:
		o->strict = true;
		break;
	case OPT_JSON:
		o->json = optarg;
		break;
	case OPT_RELAY_PID:
		add_processes(o, LOAD_RELAY);
		break;
	case OPT_PEER_PID:
		add_processes(o, LOAD_PEER);
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	default:
		errx(2, "try --help");
	}
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
	int opt;

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
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(o, opt);
	if (optind != argc)
		errx(2, "unexpected argument \"%s\"; try --help", argv[optind]);
	check_together(o);
	if (o->requests == 0 && o->duration_ns == 0)
		o->duration_ns = 5 * NS_PER_S;
	if (o->settle_ns == UINT64_MAX)
		o->settle_ns = o->idle != 0 ? 200 * NS_PER_MS : 0;
}
