/*
 * keeper_gateways.c - see keeper_gateways.h.
 *
 * Reads neither certificates nor keys, and never accepts.  Owns the sockets.
 */
#include "relay/keeper_gateways.h"

#include "relay/listen_address.h"
#include "relay/log.h"
#include "relay/relay_conf.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static_assert(SETTINGS_GATEWAY_LISTEN_MAX <= GATEWAY_LISTEN_MAX, "all of them have a number");
static_assert(CONFIG_GATEWAYS_MAX <= GATEWAYS_MAX, "all of them have an index");
static_assert(CONFIG_GATEWAY_NAME_MAX <= GATEWAY_NAME_MAX, "every name has room");

/* --- what relay.conf says --------------------------------------------------------------------- */

static void
note_gateway(struct keeper_gateways *gateways, const char *name, char *const *listen)
{
	struct listen_address address;

	for (; listen != NULL && *listen != NULL; listen++) {
		if (gateways->read_count == KEEPER_GATEWAY_ADDRESSES ||
		    strlen(name) > GATEWAY_NAME_MAX || !listen_address_parse(*listen, &address) ||
		    address.any.sa_family == AF_UNIX)
			continue;
		struct keeper_gateway_address *read = &gateways->read[gateways->read_count++];
		*read = (struct keeper_gateway_address){ .fd = -1 };
		memcpy(read->name, name, strlen(name));
		read->address = address.storage;
		read->address_len = address.len;
	}
}

/* What is wrong with the file is control's to say: then nothing new is opened. */
static void
read_file(struct keeper_gateways *gateways)
{
	const struct config_source *source = gateways->source;
	struct report report = { .count = 0 };
	struct relay_conf conf;

	gateways->read_count = 0;
	if (relay_conf_load(&conf, source->conf_file, source->options, source->option_count,
			    &report)) {
		for (size_t i = 0; i < conf.gateway_count; i++) {
			struct gateway_settings settings;

			settings_init(SETTING_SECTION_GATEWAY, &settings);
			if (relay_conf_apply_gateway(&conf, i, &settings))
				note_gateway(gateways, relay_conf_gateway_name(&conf, i),
					     settings.listen);
			settings_fini(SETTING_SECTION_GATEWAY, &settings);
		}
	}
	relay_conf_fini(&conf);
	report_fini(&report);
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* How often the file is read is bounded by how often it changes, not by how often is asked. */
static void
read_again(struct keeper_gateways *gateways, uint64_t now)
{
	struct stat file = { 0 };

	if (gateways->source->conf_file != NULL && stat(gateways->source->conf_file, &file) != 0)
		file = (struct stat){ 0 };
	if (gateways->was_read && is_same_file(&file, &gateways->file) &&
	    now - gateways->read_at < KEEPER_GATEWAYS_READ_MS)
		return;
	/* Noted before it is read: what changes meanwhile shows the next time. */
	gateways->file = file;
	gateways->read_at = now;
	gateways->was_read = true;
	read_file(gateways);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static bool
is_it(const struct keeper_gateway_address *address, const struct channel_gateway_listen *wanted)
{
	return address->name[0] != '\0' && strcmp(address->name, wanted->name) == 0 &&
	       address->address_len == wanted->address_len &&
	       memcmp(&address->address, &wanted->address, wanted->address_len) == 0;
}

static struct keeper_gateway_address *
find_open(struct keeper_gateways *gateways, const struct channel_gateway_listen *wanted)
{
	for (uint32_t i = 0; i < KEEPER_GATEWAY_ADDRESSES; i++) {
		if (is_it(&gateways->open[i], wanted))
			return &gateways->open[i];
	}
	return NULL;
}

static bool
is_configured(const struct keeper_gateways *gateways, const struct channel_gateway_listen *wanted)
{
	for (uint32_t i = 0; i < gateways->read_count; i++) {
		if (is_it(&gateways->read[i], wanted))
			return true;
	}
	return false;
}

static struct keeper_gateway_address *
find_free(struct keeper_gateways *gateways)
{
	for (uint32_t i = 0; i < KEEPER_GATEWAY_ADDRESSES; i++) {
		if (gateways->open[i].name[0] == '\0')
			return &gateways->open[i];
	}
	return NULL;
}

static int
set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof on) == 0 ? 0 : -errno;
}

/* What is set here the connections inherit: bytes leave whole, once per turn, and who is gone
 * without a word is found out. */
static int
open_socket(const struct channel_gateway_listen *wanted)
{
	const struct sockaddr *address = (const void *)&wanted->address;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int error = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (error == 0 && address->sa_family == AF_INET6)
		error = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (error == 0)
		error = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (error == 0)
		error = set_on(fd, SOL_SOCKET, SO_KEEPALIVE);
	if (error == 0 && (bind(fd, address, wanted->address_len) != 0 ||
			   listen(fd, INT32_MAX) != 0)) /* cut to net.core.somaxconn */
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* 0, or a negative errno. */
static int
open_address(struct keeper_gateways *gateways, const struct channel_gateway_listen *wanted,
	     uint64_t now, struct keeper_gateway_address **address)
{
	*address = find_open(gateways, wanted);
	if (*address != NULL)
		return 0;
	if (!is_configured(gateways, wanted))
		read_again(gateways, now);
	if (!is_configured(gateways, wanted))
		return -ESTALE;
	*address = find_free(gateways);
	if (*address == NULL)
		return -ENOSPC;
	int fd = open_socket(wanted);
	if (fd < 0)
		return fd;
	**address = (struct keeper_gateway_address){ .fd = fd,
						     .address = wanted->address,
						     .address_len = wanted->address_len };
	memcpy((*address)->name, wanted->name, sizeof wanted->name);
	return 0;
}

static void
close_address(struct keeper_gateway_address *address)
{
	if (address == NULL || address->name[0] == '\0')
		return;
	close(address->fd);
	*address = (struct keeper_gateway_address){ .fd = -1 };
}

/* --- messages --------------------------------------------------------------------------------- */

static void
on_listen(struct keeper_gateways *gateways, const struct channel_gateway_listen *wanted,
	  struct channel *channel, uint64_t now)
{
	struct channel_message answer = { .type = CHANNEL_GATEWAY_LISTENER,
					  .gateway_listen = *wanted };
	struct keeper_gateway_address *address = NULL;

	answer.gateway_listen.error = open_address(gateways, wanted, now, &address);
	if (address != NULL)
		address->named = true;
	channel_send(channel, &answer,
		     answer.gateway_listen.error == 0 && address != NULL ? address->fd : -1);
}

bool
keeper_gateways_on_message(struct keeper_gateways *gateways, const struct channel_message *message,
			   struct channel *channel, uint64_t now)
{
	struct channel_gateway_listen wanted = message->gateway_listen;

	if (message->type != CHANNEL_GATEWAY_LISTEN && message->type != CHANNEL_GATEWAY_UNLISTEN)
		return false;
	wanted.name[sizeof wanted.name - 1] = '\0';
	if (wanted.address_len > sizeof wanted.address)
		wanted.address_len = sizeof wanted.address;
	if (message->type == CHANNEL_GATEWAY_LISTEN)
		on_listen(gateways, &wanted, channel, now);
	else
		close_address(find_open(gateways, &wanted));
	return true;
}

void
keeper_gateways_mark(struct keeper_gateways *gateways)
{
	for (uint32_t i = 0; i < KEEPER_GATEWAY_ADDRESSES; i++)
		gateways->open[i].named = false;
}

void
keeper_gateways_sweep(struct keeper_gateways *gateways)
{
	for (uint32_t i = 0; i < KEEPER_GATEWAY_ADDRESSES; i++) {
		if (!gateways->open[i].named)
			close_address(&gateways->open[i]);
	}
}

void
keeper_gateways_init(struct keeper_gateways *gateways, const struct config_source *source)
{
	*gateways = (struct keeper_gateways){ .source = source };
}

void
keeper_gateways_fini(struct keeper_gateways *gateways)
{
	keeper_gateways_mark(gateways);
	keeper_gateways_sweep(gateways);
}
