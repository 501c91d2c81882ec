package RelayTest::Operator;

# RelayTest::Operator - relayctl as an operator uses it, against the relay of a site.  Decides nothing.

use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
use RelayTest;

our @EXPORT = qw(relayctl ctl ctl_json ctl_begin ctl_end rows call_row host_state);

sub words {
	my ($site, @words) = @_;
	my $socket = $site->dir . '/daemons/logs/relay.control';
	wait_for(sub { -S $socket }, 10);
	return (program('relayctl'), '--socket', $socket, '--timeout', scale(20) . 's', @words);
}

# Starts it; ctl_end() has what became of it.
sub ctl_begin {
	my ($site, @words) = @_;
	return spawn('relayctl', words($site, @words));
}

# The exit status and all that it said.
sub ctl_end {
	my ($process) = @_;
	my $status = $process->wait(30) // 'still running';
	return ($status, $process->out, $process->err);
}

sub ctl {
	my ($site, @words) = @_;
	return ctl_end(ctl_begin($site, @words));
}

# The same with the exit status as a number, or `signal N`.
sub relayctl {
	my $process = ctl_begin(@_);
	return ($process->wait(30), $process->out, $process->err);
}

# What `-o json` prints, as a value; undef unless the exit status is 0.
sub ctl_json {
	my ($site, @words) = @_;
	my ($status, $out) = ctl($site, '-o', 'json', @words);
	return $status eq '0' ? JSON::PP::decode_json($out) : undef;
}

# The rows of a list: links or clients, of one host or of all.
sub rows {
	my ($site, $noun, @host) = @_;
	my $reply = ctl_json($site, $noun, 'list', @host) // return;
	my ($name) = $noun =~ /^(\w+?)s$/;
	return @{ $reply->{$noun}{$name} // [] };
}

# The row of the call that a process has made, once it is in this state; undef if that does not come.
sub call_row {
	my ($site, $process, $state) = @_;
	my $row;
	wait_for(sub { ($row) = grep { $_->{pid} == $process->pid && $_->{state} eq $state } rows($site, 'calls'); $row }, 10);
	return $row;
}

sub host_state {
	my ($site, $id) = @_;
	my $reply = ctl_json($site, 'hosts', 'list') // return undef;
	my ($host) = grep { $_->{id} eq $id } @{ $reply->{hosts}{host} // [] };
	return $host->{state};
}

1;
