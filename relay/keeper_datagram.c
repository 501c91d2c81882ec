/*
 * keeper_datagram.c - see keeper_datagram.h.  Never reads what comes.
 */
#include "relay/keeper_datagram.h"

#include "relay/config_datagram.h"
#include "relay/log.h"
#include "uring/dgram.h"
#include "wire/datagram_home.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Asked for; the kernel gives what net.core.rmem_max allows. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)

#define PROBE_STEP_MS 50

static int
set_on(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/* Whether somebody else has it: by SO_REUSEPORT we would share the clients with him. */
static int
probe(const struct listen_address *address)
{
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = fd < 0 ? -errno : 0;

	if (error == 0 && address->any.sa_family == AF_INET6)
		error = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (error == 0 && bind(fd, &address->any, address->len) != 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

/* Nothing passes until the whole group is there: a client would come to the wrong worker. */
static int
hold_back(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { .len = 1, .filter = &nothing };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0
											   : -errno;
}

static bool
is_any(const struct listen_address *address)
{
	union dgram_address at;

	memset(&at, 0, sizeof at);
	memcpy(&at, &address->storage, address->len < sizeof at ? address->len : sizeof at);
	if (at.any.sa_family == AF_INET)
		return at.ip4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&at.ip6.sin6_addr);
}

static int
bind_one(const struct listen_address *address, int *fd)
{
	*fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	int error = set_on(*fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (error == 0 && address->any.sa_family == AF_INET6)
		error = set_on(*fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (error == 0 && is_any(address))
		error = dgram_tell_local(*fd, address->any.sa_family);
	(void)set_on(*fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	if (error == 0)
		error = hold_back(*fd);
	if (error == 0 && bind(*fd, &address->any, address->len) != 0)
		error = -errno;
	return error;
}

/* The whole group gets the program from any of its sockets. */
static int
steer(int fd, uint32_t workers)
{
	struct sock_filter steps[DATAGRAM_HOME_STEPS];
	const struct sock_fprog program = { .len = DATAGRAM_HOME_STEPS, .filter = steps };

	datagram_home_program(steps, workers);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) != 0)
		return -errno;
	return 0;
}

static int
probe_patiently(const struct listen_address *address, uint32_t patience_ms)
{
	const struct timespec step = { .tv_nsec = PROBE_STEP_MS * 1000000 };
	int error = probe(address);

	for (uint32_t waited = 0; error == -EADDRINUSE && waited < patience_ms;
	     waited += PROBE_STEP_MS) {
		nanosleep(&step, NULL);
		error = probe(address);
	}
	return error;
}

static int
bind_group(const struct listen_address *address, int *sockets, uint32_t workers,
	   uint32_t patience_ms)
{
	int error = probe_patiently(address, patience_ms);

	for (uint32_t i = 0; error == 0 && i < workers; i++)
		error = bind_one(address, &sockets[i]);
	if (error == 0)
		error = steer(sockets[0], workers);
	for (uint32_t i = 0; error == 0 && i < workers; i++)
		error = set_on(sockets[i], SOL_SOCKET, SO_DETACH_FILTER, 0);
	return error;
}

static bool
bind_all(struct keeper_datagram *datagram, const struct relay_settings *settings,
	 uint32_t patience_ms)
{
	struct listen_address addresses[SETTINGS_DATAGRAM_LISTEN_MAX];
	uint32_t count = (uint32_t)config_datagram_addresses(settings, addresses);
	size_t sockets = (size_t)count * datagram->workers;

	if (count == 0)
		return true;
	datagram->sockets = malloc(sockets * sizeof *datagram->sockets);
	if (datagram->sockets == NULL)
		return false;
	for (size_t i = 0; i < sockets; i++)
		datagram->sockets[i] = -1;
	datagram->addresses = count;
	for (uint32_t i = 0; i < count; i++) {
		datagram->families[i] = addresses[i].any.sa_family;
		datagram->is_any[i] = is_any(&addresses[i]);
		int error =
		    bind_group(&addresses[i], &datagram->sockets[(size_t)i * datagram->workers],
			       datagram->workers, patience_ms);
		if (error == 0)
			continue;
		log_error(NULL, "datagram.listen: %s cannot be bound: %s",
			  settings->datagram_listen[i], strerror(-error));
		return false;
	}
	return true;
}

static bool
open_pager(struct keeper_datagram *datagram, const struct relay_settings *settings)
{
	const struct owner owner = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	const char *path = settings->webpager_socket;
	struct stat found;
	int error = 0;

	if (path == NULL)
		return true;
	/* A socket that a dead relay left may be replaced, a file may not. */
	if (lstat(path, &found) == 0 && !S_ISSOCK(found.st_mode))
		error = -EEXIST;
	if (error == 0)
		error = listener_open_datagrams(&datagram->pager, path,
						(mode_t)settings->webpager_mode, owner);
	if (error == 0) {
		datagram->pager_path = path;
		return true;
	}
	log_error(NULL, "webpager.socket: %s cannot be bound: %s", path, strerror(-error));
	return false;
}

bool
keeper_datagram_init(struct keeper_datagram *datagram, const struct relay_settings *settings,
		     uint32_t workers, uint32_t patience_ms)
{
	*datagram = (struct keeper_datagram){ .workers = workers, .pager = { .fd = -1 } };
	return bind_all(datagram, settings, patience_ms) && open_pager(datagram, settings);
}

void
keeper_datagram_fini(struct keeper_datagram *datagram)
{
	for (size_t i = 0; i < (size_t)datagram->addresses * datagram->workers; i++) {
		if (datagram->sockets[i] >= 0)
			close(datagram->sockets[i]);
	}
	free(datagram->sockets);
	if (datagram->pager_path != NULL)
		listener_close_path(&datagram->pager, datagram->pager_path);
	*datagram = (struct keeper_datagram){ .pager = { .fd = -1 } };
}

void
keeper_datagram_give(const struct keeper_datagram *datagram, uint32_t worker,
		     struct channel *channel)
{
	for (uint32_t i = 0; i < datagram->addresses; i++) {
		struct channel_message message = {
			.type = CHANNEL_DATAGRAM_SOCKET,
			.datagram_socket = { .number = i,
					     .count = datagram->addresses,
					     .family = datagram->families[i],
					     .worker = worker,
					     .workers = datagram->workers,
					     .any = datagram->is_any[i] },
		};

		channel_send(channel, &message,
			     datagram->sockets[(size_t)i * datagram->workers + worker]);
	}
}

void
keeper_datagram_give_pager(const struct keeper_datagram *datagram, struct channel *channel)
{
	struct channel_message message = { .type = CHANNEL_WEBPAGER_SOCKET };

	if (datagram->pager.fd >= 0)
		channel_send(channel, &message, datagram->pager.fd);
}
