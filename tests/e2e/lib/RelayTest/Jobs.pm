package RelayTest::Jobs;

# RelayTest::Jobs - runs commands, some at a time, each in a process group of its own with its output in a file and a
# time limit.  What a job leaves running is noticed and ended.

use strict;
use warnings;
use Exporter 'import';
use POSIX qw(WNOHANG);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(run_jobs members);

# The processes of a group that still run; zombies have ended.
sub members {
	my ($group) = @_;
	my @found;
	for my $path (glob '/proc/[0-9]*/stat') {
		open my $file, '<', $path or next;
		my ($pid, $name, $state, $parent, $pgrp) = (<$file> // '') =~ /^(\d+) \((.*)\) (\S) (\d+) (\d+)/s or next;
		push @found, { pid => $pid, name => $name } if $pgrp == $group && $state ne 'Z';
	}
	return @found;
}

sub start {
	my ($job) = @_;
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		setpgrp 0, 0;
		$SIG{$_} = 'DEFAULT' for qw(TERM INT HUP PIPE);
		$ENV{$_} = $job->{env}{$_} for keys %{ $job->{env} || {} };
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $job->{log} or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT;
		my @command = @{ $job->{command} };
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	@$job{qw(pid started)} = ($pid, time);
	return;
}

# Ends what is left of a job's group: TERM, then KILL.
sub clear {
	my ($group) = @_;
	for my $signal ('TERM', 'KILL') {
		my $end = time + 3;
		kill $signal, map { $_->{pid} } members($group);
		select undef, undef, undef, 0.02 while time < $end && members($group);
	}
	return;
}

sub finish {
	my ($job, $status) = @_;
	$job->{seconds} = time - $job->{started};
	$job->{status} = $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
	$job->{status} = "no end within $job->{limit} s" if $job->{late};
	# A process that is just about to end is not left behind.
	my @left = members($job->{pid});
	for (my $end = time + 2; @left && time < $end; @left = members($job->{pid})) {
		select undef, undef, undef, 0.02;
	}
	$job->{left} = join ' ', map { "$_->{name}($_->{pid})" } @left;
	clear($job->{pid}) if @left;
	return;
}

# jobs: hashes with command, log, limit (s) and env; afterwards also status, seconds, left.  `ended` is called
# with each when it has ended.
sub run_jobs {
	my ($parallel, $ended, @jobs) = @_;
	my %running;
	my $stop = 0;
	local @SIG{qw(TERM INT HUP PIPE)} = (sub { $stop = 1 }) x 4;
	while (@jobs || %running) {
		if ($stop) {
			@jobs = ();
			clear($_->{pid}) for values %running;
		}
		while (@jobs && keys %running < $parallel) {
			my $job = shift @jobs;
			start($job);
			$running{ $job->{pid} } = $job;
		}
		while ((my $pid = waitpid -1, WNOHANG) > 0) {
			my $job = delete $running{$pid} or next;
			finish($job, $?);
			$ended->($job);
		}
		for my $job (values %running) {
			next if time < $job->{started} + $job->{limit};
			# The job itself is told first: it knows best how to end what it started.
			if (!$job->{late}) {
				$job->{late} = time;
				kill 'TERM', $job->{pid};
			} elsif (time > $job->{late} + 5) {
				clear($job->{pid});
			}
		}
		select undef, undef, undef, 0.02;
	}
	exit 130 if $stop;
	return;
}

1;
