package RelayTest::Names;

# RelayTest::Names - a name server of the script's own, in a process of its own, which answers what it was told to, or nothing
# at all; and the words to put before a command so that it asks this one.  That takes the right to mount; where it is
# missing, new() says why not and the script can be skipped.

use strict;
use warnings;
use POSIX ();
use Socket qw(AF_INET SOCK_DGRAM inet_aton pack_sockaddr_in);
use RelayTest;

my @running;

# The server, or a text that says why there can be none.
sub new {
	my ($class) = @_;
	my $dir = scratch();
	my $self = bless { zone => "$dir/zone", asked => "$dir/asked", conf => "$dir/resolv.conf" }, $class;
	# An address that is ours alone; the port cannot be chosen in resolv.conf.
	my $address = join '.', 127, 64 + ($$ >> 16) % 64, ($$ >> 8) & 255, $$ & 255;
	socket my $socket, AF_INET, SOCK_DGRAM, 0 or return "socket: $!";
	bind $socket, pack_sockaddr_in(53, inet_aton($address)) or return "$address:53 cannot be bound: $!";
	spew($self->{conf}, "nameserver $address\noptions timeout:30 attempts:5\n");
	spew($self->{asked}, '');
	$self->{nsswitch} = spew("$dir/nsswitch.conf", "hosts: dns\n");
	my $try = spawn('unshare', @{ $self->asking }, '/bin/true');
	return 'files cannot be mounted over: ' . $try->err if ($try->wait // 1) != 0;
	$self->answer;
	$self->{pid} = fork // die "fork: $!\n";
	if ($self->{pid} == 0) {
		$SIG{TERM} = 'DEFAULT';
		eval { $self->serve($socket) };
		POSIX::_exit(1);
	}
	push @running, $self;
	return $self;
}

# Words to put before a command.
sub asking {
	my ($self) = @_;
	my $mount = 'mount --bind "$0" /etc/resolv.conf && mount --bind "$1" /etc/nsswitch.conf && shift && exec "$@"';
	return ['unshare', '--mount', '/bin/sh', '-c', $mount, $self->{conf}, $self->{nsswitch}];
}

# From now on these names have these addresses, several with a space between them, and no others exist.
sub answer {
	my ($self, %addresses) = @_;
	spew("$self->{zone}.new", join '', map { "$_ $addresses{$_}\n" } sort keys %addresses);
	rename "$self->{zone}.new", $self->{zone} or die "zone: $!\n";
	return;
}

# From now on nothing is answered.
sub fall_silent {
	my ($self) = @_;
	unlink $self->{zone};
	return;
}

# How often a name was asked for.
sub asked {
	my ($self, $name) = @_;
	return scalar grep { $_ eq $name } split /\n/, slurp($self->{asked}) // '';
}

END {
	local $?;
	for my $self (@running) {
		kill 'TERM', $self->{pid};
		waitpid $self->{pid}, 0;
	}
}

# ---- in the other process ----

sub serve {
	my ($self, $socket) = @_;
	while (defined(my $from = recv $socket, my $query, 512, 0)) {
		my ($id, $questions) = unpack 'n x2 n', $query;
		my ($at, @labels) = (12);
		while (my $length = unpack "x$at C", $query) {
			push @labels, substr $query, $at + 1, $length;
			$at += 1 + $length;
		}
		my $name = join '.', @labels;
		my $question = substr $query, 12, $at + 5 - 12;
		my $type = unpack 'n', substr $question, -4;
		open my $asked, '>>', $self->{asked};
		print {$asked} "$name\n" if $type == 1;
		close $asked;
		my $zone = slurp($self->{zone}) // next;
		my ($addresses) = $zone =~ /^\Q$name\E (.+)$/m;
		my @answers = map { pack('n n n N n', 0xc00c, 1, 1, 1, 4) . inet_aton($_) } $type == 1 ? split / /, $addresses // '' : ();
		my $code = defined $addresses ? 0 : 3;
		send $socket, pack('n6', $id, 0x8180 | $code, 1, scalar @answers, 0, 0) . $question . join('', @answers), 0, $from;
	}
	return;
}

1;
