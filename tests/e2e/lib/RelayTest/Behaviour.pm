package RelayTest::Behaviour;

# RelayTest::Behaviour - what the scripts about single behaviours share: reading a peer's record, looking at the relay's
# worker processes, and crowds of clients.  Decides nothing; every wait has a deadline.

use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use Time::HiRes qw(time);
use RelayTest;
use RelayTest::Client;

our @EXPORT = qw(
    watched requests times_seen arrived connections opened_now ended_by_relay
    workers anon_kib limited_relay
    replies gather crowd_ask same_length
);

# ---- the peer's record ----

# Starts relay-peer with a record of all bytes and every trick allowed; returns process and record.
sub watched {
	my ($site, $id, @options) = @_;
	my $record = $site->dir . "/record-$id." . ++$site->{records};
	return ($site->peer($id, '--tricks', '--transcript', $record, @options), $record);
}

# All requests that arrived behind a handshake, as [connection, text without LF], in order of arrival.
sub requests {
	my ($record) = @_;
	my (%lines, @found);
	for (split /\n/, slurp($record) // '') {
		my ($connection, $text) = /^(\d+) > (.*?)(?:\\x0a)?$/ or next;
		push @found, [$connection, $text] if ++$lines{$connection} > 3;
	}
	return @found;
}

# How often a request text was received, over all connections.
sub times_seen {
	my ($record, $text) = @_;
	return scalar grep { index($_->[1], $text) >= 0 } requests($record);
}

# The same, once it is at least `count`: the record is written a moment after the reply.
sub arrived {
	my ($record, $text, $count) = @_;
	wait_for(sub { times_seen($record, $text) >= $count }, 5);
	return times_seen($record, $text);
}

# How many connections were ever made.
sub connections {
	my ($record) = @_;
	return scalar(() = (slurp($record) // '') =~ /^\d+ \* open$/mg);
}

# How many of them neither side has ended.
sub opened_now {
	my ($record) = @_;
	my %ended = map { $_ => 1 } (slurp($record) // '') =~ /^(\d+) \* (?!open$)/mg;
	return connections($record) - keys %ended;
}

# How many of them the relay ended.
sub ended_by_relay {
	my ($record) = @_;
	return scalar(() = (slurp($record) // '') =~ /^\d+ \* closed by peer$/mg);
}

# ---- the relay ----

# The pids of the relay's children, once there are `count` of them.
sub workers {
	my ($relay, $count) = @_;
	my @pids;
	wait_for(
		sub {
			@pids = split ' ', slurp('/proc/' . $relay->pid . '/task/' . $relay->pid . '/children') // '';
			return @pids >= ($count // 1);
		},
		10
	);
	return @pids;
}

# Memory of the workers that no file backs, in KiB.
sub anon_kib {
	my ($relay) = @_;
	my $sum = 0;
	for my $pid (workers($relay)) {
		$sum += $1 if (slurp("/proc/$pid/status") // '') =~ /^RssAnon:\s+(\d+) kB$/m;
	}
	return $sum;
}

# Starts the relay where at most `files` descriptors can be open in a process.
sub limited_relay {
	my ($site, $files, @options) = @_;
	my $process = spawn('relayd', '/bin/sh', '-c', 'ulimit -n "$0" && exec "$@"', $files, $site->command(@options));
	for my $id ($site->hosts) {
		wait_for(sub { defined $process->ended || RelayTest::Client->new($site->path($id)) }, 10);
	}
	die "relayd ended early\n" if defined $process->ended;
	return $process;
}

# ---- clients ----

# The next `count` replies joined; ends early when one is missing.
sub replies {
	my ($client, $count, $seconds) = @_;
	my $all = '';
	for (1 .. $count) {
		my $reply = $client->reply($seconds) // last;
		$all .= $reply;
	}
	return $all;
}

# One reply of each client, waiting for all of them at the same time.
sub gather {
	my ($seconds, @clients) = @_;
	my $end = time + scale($seconds);
	my %open = map { $_->socket->fileno => $_ } grep { index($_->pending, "\n") < 0 && !$_->{eof} } @clients;
	my $select = IO::Select->new(map { $_->socket } values %open);
	while (%open && time < $end) {
		for my $socket ($select->can_read($end - time)) {
			my $client = $open{ $socket->fileno };
			$client->pull;
			next if index($client->pending, "\n") < 0 && !$client->{eof};
			$select->remove($socket);
			delete $open{ $socket->fileno };
		}
	}
	return map { index($_->pending, "\n") < 0 ? undef : $_->reply } @clients;
}

# Every client asks `request->(number)` at once; returns how many got `reply->(number)`.
sub crowd_ask {
	my ($seconds, $request, $reply, @clients) = @_;
	$clients[$_]->send($request->($_) . "\n") for 0 .. $#clients;
	my @got = gather($seconds, @clients);
	my @wrong = grep { ($got[$_] // '') ne $reply->($_) . "\n" } 0 .. $#clients;
	for my $number (@wrong > 3 ? @wrong[0 .. 2] : @wrong) {
		diag("client $number got " . show($got[$number]) . ' instead of ' . show($reply->($number)));
	}
	return @clients - @wrong;
}

# Compares long texts without printing them.
sub same_length {
	my ($got, $expected, $name) = @_;
	my $same = defined $got && $got eq $expected;
	ok($same, $name) or diag('got ' . show($got));
	return $same;
}

1;
