package RelayTest::Manager;

# RelayTest::Manager - plays the service manager: hears what the relay notifies, and passes it listening sockets.

use strict;
use warnings;
use Fcntl;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);
use RelayTest;

# Where it can be notified; an address that begins with @ is abstract.
sub new {
	my ($class, $address) = @_;
	my $socket = IO::Socket::UNIX->new(Local => $address =~ s/^@/\0/r, Type => SOCK_DGRAM) or die "$address: $!\n";
	$socket->blocking(0);
	return bless { socket => $socket, address => $address, heard => [] }, $class;
}

# Words to put before a command so that it knows whom to notify.
sub environment {
	my ($self, @more) = @_;
	return ['/usr/bin/env', "NOTIFY_SOCKET=$self->{address}", @more];
}

# All that was heard so far, [time, text] each.
sub heard {
	my ($self) = @_;
	while (defined recv $self->{socket}, my $text, 4096, 0) {
		push @{ $self->{heard} }, [time, $text];
	}
	return @{ $self->{heard} };
}

# How often something was heard that matches.
sub times {
	my ($self, $pattern) = @_;
	return scalar grep { $_->[1] =~ $pattern } $self->heard;
}

sub hears {
	my ($self, $pattern, $count, $seconds) = @_;
	return wait_for(sub { $self->times($pattern) >= ($count // 1) }, $seconds // 10);
}

# What was heard, in order, without the watchdog's.
sub story {
	my ($self) = @_;
	return join ' ', map { $_->[1] =~ /^(\w+)=/ ? $1 : '?' } grep { $_->[1] !~ /^WATCHDOG/ } $self->heard;
}

# Words to put before a command so that it gets these sockets, as [name, socket] each.
sub passing {
	my (@sockets) = @_;
	# Out of the way first, then to their places; nothing else of them may stay open.
	my $become = <<~'END';
		use POSIX;
		my ($fds, $names, @command) = @ARGV;
		my @fds = split /,/, $fds;
		POSIX::dup2($fds[$_], 100 + $_) or die "dup2: $!\n" for 0 .. $#fds;
		POSIX::close($_) for @fds;
		POSIX::dup2(100 + $_, 3 + $_) or die "dup2: $!\n" for 0 .. $#fds;
		POSIX::close(100 + $_) for 0 .. $#fds;
		@ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($$, scalar @fds, $names);
		exec { $command[0] } @command;
		END
	for my $socket (map { $_->[1] } @sockets) {
		fcntl $socket, F_SETFD, fcntl($socket, F_GETFD, 0) & ~FD_CLOEXEC or die "fcntl: $!\n";
	}
	my $fds = join ',', map { $_->[1]->fileno } @sockets;
	return [$^X, '-e', $become, $fds, join ':', map { $_->[0] } @sockets];
}

1;
