/*
 * test_service_paths.c - where a service's sockets are: the client's rule with every fact that it
 * looks at, and the lengths that still fit.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "relay/service_paths.h"

static struct stat runtime;
static struct service_run_facts facts;
static char dir[SERVICE_RUN_DIR_SIZE];

static void
set_up(void)
{
	runtime = (struct stat){ .st_mode = S_IFDIR | 0700, .st_uid = 1000 };
	facts = (struct service_run_facts){
		.uid = 1000,
		.runtime = &runtime,
		.home = "/home/u",
		.node = "vm",
	};
}

TestSuite(service_paths, .init = set_up);

#define RUNTIME "/var/run/user/1000/prefork-interp"
#define HOME    "/home/u/.prefork-interp/vm"

static void
gives(const char *expect)
{
	cr_assert(service_run_dir(&facts, dir));
	cr_assert_str_eq(dir, expect);
}

Test(service_paths, the_runtime_directory_if_it_is_his_alone)
{
	gives(RUNTIME);
	facts.home = NULL;
	gives(RUNTIME);
	runtime.st_mode = S_IFDIR | S_ISVTX | 0500;
	gives(RUNTIME);
}

Test(service_paths, else_his_home)
{
	facts.runtime = NULL;
	gives(HOME);
	facts.runtime = &runtime;
	static const mode_t others[] = { 0701, 0702, 0704, 0710, 0720, 0740 };
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		runtime.st_mode = S_IFDIR | others[i];
		gives(HOME);
	}
	/* Neither a link to one nor anything else is a directory. */
	runtime.st_mode = S_IFLNK | 0700;
	gives(HOME);
	runtime.st_mode = S_IFREG | 0700;
	gives(HOME);
	runtime.st_mode = S_IFDIR | 0700;
	runtime.st_uid = 0;
	gives(HOME);
}

Test(service_paths, the_node_up_to_its_first_dot)
{
	facts.runtime = NULL;
	facts.node = "vm.example.edu";
	gives(HOME);
	facts.node = "";
	gives("/home/u/.prefork-interp/");
	facts.node = "a-b";
	facts.home = "/";
	gives("//.prefork-interp/a-b");
}

Test(service_paths, no_home)
{
	facts.runtime = NULL;
	facts.home = NULL;
	cr_assert_not(service_run_dir(&facts, dir));
	facts.home = "";
	cr_assert_not(service_run_dir(&facts, dir));
	facts.home = "relative";
	cr_assert_not(service_run_dir(&facts, dir));
}

/* The longest home in whose run directory an ident of one byte finds room. */
Test(service_paths, long_homes)
{
	char home[128], path[SERVICE_PATH_SIZE];
	size_t longest = SERVICE_RUN_DIR_SIZE - 1 - strlen("/.prefork-interp/vm");

	facts.runtime = NULL;
	facts.home = home;
	memset(home, '/', sizeof home);
	home[longest] = '\0';
	cr_assert(service_run_dir(&facts, dir));
	cr_assert_eq(strlen(dir), SERVICE_RUN_DIR_SIZE - 1);
	cr_assert_eq(service_ident_max(dir), 1);
	cr_assert(service_ident_path(dir, PFI_PATH_SOCKET, "a", path));
	cr_assert_not(service_ident_path(dir, PFI_PATH_SOCKET, "ab", path));
	home[longest] = '/';
	home[longest + 1] = '\0';
	cr_assert_not(service_run_dir(&facts, dir));
}

Test(service_paths, idents)
{
	char path[SERVICE_PATH_SIZE], ident[SERVICE_PATH_SIZE];

	cr_assert(service_ident_path("/root/.prefork-interp/vm", PFI_PATH_SOCKET, "st1", path));
	cr_assert_str_eq(path, "/root/.prefork-interp/vm/sst1");
	cr_assert(service_ident_path("/root/.prefork-interp/vm", PFI_PATH_EXTENDED, "st1", path));
	cr_assert_str_eq(path, "/root/.prefork-interp/vm/xst1");
	cr_assert(service_ident_path("/r", PFI_PATH_SOCKET, "..", path));
	cr_assert_str_eq(path, "/r/s..");
	cr_assert_not(service_ident_path("/r", PFI_PATH_SOCKET, "", path));
	cr_assert_not(service_ident_path("/r", PFI_PATH_SOCKET, "a/b", path));

	/* As the client was seen to take them: 72 in this directory of 24 bytes, no more. */
	cr_assert_eq(service_ident_max("/root/.prefork-interp/vm"), 72);
	memset(ident, 'i', sizeof ident);
	ident[72] = '\0';
	cr_assert(service_ident_path("/root/.prefork-interp/vm", PFI_PATH_SOCKET, ident, path));
	cr_assert_eq(strlen(path), strlen("/root/.prefork-interp/vm/s") + 72);
	ident[72] = 'i';
	ident[73] = '\0';
	cr_assert_not(service_ident_path("/root/.prefork-interp/vm", PFI_PATH_SOCKET, ident, path));
	/* The bound that settings.def knows is that of the shortest directory. */
	cr_assert_eq(service_ident_max("/r"), SERVICE_IDENT_MAX);
}

Test(service_paths, private_sockets)
{
	char path[SERVICE_PATH_SIZE], run_dir[SERVICE_PATH_SIZE];
	size_t longest = SERVICE_PATH_SIZE - sizeof "/svc/hello.4294967295";

	cr_assert(service_private_path("/run/relay", "hello", 7, path));
	cr_assert_str_eq(path, "/run/relay/svc/hello.7");
	memset(run_dir, 'r', sizeof run_dir);
	run_dir[longest] = '\0';
	cr_assert(service_private_path(run_dir, "hello", UINT32_MAX, path));
	cr_assert_eq(strlen(path), SERVICE_PATH_SIZE - 1);
	run_dir[longest] = 'r';
	run_dir[longest + 1] = '\0';
	cr_assert_not(service_private_path(run_dir, "hello", UINT32_MAX, path));
	cr_assert(service_private_path(run_dir, "hello", 999999999, path));
}

/* The environment has no say in it. */
Test(service_paths, this_machine)
{
	char before[SERVICE_RUN_DIR_SIZE];

	if (!service_run_dir_of(getuid(), before))
		cr_skip_test("this user has no home");
	setenv("HOME", "/elsewhere", 1);
	setenv("XDG_RUNTIME_DIR", "/elsewhere", 1);
	cr_assert(service_run_dir_of(getuid(), dir));
	cr_assert_str_eq(dir, before);
	cr_assert_null(strstr(dir, "elsewhere"));
	cr_assert_not_null(strstr(dir, "prefork-interp"));
	cr_assert_geq(service_ident_max(dir), 1);
}

/* His runtime directory comes with his first session and goes with the last one. */
Test(service_paths, an_ident_moves_with_the_runtime_directory)
{
	char runtime_path[SERVICE_PATH_SIZE], home_path[SERVICE_PATH_SIZE];

	cr_assert(service_run_dir(&facts, dir));
	cr_assert(service_ident_path(dir, PFI_PATH_SOCKET, "hello", runtime_path));
	cr_assert(service_ident_stands(&facts, runtime_path));
	facts.runtime = NULL;
	cr_assert(service_run_dir(&facts, dir));
	cr_assert(service_ident_path(dir, PFI_PATH_SOCKET, "hello", home_path));
	cr_assert(service_ident_stands(&facts, home_path));
	cr_assert_not(service_ident_stands(&facts, runtime_path));
	facts.runtime = &runtime;
	cr_assert_not(service_ident_stands(&facts, home_path));
	cr_assert(service_ident_stands(&facts, runtime_path));
	runtime.st_mode |= 05;
	cr_assert(service_ident_stands(&facts, home_path), "others have rights there");
}
