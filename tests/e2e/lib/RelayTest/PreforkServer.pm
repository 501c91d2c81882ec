package RelayTest::PreforkServer;

# PreforkServer - a prefork-interp server of the test's own, step by step: it greets as it is told to, records what a client sends, byte
# for byte and with every descriptor, and answers or goes away whenever the test likes.
#
# Runs in the test's process, and waits for nothing longer than a deadline.  Received descriptors are closed with the call.

use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use RelayTest;

our @EXPORT = qw(PLAIN EXTENDED listen_at call_of message_of no_recvmsg);

use constant { PLAIN => "PFI\n\0\0\0\0", EXTENDED => "PFI\n\0\0\0\4RLX1" };
use constant { CONTROL_ROOM => 256, CONTROL_HEAD => 16, SOL_SOCKET => 1, SCM_RIGHTS => 1 };

# Perl has no recvmsg of its own.
my %number = (x86_64 => 47, aarch64 => 212, riscv64 => 212);
my $recvmsg = $number{ (POSIX::uname())[4] };

# Why this cannot work here, or nothing.
sub no_recvmsg { return defined $recvmsg ? '' : 'recvmsg has no known number on this processor' }

sub listen_at {
	my ($path, $backlog) = @_;
	return IO::Socket::UNIX->new(Local => $path, Listen => $backlog // 64) // die "$path: $!\n";
}

# The next call, or nothing within `seconds`.
sub call_of {
	my ($listener, $seconds) = @_;
	IO::Select->new($listener)->can_read(scale($seconds // 10)) or return undef;
	return bless { socket => scalar $listener->accept, fds => [] }, __PACKAGE__;
}

# A message as a client has to send it: what has '=' of the environment, and the arguments.
sub message_of {
	my ($environment, @arguments) = @_;
	return join '', map { "$_\0" } (grep { /=/ } @{$environment}), '', @arguments;
}

sub say {
	my ($self, $bytes) = @_;
	return ($self->{socket}->send($bytes) // -1) == length $bytes;
}

sub close {
	my ($self) = @_;
	$self->{socket}->close if $self->{socket};
	POSIX::close($_) for splice @{ $self->{fds} };
	return;
}

sub DESTROY { return $_[0]->close }

sub pointer { return unpack 'J', pack 'P', $_[0] }

# One recvmsg of at most `length` bytes: the bytes ('' at the end, nothing after the deadline) and the descriptors with them.
sub receive {
	my ($self, $length, $seconds) = @_;
	IO::Select->new($self->{socket})->can_read(scale($seconds // 10)) or return undef;
	my ($bytes, $control) = ("\0" x $length, "\0" x CONTROL_ROOM);
	my $vector = pack 'JJ', pointer($bytes), $length;
	my $header = pack 'JJJJJJJ', 0, 0, pointer($vector), 1, pointer($control), CONTROL_ROOM, 0;
	my $got = syscall $recvmsg, fileno $self->{socket}, $header, 0;
	return '' if $got < 0 && $!{ECONNRESET};
	die "recvmsg: $!\n" if $got < 0;
	my @fds;
	my ($size, $level, $type) = unpack 'Jll', $control;
	@fds = unpack 'l*', substr $control, CONTROL_HEAD, $size - CONTROL_HEAD
	    if (unpack 'JJJJJJJ', $header)[5] > 0 && $level == SOL_SOCKET && $type == SCM_RIGHTS;
	push @{ $self->{fds} }, @fds;
	return (substr($bytes, 0, $got), @fds);
}

# Exactly so many bytes, or what there was until the end or the deadline.
sub read_bytes {
	my ($self, $length, $seconds) = @_;
	my $bytes = '';
	while (length $bytes < $length) {
		my ($more) = $self->receive($length - length $bytes, $seconds);
		last unless defined $more && length $more;
		$bytes .= $more;
	}
	return $bytes;
}

# Whether the client says nothing more and ends its side.
sub at_end {
	my ($self, $seconds) = @_;
	my ($bytes) = $self->receive(1, $seconds);
	return defined $bytes && $bytes eq '';
}

# Whether nothing at all comes for some time.
sub is_silent {
	my ($self, $seconds) = @_;
	return !IO::Select->new($self->{socket})->can_read($seconds // 0.2);
}

# The whole request, one byte after another where descriptors may come: { steps => what came how, message => the bytes }.
sub request {
	my ($self) = @_;
	my @steps;
	for (0 .. 3) {
		my ($byte, @fds) = $self->receive(1);
		return undef unless defined $byte && length $byte;
		push @steps, unpack('H2', $byte) . '+' . @fds;
	}
	my $length = $self->read_bytes(4);
	return undef if length $length < 4;
	my $message = $self->read_bytes(unpack 'N', $length);
	return undef if length $message < unpack 'N', $length;
	return { steps => join(' ', @steps), message => $message };
}

# "device:inode" of received descriptor `index`.
sub inode {
	my ($self, $index) = @_;
	my @found = stat '/proc/self/fd/' . ($self->{fds}[$index] // 'none') or return undef;
	return "$found[0]:$found[1]";
}

# Greets, takes the request, answers with a status word and closes.
sub serve {
	my ($self, $status, $greeting) = @_;
	$self->say($greeting // PLAIN);
	my $request = $self->request;
	$self->say(pack 'N', $status);
	return $request;
}

1;
