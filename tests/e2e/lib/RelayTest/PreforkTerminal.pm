package RelayTest::PreforkTerminal;

# PreforkTerminal - a terminal, and a shell that controls the one job in it.  The shell tells on its standard output what the job
# does ("stopped by N", then "foreground" when it has the terminal; "exit N", "signal N"), and puts it back into the foreground
# whenever it gets USR1.

use strict;
use warnings;
use Exporter 'import';
use Fcntl;
use IO::Select;
use POSIX qw(:sys_wait_h);
use RelayTest;

our @EXPORT = qw(terminal_shell typed_out window_rows rows_of);

use constant { TIOCGPTN => 0x80045430, TIOCSPTLCK => 0x40045431, TIOCGWINSZ => 0x5413, TIOCSWINSZ => 0x5414 };

# The master's side of a new terminal and the name of the other one.
sub terminal {
	sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or skip_all("/dev/ptmx: $!");
	my ($number, $locked) = (0, 0);
	$_ = pack 'L', $_ for $number, $locked;
	ioctl $master, TIOCSPTLCK, $locked or skip_all("a terminal cannot be unlocked: $!");
	ioctl $master, TIOCGPTN, $number or skip_all("a terminal has no number: $!");
	return ($master, '/dev/pts/' . unpack 'L', $number);
}

# The terminal, and the shell as a process; the command is its job, in the foreground.
sub terminal_shell {
	my (@command) = @_;
	my ($master, $name) = terminal();
	my $lib = $INC{'RelayTest/PreforkTerminal.pm'} =~ s{/RelayTest/PreforkTerminal\.pm\z}{}r;
	# An empty use: RelayTest would miss the end of a script.
	my $shell = spawn('shell', $^X, "-I$lib", '-MRelayTest::PreforkTerminal', '-e', 'RelayTest::PreforkTerminal::shell(@ARGV)', $name, @command);
	return ($master, $shell);
}

sub job_begins {
	my ($tty, @command) = @_;
	setpgrp;
	POSIX::tcsetpgrp(fileno $tty, $$);
	$SIG{TTOU} = 'DEFAULT';
	POSIX::dup2(fileno $tty, $_) for 0 .. 2;
	exec @command or POSIX::_exit(126);
}

# Is that shell; never returns.
sub shell {
	my ($terminal, @command) = @_;
	POSIX::setsid();
	sysopen my $tty, $terminal, O_RDWR or die "$terminal: $!\n";
	$| = 1;
	$SIG{TTOU} = 'IGNORE';
	$SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
	my $job = fork // die "fork: $!\n";
	job_begins($tty, @command) if $job == 0;
	$SIG{USR1} = sub {
		POSIX::tcsetpgrp(fileno $tty, $job);
		kill CONT => -$job;
	};
	while (waitpid($job, WUNTRACED) == $job || $!{EINTR}) {
		my $status = ${^CHILD_ERROR_NATIVE};
		if (WIFSTOPPED($status)) {
			print 'stopped by ', WSTOPSIG($status), "\n";
			POSIX::tcsetpgrp(fileno $tty, $$);
			print "foreground\n";
		} elsif (WIFEXITED($status) || WIFSIGNALED($status)) {
			print WIFEXITED($status) ? 'exit ' . WEXITSTATUS($status) : 'signal ' . WTERMSIG($status), "\n";
			POSIX::_exit(0);
		}
	}
	POSIX::_exit(1);
}

# What came out at the master's side since the last time.
sub typed_out {
	my ($master) = @_;
	my $text = '';
	while (IO::Select->new($master)->can_read(0)) {
		sysread $master, $text, 4096, length $text or last;
	}
	return $text;
}

sub window_rows {
	my ($master, $rows) = @_;
	return ioctl $master, TIOCSWINSZ, pack 'S4', $rows, 80, 0, 0;
}

# The rows of the terminal that a descriptor's number stands for.
sub rows_of {
	my ($number) = @_;
	open my $terminal, '+<&', $number or return undef;
	my $size = "\0" x 8;
	ioctl $terminal, TIOCGWINSZ, $size or return undef;
	return (unpack 'S4', $size)[0];
}

1;
