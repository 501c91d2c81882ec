/*
 * relayd.c - the command line of relayd.
 */
#include "relay/config.h"
#include "relay/config_datagram.h"
#include "relay/config_tls.h"
#include "relay/daemonize.h"
#include "relay/keeper.h"
#include "relay/log.h"
#include "relay/pid_file.h"
#include "relay/sandbox.h"
#include "relay/service_manager.h"
#include "relay/version.h"
#include "uring/explain.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OPTION_CHECK = 256,
	OPTION_LONCAPA,
	OPTION_PROBE,
	OPTION_VERSION,
	OPTIONS_MAX = 256
};

struct command_line {
	struct config_source source;
	const char *options[OPTIONS_MAX];
	bool check;
	bool foreground;
	bool probe;
};

static const struct option LONG_OPTIONS[] = {
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "config", required_argument, NULL, 'c' },
	{ "foreground", no_argument, NULL, 'F' },
	{ "help", no_argument, NULL, 'h' },
	{ "loncapa", required_argument, NULL, OPTION_LONCAPA },
	{ "option", required_argument, NULL, 'o' },
	{ "probe", no_argument, NULL, OPTION_PROBE },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static void
usage(FILE *to)
{
	fputs(
	    "usage: relayd [-F] [--loncapa DIR] [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	    "       relayd --check [--loncapa DIR] [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	    "       relayd --probe\n"
	    "\n"
	    "  -F, --foreground     stay in the foreground, log to standard error\n"
	    "      --loncapa DIR    read DIR/loncapa.conf and DIR/loncapa_apache.conf, and the\n"
	    "                       hosts.tab that they name\n"
	    "  -c, --config FILE    read the relay's own configuration\n"
	    "  -o, --option S.K=V   one setting, as in the file: relay.workers=2,\n"
	    "                       defaults.pipeline=32, 'host msul1.pipeline=32'\n"
	    "      --check          say what is wrong with the configuration, print what it means\n"
	    "      --probe          say whether io_uring works here, what keeps it from doing so, "
	    "and\n"
	    "                       what the sandbox is made of\n"
	    "      --version\n"
	    "\n"
	    "exit status: 0 ok, 64 usage, 69 io_uring is refused, 71 system error, 78 "
	    "configuration\n",
	    to);
}

/* EXIT_OK to go on; otherwise *status is what to exit with. */
static bool
parse(int argc, char **argv, struct command_line *line, enum exit_status *status)
{
	int option;

	*status = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "c:Fho:", LONG_OPTIONS, NULL)) != -1) {
		switch (option) {
		case 'c':
			line->source.conf_file = optarg;
			break;
		case 'F':
			line->foreground = true;
			break;
		case 'o':
			if (line->source.option_count == OPTIONS_MAX) {
				fputs("relayd: too many options -o\n", stderr);
				return false;
			}
			line->options[line->source.option_count++] = optarg;
			break;
		case OPTION_LONCAPA:
			line->source.loncapa_dir = optarg;
			break;
		case OPTION_CHECK:
			line->check = true;
			break;
		case OPTION_PROBE:
			line->probe = true;
			break;
		case OPTION_VERSION:
			puts("relayd " RELAY_VERSION);
			*status = EXIT_OK;
			return false;
		case 'h':
			usage(stdout);
			*status = EXIT_OK;
			return false;
		default:
			usage(stderr);
			return false;
		}
	}
	line->source.options = line->options;
	if (optind != argc || (int)line->check + (int)line->foreground + (int)line->probe > 1) {
		fputs("relayd: give at most one of -F, --check and --probe\n", stderr);
		usage(stderr);
		return false;
	}
	if (!line->probe && line->source.loncapa_dir == NULL && line->source.conf_file == NULL) {
		fputs("relayd: nothing to read: give --loncapa DIR, -c FILE or both\n", stderr);
		return false;
	}
	return true;
}

/* As root: becomes relay.user for good, before anything is bound or forked. */
static bool
drop_root(const char *user)
{
	if (geteuid() != 0)
		return true;
	if (user == NULL) {
		log_warning(NULL, "running as root: set relay.user to run as somebody else");
		return true;
	}
	errno = 0;
	struct passwd *entry = getpwnam(user);
	if (entry == NULL) {
		log_error(NULL, "relay.user: there is no user %s", user);
		return false;
	}
	if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
	    setuid(entry->pw_uid) != 0) {
		log_error(NULL, "cannot become %s: %s", user, strerror(errno));
		return false;
	}
	return true;
}

/* false: another instance runs, or the file cannot be had. */
static bool
take_pid_file(struct pid_file *file, const struct config *config, enum exit_status *status)
{
	char path[PATH_MAX];
	char why[PID_FILE_TEXT_MAX];

	*file = (struct pid_file){ .fd = -1 };
	if (config->daemons_dir == NULL)
		return true;
	snprintf(path, sizeof path, "%s/logs/lonc.pid", config->daemons_dir);
	int error = pid_file_take(file, path, why, sizeof why);
	if (error == 0) {
		if (why[0] != '\0')
			log_warning(NULL, "%s", why);
		return true;
	}
	if (error == -ENOENT) {
		log_warning(NULL, "%s/logs does not exist: no pid file and no log files",
			    config->daemons_dir);
		return true;
	}
	log_error(NULL, "%s", why);
	*status = error == -EEXIST ? EXIT_UNAVAILABLE : EXIT_OS;
	return false;
}

/* In the process that stays: the background one, unless -F was given. */
static enum exit_status
serve(const struct command_line *line, struct config *config, struct service_manager *manager)
{
	struct daemonize daemonize = { .starter = -1 };
	struct pid_file pid_file = { .fd = -1 }; /* a site may have no place for one */
	enum exit_status status = EXIT_OS;

	if (!drop_root(config->relay.user))
		return EXIT_CONFIG;
	if (!line->foreground && daemonize_begin(&daemonize) != 0) {
		log_error(NULL, "cannot go into the background: %s", strerror(errno));
		return EXIT_OS;
	}
	if (take_pid_file(&pid_file, config, &status)) {
		/* Only control has to know them, and it reads them itself. */
		config_datagram_drop(config);
		config_tls_wipe(config);
		struct keeper_options options = {
			.config = config,
			.source = &line->source,
			.manager = manager,
			.daemonize = line->foreground ? NULL : &daemonize,
		};
		status = keeper_run(&options);
		pid_file_release(&pid_file);
	}
	daemonize_close(&daemonize);
	return status;
}

static int
probe(void)
{
	int error = uring_report(stdout);

	sandbox_report(stdout);
	return error == 0 ? EXIT_OK : EXIT_UNAVAILABLE;
}

int
main(int argc, char **argv)
{
	static struct command_line line;
	static struct report report;
	struct config config = { 0 };
	struct service_manager manager = { 0 };
	enum exit_status status;

	if (!parse(argc, argv, &line, &status))
		return (int)status;
	if (line.probe)
		return probe();
	service_manager_init(&manager, &report);
	bool loaded = config_load(&config, &line.source, &report);
	report_print(stderr, &report);
	report_fini(&report);
	status = EXIT_OK;
	if (!loaded)
		status = EXIT_CONFIG;
	else if (line.check)
		config_print(stdout, &config);
	else
		status = serve(&line, &config, &manager);
	service_manager_fini(&manager);
	config_free(&config);
	return (int)status;
}
