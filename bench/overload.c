/*
 * overload.c - relay-bench overload: requests by UDP in an open loop, in three phases: as many as
 * the peer can do, twice that, and half of it.  What is told busy is not sent again: the offer
 * stays what it is.  An answer counts in the phase in which it comes, its time from the moment the
 * request was sent: no relay can hold a datagram back.  What is never answered is told at the end.
 *
 * Unsealed, from one socket for all clients; requests carry what was seen, so that replies are
 * confirmed.  Owns the socket and the clients.
 */
#include "bench/overload.h"

#include "bench/address.h"
#include "bench/clock.h"
#include "bench/hist.h"
#include "bench/option.h"
#include "bench/schedule.h"
#include "wire/datagram_window.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX  10000u
#define FIRST_CLIENT UINT64_C(0x10000)
#define HELLO_NS     (200 * NS_PER_MS)
#define HELLO_TRIES  50
#define SEND_BURST   64
#define SIZE_MAX_    65536
#define SOCKET_BYTES (8 << 20)
#define SECONDS_MAX  600
/* For answers that are still on their way at the end. */
#define LATE_NS (NS_PER_S)
/* A reply after longer than this shows that it is not over yet. */
#define SLOW_NS (100 * NS_PER_MS)

/* A request that is not answered yet. */
struct asked {
	uint64_t number; /* 0: none */
	uint64_t sent_ns;
};

struct client {
	uint64_t session; /* 0: not yet */
	uint64_t next;
	struct datagram_window seen;
	struct asked asked[DATAGRAM_WINDOW]; /* by number */
};

enum phase_name {
	PHASE_PEAK,
	PHASE_OVERLOAD,
	PHASE_AFTER,
	PHASES,
	PHASE_LATE = PHASES /* nothing is offered, what is left is heard */
};

struct phase {
	uint64_t offered;
	uint64_t answered;
	uint64_t busy;
	uint64_t lost; /* con_lost, errors */
	struct hist reply;
	struct hist refusal;
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t trouble_ns; /* the last busy, or slow reply */
};

struct overload {
	int fd;
	const char *to;
	const char *host;
	uint64_t rate;
	uint64_t clients_count;
	uint64_t length_ns; /* of each phase */
	int error;          /* the last that the socket told of */
	struct client *clients;
	uint64_t turn; /* whose request is next */
	uint64_t welcome;
	struct phase *phase;
	struct phase phases[PHASES + 1];
};

static const char help[] =
    "usage: relay-bench overload --to ADDR:PORT --host ID --rate N [option ...]\n\n"
    "Offers requests by UDP, unsealed: N per second, which is what the peer can do (relay-peer\n"
    "--rate N), then twice that, then half of it.\n\n"
    "  --to ADDR:PORT  where the relay serves UDP clients\n"
    "  --host ID       whom the requests are for\n"
    "  --rate N        requests per second that the peer can do\n"
    "  --clients N     clients (100)\n"
    "  --seconds S     of each phase (3)\n\n"
    "Exit status: 0 = measured; 1 = there were no answers; 2 = usage.\n";

/* --- sending ---------------------------------------------------------------------------------- */

static void
put(struct overload *load, const struct datagram_header *header, struct wire_span body)
{
	uint8_t bytes[1232];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	datagram_begin(&out, header);
	wire_out_bytes(&out, body.data, body.len);
	datagram_end(&out, header);
	if (!out.overflow && send(load->fd, out.data, out.len, MSG_DONTWAIT) < 0)
		load->error = errno;
}

static void
say_hello(struct overload *load, uint64_t at)
{
	uint8_t bytes[DATAGRAM_HELLO_BODY];
	struct wire_out body = wire_out(bytes, sizeof bytes);
	const struct datagram_header header = { .client = FIRST_CLIENT + at,
						.kind = DATAGRAM_HELLO,
						.number = load->welcome };

	datagram_hello_put(&body, &(struct datagram_hello){ .receive_max = 60000 });
	put(load, &header, wire_span(bytes, body.len));
}

/* In the session, without a body. */
static void
say(struct overload *load, uint64_t at, enum datagram_kind kind)
{
	struct client *client = &load->clients[at];
	const struct datagram_header header = { .client = FIRST_CLIENT + at,
						.kind = (uint8_t)kind,
						.session = client->session,
						.number = client->next++ };

	if (client->session != 0)
		put(load, &header, wire_span(NULL, 0));
}

static void
ask(struct overload *load, uint64_t now_ns)
{
	uint64_t at = load->turn++ % load->clients_count;
	struct client *client = &load->clients[at];
	uint8_t bytes[512];
	struct wire_out body = wire_out(bytes, sizeof bytes);
	const struct datagram_request request = { wire_span_str(load->host),
						  wire_span_str("ping") };
	const struct datagram_header header = { .client = FIRST_CLIENT + at,
						.kind = DATAGRAM_REQUEST,
						.session = client->session,
						.number = client->next++,
						.seen = datagram_window_show(&client->seen, 0) };

	datagram_request_put(&body, &request);
	client->asked[header.number % DATAGRAM_WINDOW] = (struct asked){ header.number, now_ns };
	load->phase->offered++;
	put(load, &header, wire_span(bytes, body.len));
}

/* --- receiving -------------------------------------------------------------------------------- */

/* How long it took; 0: it was answered before, or so long ago that it is forgotten. */
static uint64_t
took(struct client *client, uint64_t about, uint64_t now_ns)
{
	struct asked *asked = &client->asked[about % DATAGRAM_WINDOW];

	/* Its place may be that of a later one by now. */
	if (about == 0 || asked->number != about)
		return 0;
	asked->number = 0;
	return now_ns - asked->sent_ns + 1;
}

static void
on_answer(struct phase *phase, struct client *client, const struct datagram_header *header,
	  uint64_t now_ns)
{
	uint64_t ns = took(client, header->about, now_ns);

	if (ns == 0)
		return;
	if (header->kind == DATAGRAM_BUSY) {
		phase->busy++;
		hist_add(&phase->refusal, ns);
	} else if (header->kind == DATAGRAM_REPLY && header->code == DATAGRAM_FINE) {
		phase->answered++;
		hist_add(&phase->reply, ns);
	} else {
		phase->lost++;
	}
	if (header->kind != DATAGRAM_REPLY || ns > SLOW_NS)
		phase->trouble_ns = now_ns;
}

static void
on_datagram(struct overload *load, struct wire_span bytes, uint64_t now_ns)
{
	const struct datagram_terms terms = { .from = DATAGRAM_OF_RELAY, .size_max = SIZE_MAX_ };
	struct datagram datagram;

	if (datagram_look(&datagram, bytes, &terms) != DATAGRAM_OK)
		return;
	const struct datagram_header *header = &datagram.header;
	uint64_t at = header->client - FIRST_CLIENT;
	if (at >= load->clients_count)
		return;
	struct client *client = &load->clients[at];
	if (header->kind == DATAGRAM_WELCOME && client->session == 0) {
		client->session = header->session;
		client->next = 1;
		say(load, at, DATAGRAM_KEEP_ALIVE); /* an offer may be forgotten, a session not */
		return;
	}
	if (header->session != client->session)
		return;
	/* Its offer made room for another's before it was taken. */
	if (header->kind == DATAGRAM_ERROR && header->code == DATAGRAM_NEW_SESSION) {
		client->session = 0;
		say_hello(load, at);
		return;
	}
	if (header->number != 0)
		(void)datagram_window_mark(&client->seen, header->number);
	if (load->phase != NULL &&
	    (header->kind == DATAGRAM_REPLY || header->kind == DATAGRAM_BUSY ||
	     header->kind == DATAGRAM_ERROR))
		on_answer(load->phase, client, header, now_ns);
}

static void
receive(struct overload *load)
{
	static uint8_t bytes[SIZE_MAX_];
	ssize_t got;

	for (int i = 0; i < SEND_BURST; i++) {
		got = recv(load->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (got < 0) {
			if (errno != EAGAIN)
				load->error = errno;
			return;
		}
		on_datagram(load, wire_span(bytes, (size_t)got), clock_now_ns());
	}
}

static void
wait_until(struct overload *load, uint64_t at_ns)
{
	struct pollfd poll_fd = { .fd = load->fd, .events = POLLIN };
	struct timespec t;

	(void)ppoll(&poll_fd, 1, clock_wait(&t, clock_now_ns(), at_ns), NULL);
	receive(load);
}

/* --- the course ------------------------------------------------------------------------------- */

/* How many are not welcome. */
static uint64_t
begin(struct overload *load)
{
	uint64_t missing = load->clients_count;

	load->welcome = clock_now_ns() | 1;
	for (int tries = 0; tries < HELLO_TRIES && missing > 0; tries++) {
		uint64_t until = clock_now_ns() + HELLO_NS;
		for (uint64_t i = 0; i < load->clients_count; i++) {
			if (load->clients[i].session == 0)
				say_hello(load, i);
			if (i % SEND_BURST == 0)
				receive(load);
		}
		for (; missing > 0 && clock_now_ns() < until;) {
			wait_until(load, until);
			missing = 0;
			for (uint64_t i = 0; i < load->clients_count; i++)
				missing += load->clients[i].session == 0;
		}
	}
	return missing;
}

static struct phase *
begin_phase(struct overload *load, enum phase_name name)
{
	struct phase *phase = &load->phases[name];

	hist_init(&phase->reply);
	hist_init(&phase->refusal);
	phase->start_ns = phase->trouble_ns = clock_now_ns();
	load->phase = phase;
	return phase;
}

/* How many requests of all phases are not answered; *offered: how many there were. */
static uint64_t
silent(const struct overload *load, uint64_t *offered)
{
	uint64_t answers = 0;

	*offered = 0;
	for (const struct phase *phase = load->phases; phase <= &load->phases[PHASE_LATE];
	     phase++) {
		*offered += phase->offered;
		answers += phase->answered + phase->busy + phase->lost;
	}
	return *offered - answers;
}

static void
hear_late(struct overload *load)
{
	uint64_t until = begin_phase(load, PHASE_LATE)->start_ns + LATE_NS;

	for (uint64_t n; silent(load, &n) > 0 && clock_now_ns() < until;)
		wait_until(load, until);
	load->phase = NULL;
}

static void
run_phase(struct overload *load, enum phase_name name, uint64_t rate)
{
	struct phase *phase = begin_phase(load, name);
	uint64_t end = phase->start_ns + load->length_ns;
	struct schedule schedule;
	uint64_t due;

	schedule_init(&schedule, phase->start_ns, rate);
	for (uint64_t now = phase->start_ns; now < end; now = clock_now_ns()) {
		for (int i = 0; i < SEND_BURST && schedule_take(&schedule, now, &due); i++)
			ask(load, now);
		receive(load);
		uint64_t next = schedule_next_ns(&schedule);
		if (next > now)
			wait_until(load, next < end ? next : end);
	}
	phase->end_ns = clock_now_ns();
}

static double
per_second(const struct phase *phase, uint64_t count)
{
	return (double)count * 1e9 / (double)(phase->end_ns - phase->start_ns);
}

/* Of none there are no times. */
static void
print_ms(const char *what, const struct hist *hist)
{
	if (hist->count == 0)
		printf(" %s ms -", what);
	else
		printf(" %s ms p50 %.2f p99 %.2f max %.2f", what,
		       (double)hist_quantile(hist, 50000) / 1e6,
		       (double)hist_quantile(hist, 99000) / 1e6, (double)hist->max / 1e6);
}

static void
report(const struct overload *load)
{
	static const char *const names[PHASES] = { "peak", "overload", "after" };
	const struct phase *peak = &load->phases[PHASE_PEAK];
	const struct phase *over = &load->phases[PHASE_OVERLOAD];
	const struct phase *after = &load->phases[PHASE_AFTER];

	for (int i = 0; i < PHASES; i++) {
		const struct phase *phase = &load->phases[i];
		printf("%-8s offered %.0f/s answered %.0f/s busy %.0f/s lost %llu", names[i],
		       per_second(phase, phase->offered), per_second(phase, phase->answered),
		       per_second(phase, phase->busy), (unsigned long long)phase->lost);
		print_ms("reply", &phase->reply);
		print_ms("busy", &phase->refusal);
		printf("\n");
	}
	uint64_t offered;
	uint64_t unanswered = silent(load, &offered);
	printf("silent   %llu of %llu were never answered\n", (unsigned long long)unanswered,
	       (unsigned long long)offered);
	printf("useful   %.1f %% of the peak\n",
	       100 * per_second(over, over->answered) / per_second(peak, peak->answered));
	printf("recovery %.3f s\n", (double)(after->trouble_ns - after->start_ns) / 1e9);
}

static int
run(struct overload *load)
{
	uint64_t missing = begin(load);

	if (missing > 0) {
		warnx("%s: %llu of %llu clients were not welcome%s%s", load->to,
		      (unsigned long long)missing, (unsigned long long)load->clients_count,
		      load->error != 0 ? ": " : "", load->error != 0 ? strerror(load->error) : "");
		return 1;
	}
	run_phase(load, PHASE_PEAK, load->rate);
	run_phase(load, PHASE_OVERLOAD, load->rate * 2);
	run_phase(load, PHASE_AFTER, (load->rate + 1) / 2);
	hear_late(load);
	for (uint64_t i = 0; i < load->clients_count; i++)
		say(load, i, DATAGRAM_BYE);
	if (load->phases[PHASE_PEAK].answered == 0) {
		warnx("no answers");
		return 1;
	}
	report(load);
	return 0;
}

/* --- options ---------------------------------------------------------------------------------- */

static int
connect_to(const char *text)
{
	struct sockaddr_storage address;
	socklen_t len;
	int bytes = SOCKET_BYTES;

	if (!address_parse(text, &address, &len))
		errx(2, "--to: \"%s\" is not ADDR:PORT", text);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, len) != 0)
		err(1, "%s", text);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	return fd;
}

static void
parse(struct overload *load, int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "host", required_argument, NULL, 'h' },
		{ "rate", required_argument, NULL, 'r' },
		{ "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};

	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't') {
			if (load->fd >= 0)
				errx(2, "--to: once");
			load->fd = connect_to(optarg);
			load->to = optarg;
		} else if (option == 'h') {
			if (optarg[0] == '\0' || strlen(optarg) > DATAGRAM_HOST_MAX)
				errx(2, "--host: a name of 1 to %d bytes", DATAGRAM_HOST_MAX);
			load->host = optarg;
		} else if (option == 'r') {
			load->rate = option_number("rate", optarg, 1, 1000000);
		} else if (option == 'c') {
			load->clients_count = option_number("clients", optarg, 1, CLIENTS_MAX);
		} else if (option == 's') {
			load->length_ns = option_seconds("seconds", optarg, 1, SECONDS_MAX);
		} else if (option == 'H') {
			fputs(help, stdout);
			exit(0);
		} else {
			errx(2, "try --help");
		}
	}
	if (optind != argc)
		errx(2, "unexpected argument \"%s\"; try --help", argv[optind]);
	if (load->fd < 0 || load->host == NULL || load->rate == 0)
		errx(2, "--to, --host and --rate are needed; try --help");
}

int
overload_main(int argc, char **argv)
{
	static struct overload load = { .fd = -1, .clients_count = 100, .length_ns = 3 * NS_PER_S };
	int status = 1;

	parse(&load, argc, argv);
	load.clients = calloc(load.clients_count, sizeof *load.clients);
	if (load.clients == NULL)
		warnx("no memory");
	else
		status = run(&load);
	free(load.clients);
	close(load.fd);
	return status;
}
