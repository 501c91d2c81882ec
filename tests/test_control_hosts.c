/*
 * test_control_hosts.c - what keeper and workers are told of the hosts, with both played here: when
 * their channels were full they have the same hosts nevertheless, as soon as there is room again.
 */
#include "tests/control_stage.h"

#include "relay/control_load.h"
#include "relay/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOSTS  4u
#define ROUNDS 50000

/* What the other end of a channel has. */
struct other {
	struct channel *channel;

	struct {
		char id[HOST_ID_MAX + 1]; /* "" = none */
		bool synced;
	} hosts[HOSTS];

	uint32_t syncs;
};

static struct control_stage stage;
static struct other keeper;
static struct other worker;

static void
write_table(const char *text)
{
	char path[96];

	snprintf(path, sizeof path, "%s/hosts.tab", stage.dir);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert(fputs(text, file) >= 0);
	cr_assert_eq(fclose(file), 0);
}

static void
mark(struct other *other)
{
	for (uint32_t i = 0; i < HOSTS; i++)
		other->hosts[i].synced = false;
}

static void
sweep(struct other *other)
{
	other->syncs++;
	for (uint32_t i = 0; i < HOSTS; i++) {
		if (!other->hosts[i].synced)
			other->hosts[i].id[0] = '\0';
	}
}

static void
put(struct other *other, uint32_t index, const char *id)
{
	cr_assert_lt(index, HOSTS);
	strcpy(other->hosts[index].id, id);
	other->hosts[index].synced = true;
}

/* As the keeper: the index that it has, or one that is free. */
static void
listen_for(const char *id)
{
	struct channel_listen answer = { .index = HOSTS };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (uint32_t i = HOSTS; i-- > 0;) {
		if (keeper.hosts[i].id[0] == '\0' && answer.index == HOSTS)
			answer.index = i;
	}
	for (uint32_t i = 0; i < HOSTS; i++) {
		if (strcmp(keeper.hosts[i].id, id) == 0)
			answer.index = i;
	}
	put(&keeper, answer.index, id);
	strcpy(answer.id, id);
	control_on_listener(&stage.control, &answer, fd);
}

static void
take(struct other *other, const struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_LISTEN:
		listen_for(message->listen.id);
		break;
	case CHANNEL_HOST_ADD:
	case CHANNEL_HOST_CHANGE:
		put(other, message->host.index, message->host.id);
		break;
	case CHANNEL_UNLISTEN:
		other->hosts[message->listen.index].id[0] = '\0';
		break;
	case CHANNEL_HOST_REMOVE:
		other->hosts[message->name.index].id[0] = '\0';
		break;
	case CHANNEL_SYNC_BEGIN:
		mark(other);
		break;
	case CHANNEL_SYNC_END:
		sweep(other);
		if (other == &keeper)
			control_on_listed(&stage.control);
		break;
	default:
		break;
	}
}

static bool
read_other(struct other *other)
{
	struct channel_message message;
	bool some = false;
	int fd;

	while (channel_receive(other->channel, &message, &fd) > 0) {
		if (fd >= 0)
			close(fd);
		take(other, &message);
		some = true;
	}
	return some;
}

/* Until nothing is on its way any more. */
static void
settle(void)
{
	bool busy = true;

	for (int i = 0; i < ROUNDS && busy; i++) {
		control_pump(&stage.control);
		busy = read_other(&keeper) | read_other(&worker);
		cr_assert_eq(channel_flush(stage.control.keeper), 0);
		cr_assert_eq(channel_flush(stage.control.workers[0].channel), 0);
	}
	cr_assert_not(busy, "it does not come to an end");
}

static void
fill(struct channel *channel)
{
	struct channel_message message = { .type = CHANNEL_LOG_LEVEL,
					   .level = { .level = LOG_ERROR } };

	while (channel_send(channel, &message, -1) == 0)
		;
}

static void
check_hosts(const struct other *other, const char *a, const char *b)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < HOSTS; i++) {
		const char *id = other->hosts[i].id;
		if (id[0] == '\0')
			continue;
		cr_expect(strcmp(id, a) == 0 || strcmp(id, b) == 0, "%s is there", id);
		found++;
	}
	cr_expect_eq(found, 2u, "%u hosts", found);
}

static void
set_up(void)
{
	struct channel_worker attached = { .number = 0, .pid = 1 };
	int ends[2];

	log_set_level(LOG_ERROR);
	cr_assert(control_stage_init(&stage, ""));
	stage.options.worker_count = 1;
	keeper.channel = stage.keeper;
	cr_assert_eq(channel_pair(ends), 0);
	worker.channel = channel_new(ends[1]);
	control_on_worker(&stage.control, &attached, ends[0]);
	write_table("one:msu:library:n:127.0.0.1\ntwo:msu:library:n:127.0.0.1\n");
	cr_assert(control_load(&stage.control));
	settle();
	check_hosts(&keeper, "one", "two");
	check_hosts(&worker, "one", "two");
}

static void
tear_down(void)
{
	channel_free(worker.channel);
	channel_free(stage.control.workers[0].channel);
	control_stage_fini(&stage);
}

TestSuite(control_hosts, .init = set_up, .fini = tear_down);

Test(control_hosts, told_while_there_is_room)
{
	uint32_t syncs = worker.syncs;

	write_table("two:msu:library:n:127.0.0.1\nthree:msu:library:n:127.0.0.1\n");
	cr_assert(control_load(&stage.control));
	settle();
	check_hosts(&keeper, "two", "three");
	check_hosts(&worker, "two", "three");
	cr_assert_eq(keeper.syncs, 1u);
	cr_assert_eq(worker.syncs, syncs);
}

Test(control_hosts, told_again_when_there_was_none)
{
	fill(stage.control.keeper);
	fill(stage.control.workers[0].channel);
	write_table("two:msu:library:n:127.0.0.1\nthree:msu:library:n:127.0.0.1\n");
	cr_assert(control_load(&stage.control));
	settle();
	check_hosts(&keeper, "two", "three");
	check_hosts(&worker, "two", "three");
	cr_assert(control_host_told(&stage.control, control_host_by_id(&stage.control, "two"), 0));
}
