package RelayBench::Meter;

# RelayBench::Meter - counts what processes do in the kernel inside the measured window: by perf's trace points, else
# (system calls only) by strace.  Counting costs time, so runs that are counted are not timed.
#
# `relay-bench load --hook` runs a small script at both ends of the window; it switches perf on and off through two FIFOs
# and waits for the answer, so the counts belong to the window exactly.

use strict;
use warnings;
use POSIX ();
use RelayBench::Contestant qw(program);

# count => [event, filter]; IORING_OP_SEND is operation 26.
my %EVENTS = (
	syscalls => ['raw_syscalls:sys_enter'],
	enters   => ['syscalls:sys_enter_io_uring_enter'],
	sqes     => ['io_uring:io_uring_submit_req'],
	sends    => [ 'io_uring:io_uring_submit_req', 'opcode==26' ],
);

my $how;

# `perf`, `strace` or undef: what can count here.  Asked once.
sub how {
	return $how->{is} if $how;
	$how = { is => undef };
	if (program('perf') && run_quiet(program('perf'), 'stat', '-e', $EVENTS{syscalls}[0], '--', 'true')) {
		$how->{is} = 'perf';
	} elsif (program('strace') && run_quiet(program('strace'), '-c', '-o', '/dev/null', 'true')) {
		$how->{is} = 'strace';
	}
	return $how->{is};
}

sub run_quiet {
	my (@command) = @_;
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return $? == 0;
}

# Whether an event can be counted here: some kernels know fewer.
sub has_event {
	my ($event) = @_;
	return $how->{$event} //= run_quiet(program('perf'), 'stat', '-e', $event, '--', 'true') ? 1 : 0;
}

# Attaches to these processes.  what: names of %EVENTS.  Returns an object, or undef if nothing can count here.
sub attach {
	my ($class, $site, $pids, @what) = @_;
	my $is = how() or return undef;
	my $self = bless { site => $site, is => $is }, $class;
	return $is eq 'perf' ? $self->attach_perf($pids, @what) : $self->prepare_strace($pids, @what);
}

sub attach_perf {
	my ($self, $pids, @what) = @_;
	my ($site, $dir) = ($self->{site}, $self->{site}->dir);
	$self->{what} = [ grep { has_event($EVENTS{$_}[0]) } @what ];
	return undef unless @{ $self->{what} };
	POSIX::mkfifo("$dir/$_", 0600) or die "mkfifo: $!\n" for qw(ctl ack);
	$self->{hook} = $site->write_file('hook', <<"END");
case \$1 in begin) word=enable ;; end) word=disable ;; esac
exec 3<>'$dir/ack'
echo \$word >'$dir/ctl'
read -r answer <&3
END
	my @events = map { ('-e', $EVENTS{$_}[0], $EVENTS{$_}[1] ? ('--filter', $EVENTS{$_}[1]) : ()) } @{ $self->{what} };
	$self->{process} = $site->spawn(
		'perf', undef, program('perf'), 'stat', '-x', ',', '-D', -1, "--control=fifo:$dir/ctl,$dir/ack", @events,
		'-o', "$dir/perf.txt", '-p', join(',', @$pids),
	);
	my $said = sub { RelayBench::Site::read_file($self->{process}{err}) =~ /Events disabled/ };
	RelayBench::Site::wait_for(sub { $said->() || defined RelayBench::Site::ended($self->{process}) }, 10);
	die 'perf: ' . RelayBench::Site::read_file($self->{process}{err}) . "\n" unless $said->();
	return $self;
}

sub prepare_strace {
	my ($self, $pids, @what) = @_;
	return undef unless grep { $_ eq 'syscalls' } @what;
	my ($site, $dir) = ($self->{site}, $self->{site}->dir);
	my $attach = join ' ', map { "-p $_" } @$pids;
	my $strace = program('strace');
	# It says so when it has attached, and writes its table when it is ended.
	$self->{hook} = $site->write_file('hook', <<"END");
case \$1 in
begin)
	$strace -c -f $attach -o '$dir/strace.txt' 2>'$dir/strace.err' & echo \$! >'$dir/strace.pid'
	while ! grep -q attached '$dir/strace.err' && kill -0 \$! 2>/dev/null; do sleep 0.01; done ;;
end)
	pid=\$(cat '$dir/strace.pid')
	kill -TERM \$pid
	while kill -0 \$pid 2>/dev/null; do sleep 0.01; done ;;
esac
true
END
	return $self;
}

sub hook { return "sh $_[0]{hook}" }

# The counts by name, after the load has ended; a count that was not made is missing.
sub counts {
	my ($self) = @_;
	my $dir = $self->{site}->dir;
	if ($self->{is} eq 'strace') {
		my $calls = parse_strace(RelayBench::Site::read_file("$dir/strace.txt"));
		# It may not attach to whatever its user may start.
		return defined $calls ? { syscalls => $calls } : {};
	}
	kill 'INT', $self->{process}{pid};
	RelayBench::Site::wait_for(sub { defined RelayBench::Site::ended($self->{process}) }, 10);
	my @values = parse_perf(RelayBench::Site::read_file("$dir/perf.txt"));
	my %counts;
	@counts{ @{ $self->{what} } } = @values;
	return { map { ($_ => $counts{$_}) } grep { defined $counts{$_} } keys %counts };
}

# The counts of `perf stat -x ,` in order; undef for one that was not counted.
sub parse_perf {
	my ($text) = @_;
	return map { /^(\d+),/ ? $1 : undef } grep { /^[^#]*,/ } split /\n/, $text;
}

# The number of calls in the last line of `strace -c`, undef if there is none.
sub parse_strace {
	my ($text) = @_;
	my ($calls) = $text =~ /^\s*100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$/m;
	return $calls;
}

1;
