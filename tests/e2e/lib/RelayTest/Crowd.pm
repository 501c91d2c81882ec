package RelayTest::Crowd;

# RelayTest::Crowd - many clients in a process of their own, so that a script can do something to the relay meanwhile.
# Each asks, waits for its reply, rests a moment and asks again; whoever is cut off comes again.  Every reply is compared
# with the one that this client's request must get.
#
# The counts can be read at any time: right, con_lost, ended (a connection that the relay closed), refused (a connect
# that failed), wrong (any other line), quiet (the most milliseconds that no client had a reply).

use strict;
use warnings;
use Errno qw(EAGAIN EINTR EINPROGRESS);
use IO::Socket::UNIX;
use POSIX ();
use Time::HiRes qw(time);
use RelayTest;

my @names = qw(right con_lost ended refused wrong quiet open);
my $crowds = 0;
my @running;

# paths => [sockets, taken in turn], clients => N, rest => ms between reply and next request, seconds => its longest life
sub new {
	my ($class, %how) = @_;
	my $file = scratch() . '/crowd.' . ++$crowds;
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		$SIG{TERM} = 'DEFAULT';
		eval { run($file, %how) };
		print STDERR "# crowd: $@" if $@;
		POSIX::_exit($@ ? 1 : 0);
	}
	my $self = bless { pid => $pid, file => $file }, $class;
	push @running, $self;
	return $self;
}

# As of a moment ago.
sub counts {
	my ($self) = @_;
	my @values = split ' ', slurp($self->{file}) // '';
	my %counts;
	@counts{@names} = map { $_ // 0 } @values[0 .. $#names];
	return \%counts;
}

# Waits until so many more right replies came than now; whether they did.
sub moves {
	my ($self, $more, $seconds) = @_;
	my $from = $self->counts->{right};
	return wait_for(sub { $self->counts->{right} >= $from + $more }, $seconds // 10);
}

# Ends it; the counts of its whole life.
sub stop {
	my ($self) = @_;
	if (!$self->{stopped}++) {
		kill 'TERM', $self->{pid};
		waitpid $self->{pid}, 0;
		@running = grep { $_ != $self } @running;
	}
	return $self->counts;
}

END {
	local $?;
	$_->stop for @running;
}

# ---- in the other process ----

sub write_counts {
	my ($file, $counts) = @_;
	open my $out, '>', "$file.new" or die "$file: $!\n";
	print {$out} join(' ', map { int $counts->{$_} } @names), "\n";
	close $out;
	rename "$file.new", $file or die "$file: $!\n";
	return;
}

sub run {
	my ($file, %how) = @_;
	my %counts = map { $_ => 0 } @names;
	my $rest = ($how{rest} // 5) / 1000;
	my $end = time + RelayTest::scale($how{seconds} // 120);
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	my @clients = map { { number => $_, path => $how{paths}[$_ % @{ $how{paths} }], seq => 0, at => 0 } } 0 .. $how{clients} - 1;
	my $last_reply = time;
	my $written = 0;
	my %by_fd;
	while (!$stop && time < $end) {
		my $now = time;
		for my $client (@clients) {
			ask($client, \%counts, \%by_fd, $now) if !$client->{waits} && $client->{at} <= $now;
		}
		my $bits = '';
		vec($bits, $_, 1) = 1 for keys %by_fd;
		if (select(my $ready = $bits, undef, undef, 0.002) > 0) {
			for my $fd (grep { vec $ready, $_, 1 } keys %by_fd) {
				my $client = $by_fd{$fd};
				my $got = take($client, \%counts);
				$last_reply = time if $got;
				delete $by_fd{$fd} unless $client->{socket};
				$client->{at} = time + $rest;
			}
		}
		my $quiet = (time - $last_reply) * 1000;
		$counts{quiet} = $quiet if $quiet > $counts{quiet};
		if (time - $written > 0.03) {
			$counts{open} = keys %by_fd;
			write_counts($file, \%counts);
			$written = time;
		}
	}
	write_counts($file, \%counts);
	return;
}

sub ask {
	my ($client, $counts, $by_fd, $now) = @_;
	if (!$client->{socket}) {
		my $socket = IO::Socket::UNIX->new(Peer => $client->{path}, Type => SOCK_STREAM);
		if (!$socket) {
			++$counts->{refused};
			$client->{at} = $now + 0.02;
			return;
		}
		$socket->blocking(0);
		$client->{socket} = $socket;
		$client->{in} = '';
		$by_fd->{ $socket->fileno } = $client;
	}
	$client->{text} = "crowd $$ $client->{number} " . ++$client->{seq};
	$client->{waits} = 1;
	# Far shorter than a socket's buffer.  An error shows at the next read.
	syswrite $client->{socket}, "echo:$client->{text}\n";
	return;
}

# What came for a client; true if it was the right reply.
sub take {
	my ($client, $counts) = @_;
	my $got = sysread $client->{socket}, $client->{in}, 65_536, length $client->{in};
	return 0 if !defined $got && ($! == EAGAIN || $! == EINTR);
	if (!$got) {
		++$counts->{ended};
		++$counts->{wrong} if $client->{in} ne '';
		close delete $client->{socket};
		$client->{waits} = 0;
		return 0;
	}
	my $right = 0;
	while ($client->{in} =~ s/^([^\n]*)\n//) {
		if ($client->{waits} && $1 eq "re:$client->{text}") {
			++$counts->{right};
			$right = 1;
		} elsif ($client->{waits} && $1 eq 'con_lost') {
			++$counts->{con_lost};
		} else {
			++$counts->{wrong};
			print STDERR "# crowd: a client got '$1'\n" if $counts->{wrong} < 4;
		}
		$client->{waits} = 0;
	}
	return $right;
}

1;
