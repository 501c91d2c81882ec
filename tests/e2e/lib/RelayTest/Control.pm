# The control socket without relayctl: just enough of protobuf to send what relayctl never would, and to play the daemon.
package RelayTest::Control;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;

our @EXPORT = qw(varint number bytes frame fields verbs request control_connect read_frame);

sub varint {
	my ($n) = @_;
	my $bytes = '';
	while ($n > 127) {
		$bytes .= chr($n & 127 | 128);
		$n >>= 7;
	}
	return $bytes . chr $n;
}

sub number { return varint($_[0] << 3) . varint($_[1]) }
sub bytes  { return varint($_[0] << 3 | 2) . varint(length $_[1]) . $_[1] }
sub frame  { return pack('N', length $_[0]) . $_[0] }

sub take_varint {
	my ($from) = @_;
	my ($n, $shift) = (0, 0);
	while (${$from} =~ s/^(.)//s) {
		$n |= (ord($1) & 127) << $shift;
		return $n if ord $1 < 128;
		$shift += 7;
	}
	die "a message ends too early\n";
}

# Fields by number; one that comes again wins.
sub fields {
	my ($message) = @_;
	my %field;
	while (length $message) {
		my $tag = take_varint(\$message);
		my $value = take_varint(\$message);
		$value = substr $message, 0, $value, '' if ($tag & 7) == 2;
		$field{ $tag >> 3 } = $value;
	}
	return \%field;
}

# The verb table: [name, role] of each.
sub verbs {
	my ($root) = @_;
	open my $file, '<', "$root/relay/control_verbs.def" or die "control_verbs.def: $!\n";
	return map { /^VERB\("([^"]+)", ([A-Z]+),/ ? [$1, lc $2] : () } <$file>;
}

# A request's frame.
sub request {
	my ($id, $verb, @arguments) = @_;
	return frame(number(1, $id) . bytes(2, $verb) . join('', map { bytes(3, $_) } @arguments));
}

# The connection, after its Hello; the Hello's fields.  Nothing if another message comes.
sub control_connect {
	my ($path) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or return;
	my $hello = fields(read_frame($socket) // return);
	return ($hello->{1} // 0) == 1 ? ($socket, $hello) : ();
}

# The next message, or undef at the end or after so many seconds without a byte.
sub read_frame {
	my ($socket, $seconds) = @_;
	my $bytes = '';
	my $wanted = 4;
	while (length $bytes < $wanted) {
		my $set = '';
		vec($set, fileno $socket, 1) = 1;
		select($set, undef, undef, $seconds // 20) or return undef;
		$socket->sysread($bytes, $wanted - length $bytes, length $bytes) or return undef;
		$wanted = 4 + unpack 'N', $bytes if length $bytes == 4;
	}
	return substr $bytes, 4;
}

1;
