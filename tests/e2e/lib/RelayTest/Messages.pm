package RelayTest::Messages;

# RelayTest::Messages - the message plane of a site: a relay that speaks datagrams, the crowd that uses it, and what the peers and the
# crowd must agree on at the end.  Decides nothing by itself; every wait has a deadline.

use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(time);
use RelayTest;
use RelayTest::Appliance;
use RelayTest::Operator;
use RelayTest::Site;

our @EXPORT = qw(message_site message_relay crowd totals runs outcomes agree);
our @EXPORT_OK = qw(msg messages);

# hosts => ids, workers => N, peer => [options of relay-peer].  Its peers run and write down all that they are asked.
sub message_site {
	my (%what) = @_;
	my $site = RelayTest::Site->new(hosts => $what{hosts});
	$site->{udp} = udp_port();
	$site->{pager} = $site->dir . '/pager';
	$site->{workers} = $what{workers};
	$site->peer($_, '--transcript', $site->dir . "/$_.transcript", @{ $what{peer} // [] }) for $site->hosts;
	return $site;
}

# The same again after it was killed, at the same address.
sub message_relay {
	my ($site, @options) = @_;
	return appliance(
		$site, '-o', "relay.workers=$site->{workers}", '-o', "datagram.listen=127.0.0.1:$site->{udp}", '-o', "webpager.socket=$site->{pager}",
		'-o', 'datagram.resend_first=50ms', '-o', 'datagram.resend_tries=30', '-o', 'defaults.pipeline=8', '-o', 'datagram.busy_queue_time=30s',
		@options,
	);
}

# What relay-msg makes of its arguments: exit status and all that it said, in one line.
sub msg {
	my ($status, $out, $err) = ctl_end(spawn('relay-msg', program('relay-msg'), @_));
	return join ' ', $status, grep { $_ ne '' } map { s/\n\z//r } $out, $err;
}

# The messages that wait, of one client or of all.
sub messages {
	my ($site, @client) = @_;
	return @{ (ctl_json($site, 'messages', 'list', @client) // {})->{messages}{message} // [] };
}

sub crowd {
	my ($site, $at, @options) = @_;
	return spawn('crowd', program('tests/msg-crowd'), '--at', $at, (map { ('--host', $_) } $site->hosts), @options);
}

# The numbers of the crowd's last two lines by their names.
sub totals {
	my ($crowd) = @_;
	my ($lines) = $crowd->out =~ /^(sessions .*\nmade .*)\n\z/m or return {};
	return { $lines =~ /([a-z]+) (\d+)/g };
}

# How often each request was run, by `CLIENT.NUMBER`.
sub runs {
	my ($site) = @_;
	my %runs;
	for my $id ($site->hosts) {
		open my $file, '<', $site->dir . "/$id.transcript" or die "$id: $!\n";
		while (<$file>) {
			++$runs{$1} if /^\d+ > fill:\d+:([0-9a-f]+\.\d+)\./;
		}
	}
	return \%runs;
}

# How each request ended, by the same.
sub outcomes {
	my ($crowd) = @_;
	return { map { /^request (\S+) (\d+) (\S+)$/ ? ("$1.$2" => $3) : () } split /\n/, $crowd->out };
}

# What is run and what is told belong together, for every single request.
sub agree {
	my ($site, $crowd) = @_;
	my ($runs, $outcomes) = (runs($site), outcomes($crowd));
	my %never = map { $_ => 1 } qw(unreachable busy unknown_host malformed not_allowed);
	my @twice = grep { $runs->{$_} != 1 } keys %$runs;
	my @lost = grep { $outcomes->{$_} eq 'answered' && !$runs->{$_} } keys %$outcomes;
	my @denied = grep { $never{ $outcomes->{$_} } && $runs->{$_} } keys %$outcomes;
	my @unknown = grep { !defined $outcomes->{$_} } keys %$runs;
	is(scalar @twice, 0, 'no request was run twice') or diag("@twice");
	is(scalar @lost, 0, 'none is answered that was not run') or diag("@lost");
	is(scalar @denied, 0, 'none is denied that was run') or diag("@denied");
	is(scalar @unknown, 0, 'every one that was run has ended') or diag("@unknown");
	diag(keys(%$outcomes) . ' requests, ' . keys(%$runs) . ' run');
	return;
}

1;
