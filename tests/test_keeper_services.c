/*
 * test_keeper_services.c - the processes of services in the keeper: what is told of their set-up
 * and end, how they are ended, and that those who do not listen are killed.
 */
#include "relay/keeper_services.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/services_stage.h"

TestSuite(keeper_services, .init = init, .fini = fini);

Test(keeper_services, is_warm_and_ends_when_let_go)
{
	start(1, "perl", "-e", SERVER, WAIT_MS);
	cr_assert(has_socket(1));
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	cr_assert_eq(is.index, 3);
	cr_assert_eq(is.generation, 1);
	cr_assert_eq(services.generation_last, 1);
	run_round(child_clock_ms() + 1000000);
	cr_assert_eq(services.generation_count, 1, "time does nothing to it");

	end(1);
	cr_assert_not(has_socket(1), "no new call comes");
	wait_until_empty(0);
	cr_assert(is_silent(), "who asked for the end knows of it");
	end(1); /* again: there is none */
}

Test(keeper_services, stubborn_server_is_killed)
{
	start(1, "perl", "-e", STUBBORN, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	end(1);
	for (int i = 0; i < 20; i++)
		run_round(child_clock_ms() + GRACE_MS / 2);
	cr_assert_eq(services.generation_count, 1, "it has its time");
	wait_until_empty(GRACE_MS);
}

Test(keeper_services, server_that_goes_is_told)
{
	start(1, "sh", "-c", "sleep 0.1 & exit 0", WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_GONE);
	cr_assert_eq(is.generation, 1);
	cr_assert_eq(services.generation_count, 0);
	cr_assert_not(has_socket(1));
}

Test(keeper_services, failed_set_ups)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{ "exit 3", 3 << 8 },
		{ "kill -9 $$", SIGKILL },
		{ "exec /nothing/of/the/kind 2>/dev/null", 127 << 8 },
		{ "exit 0", 0 },                  /* without a server */
		{ "sleep 300 & exit 1", 1 << 8 }, /* with one, which is killed */
		{ "exec 3>&- 5>&-; exit 0", 0 },  /* it let go of its sentinel before its end */
	};

	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start(i + 1, "sh", "-c", cases[i].text, WAIT_MS);
		struct channel_service_process is = told();
		cr_assert_eq(is.what, SERVICE_PROCESS_FAILED, "%s", cases[i].text);
		cr_assert_eq(is.generation, i + 1);
		cr_assert_eq(is.status, cases[i].status, "%s: %d", cases[i].text, is.status);
		wait_until_empty(0);
		cr_assert_not(has_socket(i + 1));
		cr_assert(is_silent());
	}
}

Test(keeper_services, set_up_that_takes_too_long_is_killed)
{
	start(1, "sh", "-c", "trap '' TERM INT; sleep 300; exit 0", 30);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_FAILED);
	cr_assert_eq(is.status, -1);
	wait_until_empty(0);
	cr_assert(is_silent(), "it is told once");
}

Test(keeper_services, set_up_that_is_not_wanted_any_more_is_killed)
{
	start(1, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	end(1);
	wait_until_empty(0);
	cr_assert(is_silent());
}

Test(keeper_services, those_of_the_last_control_end)
{
	start(1, "perl", "-e", SERVER, WAIT_MS);
	cr_assert_eq(told().what, SERVICE_PROCESS_WARM);
	start(2, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	keeper_services_mark(&services);
	keeper_services_sweep(&services);
	cr_assert_eq(services.generation_count, 2);
	cr_assert(has_socket(1), "another sync of the same one changes nothing");
	control.pid = 4711;
	keeper_services_mark(&services);
	start(3, "perl", "-e", SERVER, WAIT_MS);
	keeper_services_sweep(&services);
	struct channel_service_process is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	cr_assert_eq(is.generation, 3, "of the others nothing is told");
	uint64_t until = child_clock_ms() + WAIT_MS;
	while (services.generation_count > 1) {
		cr_assert_lt(child_clock_ms(), until);
		run_round(child_clock_ms());
	}
	cr_assert(has_socket(3));
	end(1); /* it is not this one's */
	cr_assert_eq(services.generation_count, 1);
}

Test(keeper_services, stop_ends_all)
{
	struct channel_service_process is;

	start(1, "perl", "-e", SERVER, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	start(2, "perl", "-e", STUBBORN, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_WARM);
	start(3, "sh", "-c", "sleep 300; exit 0", WAIT_MS);
	cr_assert_not(keeper_services_stop(&services, false));
	start(4, "perl", "-e", SERVER, WAIT_MS);
	is = told();
	cr_assert_eq(is.what, SERVICE_PROCESS_FAILED, "nothing is begun any more");
	wait_until_empty(0);
	cr_assert(keeper_services_stop(&services, false));
}

static void
make_socket(char *path, size_t size, const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, size, "%s/left", dir);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

/* What an earlier relay left is removed, and only where it left it. */
Test(keeper_services, only_its_own_directory_is_swept)
{
	char theirs[128], ours[128], path[160];

	snprintf(theirs, sizeof theirs, "%s/theirs", temp_dir);
	snprintf(ours, sizeof ours, "%s/" SERVICE_PRIVATE_DIR, temp_dir);
	cr_assert_eq(mkdir(theirs, 0700), 0);
	make_socket(path, sizeof path, theirs);
	cr_assert_eq(symlink(theirs, ours), 0);
	service_child_sweep_dir(ours);
	cr_assert_eq(access(path, F_OK), 0, "a link led elsewhere");

	cr_assert_eq(unlink(ours), 0);
	cr_assert_eq(service_child_make_dir(ours), 0);
	cr_assert_eq(chmod(ours, 0770), 0);
	cr_assert_eq(service_child_make_dir(ours), -EPERM, "others could answer there");
	cr_assert_eq(chmod(ours, 0700), 0);
	make_socket(path, sizeof path, ours);
	if (geteuid() == 0) {
		cr_assert_eq(chown(ours, 65534, 65534), 0);
		service_child_sweep_dir(ours);
		cr_assert_eq(access(path, F_OK), 0, "the directory is somebody else's");
		cr_assert_eq(chown(ours, 0, 0), 0);
	}
	service_child_sweep_dir(ours);
	cr_assert_neq(access(path, F_OK), 0);
}
