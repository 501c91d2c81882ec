/*
 * Credentials and ticket keys on their way to a worker: numbered by what they are, told once, again
 * to whoever is started again; keys replaced in time, and whenever who may come in has changed.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/tls.h"

static struct control control;
static struct control_options options = { .worker_count = 1 };
static struct channel *worker; /* its end */
static struct channel_message message;
static int memfd = -1;

static void
up(void)
{
	int fds[2];

	cr_assert_eq(channel_pair(fds), 0);
	control = (struct control){ .options = &options };
	control.workers[0].channel = channel_new(fds[0]);
	worker = channel_new(fds[1]);
	cr_assert_not_null(control.workers[0].channel);
	cr_assert_not_null(worker);
}

TestSuite(control_credentials, .init = up);

/* The next thing that the worker was told; the memfd stays until the one after. */
static bool
told(enum channel_type type)
{
	if (memfd >= 0)
		close(memfd);
	memfd = -1;
	return channel_receive(worker, &message, &memfd) == 1 && message.type == type;
}

static bool
told_nothing(void)
{
	return channel_receive(worker, &message, &memfd) == 0;
}

/* As config_credentials.c fills it, but for the paths, which nobody here asks for. */
static void
set_text(size_t at, const char *text)
{
	struct config_credentials *set = &control.config.credentials[at];
	struct wire_span files[TLS_FILE_COUNT] = { { NULL, 0 } };
	char path[] = "/p";

	free(set->bytes);
	set->bytes = (unsigned char *)strdup(text);
	set->lengths[TLS_FILE_KEY] = strlen(text);
	set->paths[TLS_FILE_CERT] =
	    set->paths[TLS_FILE_CERT] != NULL ? set->paths[TLS_FILE_CERT] : strdup(path);
	files[TLS_FILE_KEY] = wire_span_str(text);
	tls_material_digest(files, TLS_FILE_COUNT, set->digest);
}

static void
set_count(size_t count)
{
	control.config.credentials = calloc(count, sizeof *control.config.credentials);
	control.config.credential_count = count;
	cr_assert_not_null(control.config.credentials);
}

static void
follow(void)
{
	control_credentials_apply(&control);
	control_credentials_settle(&control);
}

Test(control_credentials, a_number_is_what_is_in_the_files)
{
	char text[16] = "";

	set_count(2);
	set_text(0, "first");
	set_text(1, "second");
	follow();
	cr_assert(told(CHANNEL_CREDENTIALS));
	uint32_t first = message.credentials.number;
	cr_assert_eq(message.credentials.lengths[TLS_FILE_KEY], 5);
	cr_assert_eq(pread(memfd, text, sizeof text, 0), 5);
	cr_assert_str_eq(text, "first");
	cr_assert_eq(fcntl(memfd, F_GET_SEALS),
		     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	cr_assert(told(CHANNEL_CREDENTIALS));
	uint32_t second = message.credentials.number;
	cr_assert_neq(first, second);
	cr_assert(told_nothing());
	cr_assert_eq(control_credentials_number(&control, 0), first);
	cr_assert_eq(control_credentials_number(&control, CONFIG_CREDENTIALS_NONE), 0);
	cr_assert_null(control.config.credentials[0].bytes, "nothing is kept");

	/* In another order, and one of them renewed. */
	set_text(0, "second");
	set_text(1, "third");
	control_credentials_apply(&control);
	cr_assert(told(CHANNEL_CREDENTIALS), "only what is new");
	cr_assert(told_nothing(), "and nothing goes before all have followed");
	uint32_t third = message.credentials.number;
	cr_assert_eq(control_credentials_number(&control, 0), second);
	cr_assert_gt(third, second);
	control_credentials_settle(&control);
	cr_assert(told(CHANNEL_CREDENTIALS_DROP));
	cr_assert_eq(message.credentials.number, first);
	cr_assert(told_nothing());
}

Test(control_credentials, a_worker_that_is_started_again_is_told_all)
{
	set_count(2);
	set_text(0, "first");
	set_text(1, "second");
	follow();
	cr_assert(told(CHANNEL_CREDENTIALS) && told(CHANNEL_CREDENTIALS));
	control_credentials_tell(&control, 0);
	for (int i = 0; i < 2; i++) {
		char byte;

		cr_assert(told(CHANNEL_CREDENTIALS));
		cr_assert_eq(pread(memfd, &byte, 1, 0), 1, "although the bytes were wiped");
	}
	cr_assert(told_nothing());
}

/* --- tickets ---------------------------------------------------------------------------------- */

static char first_name[] = "a.example.org";
static char second_name[] = "b.example.org";
static char gateway_name[] = "g";
static char *allow[] = { first_name, NULL, NULL };
static struct config_gateway gateway = { .name = gateway_name,
					 .settings = { .allow = allow, .ticket_time_ms = 1000 } };
static struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];

static void
gateway_up(void)
{
	up();
	allow[1] = NULL;
	set_count(1);
	set_text(0, "first");
	control.config.gateways = &gateway;
	control.config.gateway_count = 1;
	control_tickets_apply(&control);
	cr_assert(told_nothing(), "nobody was told of the gateway yet");
	control_tickets_tell(&control, 0, 7, "g");
}

TestSuite(control_tickets, .init = gateway_up);

/* How many keys came. */
static uint32_t
take_keys(void)
{
	cr_assert(told(CHANNEL_TICKET_KEYS));
	cr_assert_eq(message.ticket_keys.index, 7);
	cr_assert_leq(message.ticket_keys.count, TLS_TICKET_KEYS_MAX);
	size_t size = message.ticket_keys.count * sizeof keys[0];
	cr_assert_eq(pread(memfd, keys, sizeof keys, 0), (ssize_t)size);
	return message.ticket_keys.count;
}

Test(control_tickets, the_last_two_are_good)
{
	uint64_t now = child_clock_ms();
	struct tls_ticket_key first, second;

	cr_assert_eq(take_keys(), 1);
	first = keys[0];
	cr_assert_leq(control_tickets_deadline(&control), now + 1000 + 60000);
	control_tickets_run(&control, control_tickets_deadline(&control) - 1);
	cr_assert(told_nothing(), "not before its time");
	control_tickets_run(&control, control_tickets_deadline(&control));
	cr_assert_eq(take_keys(), 2);
	second = keys[0];
	cr_assert_neq(memcmp(&first, &second, sizeof first), 0);
	cr_assert_eq(memcmp(&keys[1], &first, sizeof first), 0);
	control_tickets_run(&control, control_tickets_deadline(&control));
	cr_assert_eq(take_keys(), 2);
	cr_assert_eq(memcmp(&keys[1], &second, sizeof second), 0, "the first one is forgotten");
}

Test(control_tickets, who_may_come_in_decides)
{
	uint8_t context[TICKET_CONTEXT_SIZE];
	struct tls_ticket_key first;

	cr_assert_eq(take_keys(), 1);
	first = keys[0];
	memcpy(context, message.ticket_keys.context, sizeof context);
	control_tickets_apply(&control);
	control_tickets_tell(&control, 0, 7, "g");
	cr_assert_eq(take_keys(), 1);
	cr_assert_eq(memcmp(&keys[0], &first, sizeof first), 0, "nothing has changed");
	for (int what = 0; what < 2; what++) {
		if (what == 0)
			allow[1] = second_name;
		else
			set_text(0, "renewed");
		control_tickets_apply(&control);
		cr_assert(told_nothing(), "they come behind what has changed of the gateway");
		control_tickets_tell(&control, 0, 7, "g");
		cr_assert_eq(take_keys(), 1, "what was sealed before is opened no more");
		cr_assert_neq(memcmp(&keys[0], &first, sizeof first), 0);
		cr_assert_neq(memcmp(message.ticket_keys.context, context, sizeof context), 0);
		first = keys[0];
		memcpy(context, message.ticket_keys.context, sizeof context);
	}
}

Test(control_tickets, who_was_not_told_of_the_gateway_gets_none)
{
	cr_assert_eq(take_keys(), 1);
	control_tickets_untell(&control, 0);
	control_tickets_run(&control, control_tickets_deadline(&control));
	cr_assert(told_nothing());
	control.config.gateway_count = 0;
	control_tickets_apply(&control);
	cr_assert_eq(control_tickets_deadline(&control), UINT64_MAX, "keys go with the gateway");
	control_tickets_tell(&control, 0, 7, "g");
	cr_assert(told_nothing());
}
