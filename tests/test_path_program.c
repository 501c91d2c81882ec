/*
 * test_path_program.c - programs that could be started, and why others could not.
 */
#include "tests/temp_dir.h"

#include "relay/path_program.h"

TestSuite(path_program, .init = temp_dir_make, .fini = temp_dir_remove);

static void
make_program(const char *name, mode_t mode)
{
	temp_write(name, "#!/bin/sh\n");
	cr_assert_eq(chmod(temp_path(name), mode), 0);
}

Test(path_program, paths)
{
	make_program("good", 0755);
	make_program("text", 0644);
	cr_assert_eq(mkdir(temp_path("dir"), 0755), 0);
	cr_assert_eq(symlink("good", temp_path("link")), 0);
	cr_assert_eq(path_program_check(temp_path("good")), 0);
	cr_assert_eq(path_program_check(temp_path("link")), 0);
	cr_assert_eq(path_program_check(temp_path("text")), -EACCES);
	cr_assert_eq(path_program_check(temp_path("dir")), -EACCES);
	cr_assert_eq(path_program_check(temp_path("absent")), -ENOENT);
	cr_assert_eq(path_program_check(temp_path("text/below")), -ENOTDIR);
	cr_assert_eq(path_program_check(""), -ENOENT);
}

Test(path_program, names)
{
	char path[512];

	cr_assert_eq(mkdir(temp_path("a"), 0755), 0);
	cr_assert_eq(mkdir(temp_path("b"), 0755), 0);
	make_program("a/both", 0644);
	make_program("b/both", 0755);
	make_program("a/text", 0644);
	make_program("b/last", 0755);
	snprintf(path, sizeof path, "%s/absent:%s/a::%s/b", temp_dir, temp_dir, temp_dir);
	setenv("PATH", path, 1);
	/* As execvp() does: on to the next directory. */
	cr_assert_eq(path_program_check("both"), 0);
	cr_assert_eq(path_program_check("last"), 0);
	cr_assert_eq(path_program_check("text"), -EACCES);
	cr_assert_eq(path_program_check("absent"), -ENOENT);
	cr_assert_eq(path_program_check("a"), -ENOENT);
}

/* An empty entry of $PATH is no place to look: the relay may be anywhere. */
Test(path_program, not_where_the_relay_happens_to_be)
{
	make_program("here", 0755);
	cr_assert_eq(chdir(temp_dir), 0);
	setenv("PATH", ":", 1);
	cr_assert_eq(path_program_check("here"), -ENOENT);
	setenv("PATH", "", 1);
	cr_assert_eq(path_program_check("here"), -ENOENT);
	unsetenv("PATH");
	cr_assert_eq(path_program_check("sh"), 0);
	cr_assert_eq(path_program_check("here"), -ENOENT);
}
