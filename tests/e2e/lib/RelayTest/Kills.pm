package RelayTest::Kills;

# RelayTest::Kills - kill -9 at random moments while the crowd asks, tells, pages and listens; and what must hold afterwards: no
# accepted notice is lost, none comes again whose confirm was acknowledged, no request is run twice, everybody has a session again.
#
# Datagrams get lost as well, so that at any moment there are some that are to be sent or confirmed again.
# A process lives a second and a little before it is killed, as one that dies sooner is held back by the keeper.

use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(time);
use RelayTest;
use RelayTest::Appliance;
use RelayTest::Messages;

our @EXPORT = qw(killed_under_load);

my ($workers, $clients) = (3, 40);
my @members = ('control', map { "worker-$_" } 0 .. $workers - 1);

sub restart {
	my ($site, $relay) = @_;
	my @family = family($$relay);
	kill 'KILL', $$relay->pid;
	wait_for(sub { !alive(@family) }, 10) or die "what the keeper left behind does not end\n";
	$$relay->wait(10);
	$$relay = message_relay($site);
	return;
}

# Kills one of `names` that has lived long enough; which, or undef: none has.
sub strike {
	my ($site, $relay, $born, @names) = @_;
	my $now = time;
	my @ripe;
	for my $name (@names) {
		my $pid = $name eq 'keeper' ? $$relay->pid : member($$relay, $name) // next;
		$born->{$pid} //= $now + scale(1.1 + rand 0.3);
		push @ripe, [$name, $pid] if $born->{$pid} <= $now;
	}
	my $victim = $ripe[rand @ripe] // return undef;
	my ($name, $pid) = @$victim;
	if ($name eq 'keeper') {
		restart($site, $relay);
	} else {
		kill 'KILL', $pid;
		defined successor($$relay, $name, $pid) or die "$name has no successor\n";
	}
	return $name;
}

# Kills `count` times under load, any of `names`: worker, control, keeper.
sub killed_under_load {
	my ($count, @names) = @_;
	my $seed = $ENV{RELAY_TEST_SEED} || time * 1000 % 1_000_000_000;
	srand $seed;
	diag("seed $seed");
	my $site = message_site(hosts => [qw(msul1 msul2 msul3 remhub3)], workers => $workers, peer => ['--delay', 15]);
	my $relay = message_relay($site);
	my $crowd = crowd(
		$site, "127.0.0.1:$site->{udp}", '--clients', $clients, '--window', 4, '--pause', 60, '--notices', 350, '--large', 20,
		'--lose', 150, '--pager', $site->{pager}, '--seed', $seed,
	);
	wait_for(sub { 200 < keys %{ outcomes($crowd) } }, 20) or die "no load\n";
	@names = map { $_ eq 'worker' ? grep { /^worker/ } @members : $_ } @names;
	my (%born, %did);
	my $end = time + scale(150);
	for (my $done = 0; $done < $count && time < $end;) {
		my $name = strike($site, \$relay, \%born, @names);
		if (defined $name) {
			++$done;
			++$did{$name};
		}
		select undef, undef, undef, 0.01 + rand 0.1;
	}
	my $all = 0;
	$all += $_ for values %did;
	is($all, $count, join ', ', 'killed', map { "$_ $did{$_}" } sort keys %did);
	$crowd->signal('USR1');
	is($crowd->wait(60), 0, 'everybody is answered at last, every accepted notice has come');
	verdict($site, $crowd, $all - ($did{control} // 0));
	is($relay->stop, 0, 'the relay ends well');
	return;
}

sub verdict {
	my ($site, $crowd, $ended_sessions) = @_;
	$crowd->end;
	my $totals = totals($crowd);
	diag(join ', ', map { "$_ $totals->{$_}" } qw(sessions answered lost unsent other wrong made accepted shown acknowledged));
	my %ends;
	++$ends{$_} for values %{ outcomes($crowd) };
	diag(join ', ', map { "$_ $ends{$_}" } sort keys %ends);
	is($totals->{missing}, 0, 'no accepted notice is lost');
	is($totals->{again}, 0, 'none comes again whose confirm was acknowledged');
	is($totals->{twice}, 0, 'none is shown twice, or to somebody else');
	is($totals->{wrong}, 0, 'no reply is wrong');
	ok($totals->{acknowledged} > 100, 'confirms were acknowledged');
	if ($ended_sessions) {
		ok($totals->{sessions} > $clients, 'new sessions were asked for');
		ok($totals->{lost} > 0, 'and what was under way is known to be lost');
	} else {
		is("$totals->{sessions} $totals->{lost}", "$clients 0", 'sessions and requests do not depend on control');
	}
	my @refused = grep { /^(?:notice|page) / } split /\n/, $crowd->out;
	is(scalar @refused, 0, 'no notice was refused') or diag(join "\n", @refused[0 .. 4]);
	agree($site, $crowd);
	return;
}

1;
