package RelayTest::Lond;

# RelayTest::Lond - the peer's side of a link, written by hand: a script says what the peer does, byte by byte, and
# so can misbehave in any way.  It answers nothing on its own.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use RelayTest ();
use RelayTest::Client;

# Listens where the site's configuration says that the host is.
sub new {
	my ($class, $address, $port, $id) = @_;
	my $socket = IO::Socket::INET->new(
		LocalAddr => $address, LocalPort => $port, Proto => 'tcp', Listen => 128, ReuseAddr => 1,
	) or die "listen $address:$port: $!\n";
	return bless { socket => $socket, id => $id }, $class;
}

# The next link that the relay opens, undef at the deadline.
sub accept {
	my ($self, $seconds) = @_;
	IO::Select->new($self->{socket})->can_read(RelayTest::scale($seconds // 10)) or return undef;
	my $socket = $self->{socket}->accept or return undef;
	return RelayTest::Lond::Link->over($socket);
}

# The next link, taken through a good handshake.
sub link {
	my ($self, %how) = @_;
	my $link = $self->accept($how{seconds}) or return undef;
	return $link->handshake($how{build_key} // '48213ADBE0FC7B96A2871733209', $self->{id}) ? $link : undef;
}

# No more links: what waits in the queue of the listener is reset.
sub close {
	my ($self) = @_;
	return $self->{socket}->close;
}

package RelayTest::Lond::Link;

our @ISA = ('RelayTest::Client');

# Answers init, challenge, perhaps pong, and ekey; false if the relay says anything else.
sub handshake {
	my ($self, $build_key, $id) = @_;
	($self->reply // '') eq "init\n" or return 0;
	$self->send("1047923456:4711\n");
	($self->reply // '') eq "1047923456:4711\n" or return 0;
	$self->send("ok\n");
	my $line = $self->reply // '';
	if ($line eq "pong\n") {
		$self->send("$id:pong\n");
		$line = $self->reply // '';
	}
	$line eq "ekey\n" or return 0;
	return $self->send("$build_key\n");
}

# Closes so that the other end sees a reset.
sub reset {
	my ($self) = @_;
	setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
	return $self->{socket}->close;
}

1;
