#!/usr/bin/env perl
# client.pl SOCKET COMMAND - one request to a host, spoken as LON-CAPA's own programs speak to the relay.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $cmd) = @ARGV;
my $client = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_STREAM, Timeout => 10);
if (!$client) {
	print "con_lost\n";
	exit 1;
}
# A relay that hangs must not hang its client.
alarm 30;
print $client "$cmd\n";
my $answer = <$client>;
print defined $answer ? $answer : "con_lost\n";
