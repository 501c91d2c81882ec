package RelayTest::Client;

# RelayTest::Client - a client of the relay on its UNIX socket, or one end of any other stream, as raw bytes with
# deadlines.  Sends and receives at the same time where it must; never changes a byte.  What fails answers undef, also in a
# list, so that it can stand among the arguments of is().

use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);
use RelayTest ();

# Connects to a host's socket; undef if that fails, with the reason in $!.
sub new {
	my ($class, $path) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_STREAM) or return undef;
	return $class->over($socket);
}

# The same for a stream that is connected already.
sub over {
	my ($class, $socket) = @_;
	$socket->blocking(0);
	binmode $socket;
	return bless { socket => $socket, in => '', eof => 0 }, $class;
}

sub socket { return $_[0]{socket} }

# Takes what has arrived, at most `limit` bytes; false if there was nothing.
sub pull {
	my ($self, $limit) = @_;
	my $got = sysread $self->{socket}, $self->{in}, $limit // 262_144, length $self->{in};
	if (defined $got) {
		$self->{eof} = 1 if $got == 0;
		return 1;
	}
	return 0 if $!{EAGAIN} || $!{EINTR};
	$self->{eof} = 1;
	return 1;
}

# Sends all the bytes, reading meanwhile; false at the deadline or if the other end is gone.
sub send {
	my ($self, $bytes, $seconds) = @_;
	my $end = time + RelayTest::scale($seconds // 10);
	my $select = IO::Select->new($self->{socket});
	my $at = 0;
	while ($at < length $bytes) {
		my $left = $end - time;
		return 0 if $left <= 0;
		my ($readable, $writable) = IO::Select::select($self->{eof} ? undef : $select, $select, undef, $left);
		$self->pull if $readable && @$readable;
		next unless $writable && @$writable;
		my $sent = syswrite $self->{socket}, $bytes, 65_536, $at;
		if (defined $sent) {
			$at += $sent;
		} elsif (!$!{EAGAIN} && !$!{EINTR}) {
			return 0;
		}
	}
	return 1;
}

# Waits until `enough` says so of what has arrived; false at the deadline or at the end of the stream.
sub fill {
	my ($self, $enough, $seconds) = @_;
	my $end = time + RelayTest::scale($seconds // 10);
	my $select = IO::Select->new($self->{socket});
	while (!$enough->()) {
		my $left = $end - time;
		return 0 if $self->{eof} || $left <= 0;
		$self->pull if $select->can_read($left);
	}
	return 1;
}

# The next line with its LF; undef if none comes before the deadline or the end.
sub reply {
	my ($self, $seconds) = @_;
	my $from = 0;
	my $found = -1;
	$self->fill(
		sub {
			$found = index $self->{in}, "\n", $from;
			$from = length $self->{in};
			return $found >= 0;
		},
		$seconds
	) or return undef;
	return substr $self->{in}, 0, $found + 1, '';
}

# One request, given without its LF, and its reply.
sub ask {
	my ($self, $line, $seconds) = @_;
	$self->send("$line\n", $seconds) or return undef;
	return $self->reply($seconds);
}

# What arrived and was not taken yet.
sub pending { return $_[0]{in} }

# Waits for the end of the stream; returns the bytes that came before it, undef at the deadline.
sub drain {
	my ($self, $seconds) = @_;
	$self->fill(sub { $self->{eof} }, $seconds) || $self->{eof} or return undef;
	my $bytes = $self->{in};
	$self->{in} = '';
	return $bytes;
}

# Half close: no more will be written.
sub finish {
	my ($self) = @_;
	return $self->{socket}->shutdown(1);
}

sub close {
	my ($self) = @_;
	return $self->{socket}->close;
}

1;
