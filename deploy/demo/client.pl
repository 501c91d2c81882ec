#!/usr/bin/env perl
# client.pl SOCKET COMMAND - one request to a host, spoken as LON-CAPA's own programs speak to the relay; like them it tries for ten
# seconds to connect.  Exit status 1 for con_lost.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $cmd) = @ARGV;
my $client;
for (1 .. 100) {
	$client = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_STREAM, Timeout => 10) and last;
	select undef, undef, undef, 0.1;
}
if (!$client) {
	print "con_lost\n";
	exit 1;
}
# A relay that hangs must not hang its client.
alarm 30;
print $client "$cmd\n";
my $answer = <$client>;
$answer //= "con_lost\n";
print $answer;
exit($answer eq "con_lost\n" ? 1 : 0);
