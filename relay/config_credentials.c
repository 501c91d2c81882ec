/*
 * config_credentials.c - reads certificates and keys once per set of files, refuses what could
 * never serve, and warns of what does not serve any more.
 *
 * Never shows what is in a key, and wipes the bytes before their memory is given back.  Owns
 * nothing: all goes to the caller's struct config.
 */
#include "relay/config_credentials.h"

#include "relay/config_tls.h"
#include "relay/permissions.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A key must not be open to others, nor changed by the group. */
#define KEY_MODE_REFUSED 0037

static const char *const names[TLS_FILE_COUNT] = { "ca", "cert", "key" };
static const size_t limits[TLS_FILE_COUNT] = { TLS_CA_MAX, TLS_CERT_MAX, TLS_KEY_MAX };

struct reading {
	struct config *config;
	struct report *report;
	const struct passwd *user; /* who will read them; NULL: who reads them now */
	bool good;
};

static void
refuse(struct reading *reading, const char *path, enum tls_file file, const char *wrong)
{
	report_add(reading->report, REPORT_FATAL, path, 0, "%s: %s", names[file], wrong);
	reading->good = false;
}

static struct wire_span
span_of(const struct config_credentials *set, enum tls_file file)
{
	size_t at = 0;

	for (size_t i = 0; i < file; i++)
		at += set->lengths[i];
	return wire_span(set->bytes + at, set->lengths[file]);
}

/* --- one file --------------------------------------------------------------------------------- */

/* As the user who will serve.  0, or the errno of the open. */
static int
try_as(const struct passwd *user, const char *path)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
		    setuid(user->pw_uid) != 0)
			_exit(EPERM);
		_exit(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) < 0 ? errno : 0);
	}
	if (child < 0)
		return errno;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* NULL, or why it may not be used. */
static const char *
check_file(const struct stat *found, enum tls_file file, char *text, size_t size)
{
	if (!S_ISREG(found->st_mode))
		return "not a regular file";
	if ((size_t)found->st_size > limits[file])
		return "too long";
	if (file != TLS_FILE_KEY || (found->st_mode & KEY_MODE_REFUSED) == 0)
		return NULL;
	snprintf(
	    text, size,
	    "mode %04o: a key that others can read or the group can write is none; mend it by: "
	    "chmod 0600, or 0640 with the group of relay.user",
	    (unsigned)(found->st_mode & 07777));
	return text;
}

/* The descriptor, or -1: it was refused. */
static int
open_file(struct reading *reading, const char *path, enum tls_file file, size_t *size)
{
	/* Not waiting for the writer of a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat found;
	char text[200];
	const char *wrong = NULL;
	int error = 0;

	if (fd < 0 || fstat(fd, &found) != 0) {
		wrong = strerror(errno);
	} else {
		wrong = check_file(&found, file, text, sizeof text);
		*size = (size_t)found.st_size;
		if (wrong == NULL && reading->user != NULL)
			error = try_as(reading->user, path);
	}
	if (error != 0) {
		snprintf(text, sizeof text, "relay.user %.80s cannot read it: %s",
			 reading->user->pw_name, strerror(error));
		wrong = text;
	}
	if (wrong == NULL && !permissions_check_file(path, names[file], reading->report)) {
		reading->good = false;
		close(fd);
		return -1;
	}
	if (wrong == NULL)
		return fd;
	refuse(reading, path, file, wrong);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Up to `size` bytes; what is written to the file meanwhile is for the next load. */
static size_t
read_whole(int fd, unsigned char *text, size_t size)
{
	size_t len = 0;
	ssize_t got = 1;

	while (len < size && got > 0) {
		got = read(fd, text + len, size - len);
		if (got > 0)
			len += (size_t)got;
	}
	return len;
}

/* --- a set of three --------------------------------------------------------------------------- */

static void
wipe(struct config_credentials *set)
{
	size_t size = 0;

	for (size_t i = 0; i < TLS_FILE_COUNT; i++)
		size += set->lengths[i];
	if (set->bytes != NULL)
		explicit_bzero(set->bytes, size);
	free(set->bytes);
	set->bytes = NULL;
}

/* All files are opened before one is read: one look shows all that is wrong with them. */
static void
read_files(struct reading *reading, struct config_credentials *set)
{
	int fds[TLS_FILE_COUNT];
	size_t sizes[TLS_FILE_COUNT] = { 0 };
	size_t room = 0;
	bool opened = true;

	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		fds[i] = open_file(reading, set->paths[i], (enum tls_file)i, &sizes[i]);
		opened &= fds[i] >= 0;
		room += sizes[i];
	}
	if (opened)
		set->bytes = malloc(room + 1);
	unsigned char *at = set->bytes;
	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		if (at != NULL) {
			set->lengths[i] = read_whole(fds[i], at, sizes[i]);
			at += set->lengths[i];
		}
		if (fds[i] >= 0)
			close(fds[i]);
	}
	if (opened && set->bytes == NULL)
		refuse(reading, set->paths[0], TLS_FILE_CA, "out of memory");
}

static void
format_day(int64_t seconds, char text[32])
{
	time_t at = (time_t)seconds;
	struct tm parts;

	if (gmtime_r(&at, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M UTC", &parts) == 0)
		snprintf(text, 32, "an unknown time");
}

/* Time alone is no reason not to serve: what is over may be renewed meanwhile. */
static void
warn_of_expiry(struct reading *reading, const struct config_credentials *set)
{
	int64_t now = (int64_t)time(NULL);
	int64_t early = (int64_t)(reading->config->relay.tls_expiry_warn_ms / 1000);
	const char *path = set->paths[TLS_FILE_CERT];
	char day[32];

	format_day(set->found.not_after, day);
	if (set->found.not_after <= now)
		report_add(reading->report, REPORT_WARNING, path, 0,
			   "cert: expired at %s: no peer will take it", day);
	else if (set->found.not_after - now <= early)
		report_add(reading->report, REPORT_WARNING, path, 0, "cert: expires at %s", day);
	if (set->found.not_before > now) {
		format_day(set->found.not_before, day);
		report_add(reading->report, REPORT_WARNING, path, 0, "cert: not valid before %s",
			   day);
	}
	if (set->found.ca_not_after <= now) {
		format_day(set->found.ca_not_after, day);
		report_add(reading->report, REPORT_WARNING, set->paths[TLS_FILE_CA], 0,
			   "ca: expired at %s: no peer will be trusted", day);
	}
}

static void
look_at(struct reading *reading, struct config_credentials *set)
{
	struct wire_span files[TLS_FILE_COUNT];
	enum tls_file which = TLS_FILE_CA;

	if (set->bytes == NULL)
		return;
	for (size_t i = 0; i < TLS_FILE_COUNT; i++)
		files[i] = span_of(set, (enum tls_file)i);
	tls_material_digest(files, TLS_FILE_COUNT, set->digest);
	const char *wrong = tls_material_look(files, &set->found, &which);
	if (wrong != NULL)
		refuse(reading, set->paths[which], which, wrong);
	else
		warn_of_expiry(reading, set);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool
is_set_of(const struct config_credentials *set, char *const paths[TLS_FILE_COUNT])
{
	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		assert(set->paths[i] != NULL); /* one without paths is not counted */
		if (strcmp(set->paths[i], paths[i]) != 0)
			return false;
	}
	return true;
}

/* Looks from the last one on: hosts that share theirs mostly follow each other. */
static uint32_t
find(const struct config *config, char *const paths[TLS_FILE_COUNT])
{
	for (size_t i = config->credential_count; i > 0; i--)
		if (is_set_of(&config->credentials[i - 1], paths))
			return (uint32_t)(i - 1);
	return CONFIG_CREDENTIALS_NONE;
}

/* All of them or, without memory, none. */
static bool
copy_paths(struct config_credentials *set, char *const paths[TLS_FILE_COUNT])
{
	bool copied = true;

	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		set->paths[i] = strdup(paths[i]);
		copied &= set->paths[i] != NULL;
	}
	for (size_t i = 0; i < TLS_FILE_COUNT && !copied; i++) {
		free(set->paths[i]);
		set->paths[i] = NULL;
	}
	return copied;
}

/* The number of the set with these paths, which is read if nobody named it before. */
static uint32_t
number_of(struct reading *reading, char *ca, char *cert, char *key)
{
	struct config *config = reading->config;
	char *const paths[TLS_FILE_COUNT] = { ca, cert, key };
	uint32_t number = find(config, paths);

	if (number != CONFIG_CREDENTIALS_NONE)
		return number;
	if (config->credential_count == CONFIG_CREDENTIALS_MAX) {
		if (reading->good)
			report_add(reading->report, REPORT_FATAL, NULL, 0,
				   "more than %d different sets of ca, cert and key",
				   CONFIG_CREDENTIALS_MAX);
		reading->good = false;
		return CONFIG_CREDENTIALS_NONE;
	}
	struct config_credentials *set = &config->credentials[config->credential_count];
	if (!copy_paths(set, paths)) {
		report_add(reading->report, REPORT_FATAL, NULL, 0, "out of memory");
		reading->good = false;
		return CONFIG_CREDENTIALS_NONE;
	}
	number = (uint32_t)config->credential_count++;
	read_files(reading, set);
	look_at(reading, set);
	return number;
}

static bool
are_wanted(const struct config *config)
{
	bool wanted = config->gateway_count > 0;

	for (size_t i = 0; i < config->host_count && !wanted; i++)
		wanted = config->hosts[i].settings.tls != HOST_TLS_OFF;
	return wanted;
}

bool
config_credentials_load(struct config *config, bool serving, struct report *report)
{
	struct reading reading = { .config = config, .report = report, .good = true };

	if (!are_wanted(config))
		return true;
	config->credentials = calloc(CONFIG_CREDENTIALS_MAX, sizeof *config->credentials);
	if (config->credentials == NULL) {
		report_add(report, REPORT_FATAL, NULL, 0, "out of memory");
		return false;
	}
	/* As relayd.c drops root: a number is no user there; one that is missing is said there. */
	if (!serving && geteuid() == 0 && config->relay.user != NULL)
		reading.user = getpwnam(config->relay.user);
	for (size_t i = 0; i < config->gateway_count && reading.good; i++) {
		struct config_gateway *gateway = &config->gateways[i];
		struct gateway_settings *set = &gateway->settings;

		gateway->credentials = number_of(&reading, set->ca, set->cert, set->key);
	}
	for (size_t i = 0; i < config->host_count && reading.good; i++) {
		struct config_host *host = &config->hosts[i];

		if (host->settings.tls != HOST_TLS_OFF)
			host->credentials = number_of(&reading, host->section.ca,
						      host->section.cert, host->section.key);
	}
	return reading.good;
}

bool
config_credentials_same(const struct config_credentials *a, const struct config_credentials *b)
{
	return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

struct wire_span
config_credentials_bytes(const struct config_credentials *set, enum tls_file file)
{
	return set->bytes == NULL ? wire_span(NULL, 0) : span_of(set, file);
}

void
config_tls_wipe(struct config *config)
{
	for (size_t i = 0; i < config->credential_count; i++)
		wipe(&config->credentials[i]);
}

void
config_credentials_drop(struct config *config)
{
	config_tls_wipe(config);
	for (size_t i = 0; i < config->credential_count; i++)
		for (size_t j = 0; j < TLS_FILE_COUNT; j++)
			free(config->credentials[i].paths[j]);
	free(config->credentials);
	config->credentials = NULL;
	config->credential_count = 0;
}
