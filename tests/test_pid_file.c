/*
 * test_pid_file.c - who may take lonc.pid, from whom, and who removes it.
 */
#include "tests/temp_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "relay/pid_file.h"

TestSuite(pid_file, .init = temp_dir_make, .fini = temp_dir_remove);

static struct pid_file file;
static char text[PID_FILE_TEXT_MAX];

static int
take(void)
{
	return pid_file_take(&file, temp_path("lonc.pid"), text, sizeof text);
}

static bool
exists(void)
{
	return access(temp_path("lonc.pid"), F_OK) == 0;
}

static void
write_number(long number)
{
	char line[32];

	snprintf(line, sizeof line, "%ld\n", number);
	temp_write("lonc.pid", line);
}

static void
says_own_pid(void)
{
	char line[32];

	snprintf(line, sizeof line, "%ld\n", (long)getpid());
	cr_assert_str_eq(temp_read("lonc.pid"), line);
}

/* A process to be asked about and ended: it lives until its pipe is closed. */
struct other {
	pid_t pid;
	int pipe;
};

static struct other
fork_other(int *child_end)
{
	int ends[2];
	struct other other;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	other.pid = fork();
	cr_assert_geq(other.pid, 0);
	if (other.pid == 0)
		close(ends[1]);
	else
		close(ends[0]);
	*child_end = ends[0];
	other.pipe = ends[1];
	return other;
}

static int
end_other(struct other other)
{
	int status;

	close(other.pipe);
	cr_assert_eq(waitpid(other.pid, &status, 0), other.pid);
	return status;
}

/* Waits in the child until the test lets go. */
static void
wait_for_end(int end)
{
	char byte;

	while (read(end, &byte, 1) < 0)
		;
}

/* A shell that waits, under a name and with one more argument. */
static struct other
run_as(const char *name, const char *argument)
{
	int end, executed[2];
	char byte;

	cr_assert_eq(pipe2(executed, O_CLOEXEC), 0);
	struct other other = fork_other(&end);
	if (other.pid == 0) {
		dup2(end, STDIN_FILENO);
		dup2(executed[1], STDOUT_FILENO);
		execl("/bin/sh", name, "-c", "echo; read line", argument, NULL);
		_exit(127);
	}
	close(executed[1]);
	/* When it speaks it is what it is going to be. */
	cr_assert_eq(read(executed[0], &byte, 1), 1);
	close(executed[0]);
	return other;
}

Test(pid_file, fresh)
{
	cr_assert_eq(take(), 0, "%s", text);
	cr_assert_str_eq(text, "");
	says_own_pid();
	pid_file_release(&file);
	cr_assert_not(exists());
	cr_assert_eq(file.fd, -1);
	cr_assert_null(file.path);
	pid_file_release(&file);
}

Test(pid_file, a_live_relay_is_left_alone)
{
	struct pid_file second;
	char expected[256];

	cr_assert_eq(take(), 0);
	cr_assert_eq(pid_file_take(&second, temp_path("lonc.pid"), text, sizeof text), -EEXIST);
	snprintf(expected, sizeof expected, "already running: a relay, process %ld, holds %s",
		 (long)getpid(), temp_path("lonc.pid"));
	cr_assert_str_eq(text, expected);
	cr_assert_eq(second.fd, -1);
	says_own_pid();

	/* What stands in the file does not matter then. */
	temp_write("lonc.pid", "");
	cr_assert_eq(pid_file_take(&second, temp_path("lonc.pid"), text, sizeof text), -EEXIST);
	cr_assert_str_eq(temp_read("lonc.pid"), "");
	pid_file_close(&file);
	cr_assert_eq(take(), 0);
	pid_file_release(&file);
}

Test(pid_file, a_killed_relay_leaves_it)
{
	int end, status;
	char expected[256];
	struct other other = fork_other(&end);

	if (other.pid == 0) {
		if (take() != 0)
			_exit(1);
		raise(SIGKILL);
	}
	cr_assert_eq(waitpid(other.pid, &status, 0), other.pid);
	cr_assert(WIFSIGNALED(status));
	close(other.pipe);
	cr_assert(exists());
	cr_assert_eq(take(), 0, "%s", text);
	snprintf(expected, sizeof expected,
		 "%s names process %ld, which is no relay now: taken over", temp_path("lonc.pid"),
		 (long)other.pid);
	cr_assert_str_eq(text, expected);
	says_own_pid();
	pid_file_release(&file);
}

Test(pid_file, contents_that_name_nobody)
{
	static const char *const contents[] = {
		"",          "\n",
		"0",         "0\n",
		"garbage\n", "12ab\n",
		"-1\n",      "99999999999",
		"1.5",       "0x10",
		"  \t",      "\xff\xfe",
		"7\x1b",     "a longer line than any process id could ever take in a file\n",
	};

	for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
		temp_write("lonc.pid", contents[i]);
		cr_assert_eq(take(), 0, "%zu: %s", i, text);
		cr_assert_not_null(strstr(text, "names no process: taken over"), "%zu", i);
		says_own_pid();
		pid_file_release(&file);
		cr_assert_not(exists());
	}
}

/* After a restart of its container the relay may well have the pid that it had before. */
Test(pid_file, own_pid)
{
	write_number((long)getpid());
	cr_assert_eq(take(), 0);
	cr_assert_str_eq(text, "");
	says_own_pid();
	pid_file_release(&file);
}

Test(pid_file, processes_that_ended)
{
	int end;
	struct other other = fork_other(&end);
	siginfo_t info;

	if (other.pid == 0)
		_exit(0);
	/* A zombie still has its pid. */
	cr_assert_eq(waitid(P_PID, (id_t)other.pid, &info, WEXITED | WNOWAIT), 0);
	write_number((long)other.pid);
	cr_assert_eq(take(), 0, "%s", text);
	pid_file_release(&file);
	end_other(other);
	write_number((long)other.pid);
	cr_assert_eq(take(), 0, "%s", text);
	pid_file_release(&file);
}

Test(pid_file, living_processes_by_their_command_line)
{
	static const struct {
		const char *name;
		const char *argument;
		bool relay;
	} commands[] = {
		{ "sh", "/home/httpd/perl/lonc", true },
		{ "sh", "./loncnew", true },
		{ "sh", "/x/gatewayc.pl", true },
		{ "sh", "/x.y/gatewayc.old.pl", true },
		{ "/usr/local/sbin/relayd", "-F", true },
		{ "lonc: parent", "x", true },
		{ "lonc", "x", true },
		{ "sh", "x", false },
		{ "sh", "/home/httpd/perl/loncron", false },
		{ "sh", "/etc/loncapa.conf", false },
		{ "sh", "/home/httpd/perl/logs/lonc.log", false },
		{ "sh", "/lonc/x", false },
		{ "sh", "lonc.pl.txt", false },
		{ "relayctl", "relayd2", false },
		{ "", "", false },
	};

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		struct other other = run_as(commands[i].name, commands[i].argument);
		char number[32], expected[64];

		write_number((long)other.pid);
		strcpy(number, temp_read("lonc.pid"));
		int error = take();
		cr_assert_eq(error, commands[i].relay ? -EEXIST : 0, "%s %s: %s", commands[i].name,
			     commands[i].argument, text);
		snprintf(expected, sizeof expected, "process %ld, ", (long)other.pid);
		cr_assert_not_null(strstr(text, expected), "%s", text);
		if (commands[i].relay)
			cr_assert_str_eq(temp_read("lonc.pid"), number, "left as it was");
		pid_file_release(&file);
		end_other(other);
	}
}

/* The process that started us waits for us, and may be called relayd: it is no other instance. */
Test(pid_file, own_starter)
{
	int end;
	struct other starter = fork_other(&end);

	if (starter.pid == 0) {
		int status = 0;

		/* The memory that the kernel shows as the command line. */
		strcpy(program_invocation_name, "relayd");
		write_number((long)getpid());
		pid_t pid = fork();
		if (pid == 0)
			_exit(take() == 0 ? 17 : 1);
		waitpid(pid, &status, 0);
		write_number((long)getpid());
		/* Now somebody else asks. */
		kill(getpid(), SIGSTOP);
		_exit(WEXITSTATUS(status));
	}
	int status;
	cr_assert_eq(waitpid(starter.pid, &status, WUNTRACED), starter.pid);
	cr_assert(WIFSTOPPED(status));
	cr_assert_eq(take(), -EEXIST, "%s", text);
	cr_assert_eq(kill(starter.pid, SIGCONT), 0);
	cr_assert_eq(WEXITSTATUS(end_other(starter)), 17);
}

Test(pid_file, release_removes_only_what_is_ours)
{
	/* Another file under the name. */
	cr_assert_eq(take(), 0);
	temp_write("other", "1\n");
	cr_assert_eq(rename(temp_path("other"), temp_path("lonc.pid")), 0);
	pid_file_release(&file);
	cr_assert_str_eq(temp_read("lonc.pid"), "1\n");

	/* The same file, with the pid of another. */
	cr_assert_eq(unlink(temp_path("lonc.pid")), 0);
	cr_assert_eq(take(), 0);
	write_number(1);
	pid_file_release(&file);
	cr_assert_str_eq(temp_read("lonc.pid"), "1\n");

	/* None. */
	cr_assert_eq(unlink(temp_path("lonc.pid")), 0);
	cr_assert_eq(take(), 0);
	cr_assert_eq(unlink(temp_path("lonc.pid")), 0);
	pid_file_release(&file);
	cr_assert_not(exists());
}

Test(pid_file, children_neither_remove_nor_unlock_it)
{
	struct pid_file second;
	int end;

	cr_assert_eq(take(), 0);
	struct other child = fork_other(&end);
	if (child.pid == 0) {
		pid_file_release(&file);
		_exit(0);
	}
	end_other(child);
	says_own_pid();
	cr_assert_eq(pid_file_take(&second, temp_path("lonc.pid"), text, sizeof text), -EEXIST);
	pid_file_release(&file);
}

/* A child that lets go does not pass for a relay when its parent is gone; one that keeps it does.
 */
Test(pid_file, children_that_outlive_the_relay)
{
	for (int closes = 0; closes <= 1; closes++) {
		int end, done[2];
		char byte;

		cr_assert_eq(pipe2(done, O_CLOEXEC), 0);
		struct other relay = fork_other(&end);
		if (relay.pid == 0) {
			if (take() != 0)
				_exit(1);
			if (fork() == 0) {
				if (closes)
					pid_file_close(&file);
				(void)!write(done[1], "x", 1);
				wait_for_end(end);
				_exit(0);
			}
			_exit(0);
		}
		int status;
		cr_assert_eq(waitpid(relay.pid, &status, 0), relay.pid);
		cr_assert_eq(WEXITSTATUS(status), 0);
		cr_assert_eq(read(done[0], &byte, 1), 1);
		cr_assert_eq(take(), closes ? 0 : -EEXIST, "%s", text);
		pid_file_release(&file);
		close(done[1]);
		close(relay.pipe);
		/* Both its ends are gone with the child. */
		cr_assert_eq(read(done[0], &byte, 1), 0);
		close(done[0]);
	}
}

Test(pid_file, paths_that_are_no_file)
{
	temp_write("target", "precious\n");
	cr_assert_eq(symlink("target", temp_path("lonc.pid")), 0);
	cr_assert_eq(take(), -ELOOP, "%s", text);
	cr_assert_str_eq(temp_read("target"), "precious\n");
	cr_assert_eq(unlink(temp_path("lonc.pid")), 0);

	cr_assert_eq(mkdir(temp_path("lonc.pid"), 0755), 0);
	cr_assert_eq(take(), -EMEDIUMTYPE);
	cr_assert_not_null(strstr(text, "is not a regular file"));
	cr_assert_eq(rmdir(temp_path("lonc.pid")), 0);

	cr_assert_eq(mkfifo(temp_path("lonc.pid"), 0600), 0);
	cr_assert_eq(take(), -EMEDIUMTYPE);
	cr_assert_eq(unlink(temp_path("lonc.pid")), 0);

	cr_assert_eq(pid_file_take(&file, temp_path("absent/lonc.pid"), text, sizeof text),
		     -ENOENT);
	cr_assert_not_null(strstr(text, "cannot be opened: No such file or directory"));
	char cut[8];
	cr_assert_eq(pid_file_take(&file, temp_path("absent/lonc.pid"), cut, sizeof cut), -ENOENT);
	cr_assert_eq(strlen(cut), sizeof cut - 1);
}

/* While the file is taken over again and again, a reader's first line is always a whole pid. */
Test(pid_file, readers_see_whole_pids)
{
	static const char stale[] = "2147483647";
	char own[32];
	int end;

	snprintf(own, sizeof own, "%ld", (long)getpid());
	temp_write("lonc.pid", "2147483647\n");
	struct other reader = fork_other(&end);
	if (reader.pid == 0) {
		char line[64];

		fcntl(end, F_SETFL, O_NONBLOCK);
		while (read(end, line, 1) != 0) {
			FILE *in = fopen(temp_path("lonc.pid"), "r");

			if (in == NULL || fgets(line, sizeof line, in) == NULL)
				_exit(1);
			line[strcspn(line, "\n")] = '\0';
			if (strcmp(line, stale) != 0 && strcmp(line, own) != 0)
				_exit(2);
			fclose(in);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		cr_assert_eq(take(), 0);
		pid_file_close(&file);
		temp_write("new", "2147483647\n");
		cr_assert_eq(rename(temp_path("new"), temp_path("lonc.pid")), 0);
	}
	cr_assert_eq(WEXITSTATUS(end_other(reader)), 0);
}
