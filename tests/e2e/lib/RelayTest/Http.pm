package RelayTest::Http;

# Http - an HTTP client that says exactly what it is told to.

use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use RelayTest;
use Time::HiRes qw(time);

our @EXPORT = qw(http http_open http_send http_read);

# `where` is a path or 127.0.0.1:PORT.
sub http_open {
	my ($where) = @_;
	my $socket = $where =~ m{/} ? IO::Socket::UNIX->new(Peer => $where) : IO::Socket::INET->new(PeerAddr => $where);
	return $socket // die "$where: $!\n";
}

sub http_send {
	my ($socket, $request, $headers, $body) = @_;
	my $bytes = "$request HTTP/1.1\r\nHost: relay\r\n" . ($headers // '') . "\r\n" . ($body // '');
	while (length $bytes) {
		my $n = $socket->syswrite($bytes) or last;
		substr $bytes, 0, $n, '';
	}
	return;
}

# The reply until the connection's end: status (undef if there came none), head, body.
sub http_read {
	my ($socket, $seconds) = @_;
	my $end = time + scale($seconds // 10);
	my $bytes = '';
	while ((my $left = $end - time) > 0) {
		IO::Select->new($socket)->can_read($left) or last;
		$socket->sysread($bytes, 65536, length $bytes) or last;
	}
	my ($first, $head, $body) = $bytes =~ m{\AHTTP/1\.[01] (\d+)[^\r]*\r\n(.*?)\r\n\r\n(.*)\z}s or return { head => {}, body => '' };
	return { status => $first, head => { map { lc $_->[0] => $_->[1] } map { [split /: /, $_, 2] } split /\r\n/, $head }, body => $body };
}

sub http {
	my ($where, @request) = @_;
	my $socket = http_open($where);
	http_send($socket, @request);
	return http_read($socket);
}

1;
