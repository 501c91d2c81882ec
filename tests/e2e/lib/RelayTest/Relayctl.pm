package RelayTest::Relayctl;

# RelayTest::Relayctl - relayctl against the relay of a site: how it ended, what it said, or its answer as data.

use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
use RelayTest;

our @EXPORT = qw(relayctl answer messages);

# The exit status, standard output and standard error.
sub relayctl {
	my ($site, @words) = @_;
	my $socket = $site->dir . '/daemons/logs/relay.control';
	my $process = spawn('relayctl', program('relayctl'), '--socket', $socket, '--timeout', scale(20) . 's', @words);
	return ($process->wait(30), $process->out, $process->err);
}

# What `-o json` prints; undef unless all went well.
sub answer {
	my ($site, @words) = @_;
	my ($status, $out) = relayctl($site, '-o', 'json', @words);
	return undef unless defined $status && $status eq '0';
	return JSON::PP->new->latin1->decode($out);
}

# The delayed messages as `name=state`, in the order of the list.
sub messages {
	my ($site, @host) = @_;
	my $answer = answer($site, 'delayed', 'list', @host) // return 'no answer';
	return join ' ', map { "$_->{name}=$_->{state}" } @{ $answer->{delayed}{message} // [] };
}

1;
