package RelayTest::ControlDaemon;

# ControlDaemon - a relayd of the test's own on a control socket: just enough of it to be asked for its statistics.
#
# What it says it takes from a file, read anew for each request: a Perl hash with the keys
#   hosts   how many hosts it has, h0, h1 ... with as many requests as their number
#   page    hosts of one page (default 200)
#   status  of its health ("ready" or what is wrong), and dead: not live
#   silent, denied, noise, huge, endless: ways to misbehave

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;
use POSIX ();
use RelayTest::Control qw(varint number bytes frame fields);

our @EXPORT = qw(control_daemon);

sub packed { my ($field, @numbers) = @_; return bytes($field, join '', map { varint($_) } @numbers) }

# The bounds that relayd has, and numbers that differ from bucket to bucket.
my $histogram = packed(1, map { 64 << $_ } 0 .. 23) . packed(2, map { $_ * 37 } 0 .. 24) . number(3, 123_456_789);

sub reason { return bytes($_[0], bytes(1, $_[1]) . number(2, $_[2])) }

# What is the same in every host is made once: thousands of them must be told within the time of a scrape.
my $histograms = join '', map { bytes($_, $histogram) } 8 .. 11;
my ($timeouts, $closes) = (reason(3, 'queue_timeout', 3), reason(7, 'idle', 4));
my $gauges_before = number(1, 2) . number(2, 5) . number(3, 3);
my $gauges_behind = number(6, 1000) . number(7, 1_500_000);

sub counters {
	my ($n) = @_;
	return number(1, $n) . number(2, $n) . $timeouts . number(4, $n * 100) . number(5, $n * 200) . number(6, 5) . $closes . $histograms;
}

sub host_stats {
	my ($n) = @_;
	my $gauges = $gauges_before . number(5, $n) . $gauges_behind;
	return bytes(1, "h$n") . bytes(2, counters($n)) . bytes(3, $gauges);
}

sub worker_stats {
	my ($n) = @_;
	return number(1, $n) . bytes(2, $histogram) . number(3, 1000) . number(4, 7) . number(9, 2_500_000);
}

sub datagram_stats {
	my ($n) = @_;
	return number(1, $n) . number(2, 40 + $n) . number(4, 3) . number(6, 1000) . number(12, 5) . reason(20, 'hello', 42) . reason(21, 'forged', 2) .
	    reason(21, 'forged', 9);
}

sub stats {
	my ($request, $say) = @_;
	my $first = ($request->{8} // '') eq '' ? 0 : $request->{8};
	my $hosts = $say->{hosts} // 2;
	my $end = $first + ($say->{page} // 200);
	$end = $hosts if $end > $hosts;
	my $stats = join '', map { bytes(2, host_stats($_)) } $first .. $end - 1;
	$stats .= bytes(1, counters(0)) . join('', map { bytes(3, worker_stats($_)) } 0 .. 1) . number(4, 12) . number(5, 1) .
	    number(6, 1_700_000_000_000_000) . bytes(10, '9.8.7') . number(11, 1_600_000_000_000_000) .
	    join('', map { bytes(13, datagram_stats($_)) } 0, 1, 1) . bytes(14, number(1, 6) . reason(2, 'empty_text', 2)) .
	    bytes(15, number(1, 9) . number(2, 4096) . number(5, 77) . reason(12, 'no_space', 3) . bytes(13, 'no space left'))
	    if $first == 0;
	my $next = $say->{endless} ? bytes(6, "$first") : $end < $hosts ? bytes(6, "$end") : '';
	return $next . bytes(19, $stats);
}

sub health {
	my ($request, $say) = @_;
	my $status = $say->{status} // 'ready';
	my $ready = $status eq 'ready' ? 1 : 0;
	my $why = $ready ? '' : bytes(4, 'msul2 is down');
	return bytes(18, bytes(1, $status) . number(2, $say->{dead} ? 0 : 1) . number(3, $ready) . $why);
}

my %answer = (
	stats => \&stats, health => \&health,
	info => sub { return bytes(16, bytes(1, '9.8.7') . number(14, $_[1]{hosts} // 2)) },
);

sub read_all {
	my ($client, $length) = @_;
	my $bytes = '';
	while (length $bytes < $length) {
		$client->sysread($bytes, $length - length $bytes, length $bytes) or return undef;
	}
	return $bytes;
}

sub write_all {
	my ($client, $rest) = @_;
	while (length $rest) {
		my $n = $client->syswrite($rest) or return 0;
		substr $rest, 0, $n, '';
	}
	return 1;
}

sub answer {
	my ($request, $say) = @_;
	my $id = number(1, $request->{1});
	return '' if $say->{silent};
	return "GET / HTTP/1.1\r\n\r\n" if $say->{noise};
	return pack('N', 4 * 1024 * 1024) . 'x' x (4 * 1024 * 1024) if $say->{huge};
	return frame($id . number(2, 6) . bytes(3, "you may not \e[2J")) if $say->{denied};
	return frame($id . $answer{ $request->{2} }->($request, $say));
}

sub serve {
	my ($client, $file) = @_;
	$client->syswrite(frame(number(1, 1) . bytes(2, '9.8.7') . bytes(5, 'view')));
	while (defined(my $header = read_all($client, 4))) {
		my $request = fields(read_all($client, unpack 'N', $header) // return);
		my $say = do $file or die "$file: $@ $!\n";
		write_all($client, answer($request, $say)) or return;
	}
	return;
}

# Serves `socket` until it is killed, saying what `file` holds.
sub control_daemon {
	my ($socket, $file) = @_;
	unlink $socket;
	my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 8) or die "$socket: $!\n";
	$SIG{CHLD} = 'IGNORE';
	my @children;
	$SIG{TERM} = sub { kill 'TERM', @children; POSIX::_exit(0) };
	while (1) {
		my $client = $listener->accept or next;
		my $pid = fork // die "fork: $!\n";
		if ($pid == 0) {
			$SIG{TERM} = 'DEFAULT';
			close $listener;
			serve($client, $file);
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
}

1;
