# RelayTest::Inside - what a running process is bound by, and what it is refused when it tries.
package RelayTest::Inside;
use strict;
use warnings;
use Exporter 'import';
use RelayTest;

our @EXPORT = qw(bound inside limited refused_in %NO_PROCESS);

use constant { ALG => 38, VSOCK => 40, IO_URING_SETUP => 425, IO_URING_REGISTER => 427, PTRACE => 101, BPF => 321 };

# What no sandbox leaves: other programs, odd sockets, another ring, the kernel's own machines.
our %NO_PROCESS = ('exec:/bin/true' => 'EPERM', map({ ("socket:$_" => 'EPERM') } ALG, VSOCK),
	map({ ("call:$_" => 'EPERM') } IO_URING_SETUP, IO_URING_REGISTER, PTRACE, BPF));

# Bits of /proc/PID/status.
sub bound {
	my ($pid) = @_;
	my $status = slurp("/proc/$pid/status") // '';
	return join ' ', map { "$_=" . (($status =~ /^$_:\s*(\d+)/m)[0] // '') } 'NoNewPrivs', 'Seccomp';
}

# Names of resources, as /proc/PID/limits has them, of which nothing is left; open files are named if their number cannot be raised.
sub limited {
	my ($pid) = @_;
	my %limit = map { /^Max (.+?) +(\d+|unlimited) +(\d+|unlimited)/ ? ($1 => [$2, $3]) : () } split /\n/, slurp("/proc/$pid/limits") // '';
	my @none = grep { "@{$limit{$_}}" eq '0 0' } keys %limit;
	my @fixed = grep { $limit{$_}[0] eq $limit{$_}[1] } 'open files';
	return join ', ', sort @none, @fixed;
}

# Attempt => answer, as the process finds it.
sub inside {
	my ($pid, @attempts) = @_;
	my ($status, $process);
	wait_for(sub { $process = spawn('inside', program('tests/inside'), $pid, @attempts); ($status = $process->wait(10)) != 75 }, 5);
	skip_all($process->err) if $status == 77;
	die "inside: $status " . $process->err . "\n" if $status != 0;
	return { map { /^(.*) (\S+)$/ } split /\n/, $process->out };
}

sub refused_in {
	my ($pid, $what, %expected) = @_;
	my $answer = inside($pid, sort keys %expected);
	is($answer->{$_}, $expected{$_}, "$what: $_: $expected{$_}") for sort keys %expected;
	return;
}

1;
