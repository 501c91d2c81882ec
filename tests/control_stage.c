/*
 * control_stage.c - see control_stage.h.
 */
#include "tests/control_stage.h"

#include "relay/listener.h"
#include "relay/log.h"
#include "relay/resolver.h"
#include "relay/storage.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char CONFIGURATION[] = "relay {\n"
				    "\tsocket_dir = \"%s\"\n"
				    "\trun_dir = \"%s\"\n"
				    "\tstate_dir = \"%s\"\n"
				    "\thosts_file = \"%s/hosts.tab\"\n"
				    "\thost_id = \"here\"\n"
				    "\tport = 5663\n"
				    "}\n"
				    "%s\n";

static bool
write_file(const char *dir, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	if (file == NULL)
		return false;
	bool written = fputs(text, file) >= 0;
	return fclose(file) == 0 && written;
}

static bool
write_files(struct control_stage *stage, const char *settings)
{
	char text[2048];

	strcpy(stage->dir, "/tmp/relay-stage-XXXXXX");
	if (mkdtemp(stage->dir) == NULL)
		return false;
	snprintf(stage->socket_path, sizeof stage->socket_path, "%s/relay.control", stage->dir);
	snprintf(stage->conf_path, sizeof stage->conf_path, "%s/relay.conf", stage->dir);
	snprintf(text, sizeof text, CONFIGURATION, stage->dir, stage->dir, stage->dir, stage->dir,
		 settings);
	char delayed[80];
	snprintf(delayed, sizeof delayed, "%s/delayed", stage->dir);
	return mkdir(delayed, 0700) == 0 && write_file(delayed, "1.msul1", "a message\n") &&
	       write_file(stage->dir, "relay.conf", text) &&
	       write_file(stage->dir, "hosts.tab", "msul1:msu:library:msul1.example:127.0.0.1\n");
}

static bool
listen_here(struct control_stage *stage)
{
	struct listener listener;
	struct owner owner = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };

	if (listener_open_path(&listener, stage->socket_path, 0600, owner) != 0 ||
	    fcntl(listener.fd, F_SETFL, O_NONBLOCK) != 0)
		return false;
	control_server_listen(&stage->server, listener.fd);
	return true;
}

bool
control_stage_init(struct control_stage *stage, const char *settings)
{
	static struct report report;
	int ends[2];

	memset(stage, 0, sizeof *stage);
	memset(&report, 0, sizeof report);
	if (!write_files(stage, settings) || channel_pair(ends) != 0)
		return false;
	stage->source.conf_file = stage->conf_path;
	bool good = config_load(&stage->started, &stage->source, &report);
	report_fini(&report);
	stage->options = (struct control_options){
		.source = &stage->source,
		.started = &stage->started,
		.keeper_pid = getpid(),
		.boot_id = "stage",
	};
	stage->control.options = &stage->options;
	stage->control.server = &stage->server;
	control_server_init(&stage->server, &stage->control);
	LIST_INIT(&stage->control.asks);
	control_messages_init(&stage->control);
	stage->control.keeper = channel_new(ends[0]);
	stage->keeper = channel_new(ends[1]);
	stage->control.resolver = resolver_new();
	return good && stage->control.keeper != NULL && stage->keeper != NULL &&
	       stage->control.resolver != NULL && control_delayed_init(&stage->control) &&
	       listen_here(stage) && control_load(&stage->control);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

void
control_stage_fini(struct control_stage *stage)
{
	control_server_stop(&stage->server);
	storage_free(stage->control.storage);
	channel_free(stage->control.keeper);
	channel_free(stage->keeper);
	config_free(&stage->started);
	nftw(stage->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
read_keeper(struct control_stage *stage)
{
	struct channel_message message;
	int fd;

	while (channel_receive(stage->keeper, &message, &fd) > 0) {
		if (fd >= 0)
			close(fd);
	}
	(void)channel_flush(stage->control.keeper);
}

bool
control_stage_round(struct control_stage *stage, int wait_ms)
{
	nfds_t count = control_server_fill(&stage->server, stage->slots);

	stage->slots[count] = (struct pollfd){ storage_fd(stage->control.storage), POLLIN, 0 };
	if (control_server_deadline(&stage->server) == 0)
		wait_ms = 0;
	int ready = poll(stage->slots, count + 1, wait_ms);
	if (stage->slots[count].revents != 0)
		control_on_storage(&stage->control);
	control_server_run(&stage->server, stage->slots, count);
	read_keeper(stage);
	return ready > 0;
}

int
control_stage_connect(const struct control_stage *stage)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, stage->socket_path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}
