package RelayTest::Site;

# RelayTest::Site - a LON-CAPA site in the script's directory: configuration, hosts.tab, sockets, peers and the relay.
#
# hosts.tab has no ports, all hosts share londPort: host number N is 127.0.0.N at one port that is free on all of
# these addresses.  The port is held by bound sockets that do not listen, so that nobody else can take it while a
# peer is down: a connect is refused, and a peer (with SO_REUSEADDR) can still listen there.

use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(INADDR_LOOPBACK SOL_SOCKET SO_REUSEADDR inet_aton pack_sockaddr_in unpack_sockaddr_in);
use RelayTest qw(program scratch slurp spawn spew wait_for);
use RelayTest::Client;
use RelayTest::Lond;

my $sites = 0;

# local => the relay's own host id, hosts => [ids of the peers]
sub new {
	my ($class, %what) = @_;
	my $dir = scratch() . '/s' . ++$sites;
	my $self = bless { dir => $dir, local => $what{local} // 'locgw7', hosts => $what{hosts} // ['remhub3'] }, $class;
	mkdir "$dir$_" or die "$dir$_: $!\n" for '', qw(/conf /sock /tab /daemons /daemons/logs /doc /doc/lon-status);
	$self->hold_port;
	my $number = 0;
	$self->{address}{$_} = '127.0.0.' . ++$number for @{ $self->{hosts} };
	$self->write_files;
	return $self;
}

sub bound {
	my ($address, $port) = @_;
	socket my $socket, Socket::PF_INET(), Socket::SOCK_STREAM(), 0 or die "socket: $!\n";
	setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1 or die "SO_REUSEADDR: $!\n";
	bind $socket, pack_sockaddr_in($port, inet_aton($address)) or return undef;
	return $socket;
}

sub hold_port {
	my ($self) = @_;
	for my $try (1 .. 100) {
		my $first = bound('127.0.0.1', 0) or die "no free port: $!\n";
		my ($port) = unpack_sockaddr_in(getsockname $first);
		my @held = ($first, map { bound("127.0.0.$_", $port) } 2 .. @{ $self->{hosts} });
		next if grep { !defined } @held or @held < @{ $self->{hosts} };
		@$self{qw(port held)} = ($port, \@held);
		return;
	}
	die "no port is free on all addresses\n";
}

sub write_files {
	my ($self) = @_;
	my $dir = $self->{dir};
	my %variables = (
		lonSockDir => "$dir/sock", lonTabDir => "$dir/tab", lonDaemons => "$dir/daemons", lonDocRoot => "$dir/doc",
		lonHostID => $self->{local}, londPort => $self->{port}, lonAdmEMail => 'root@localhost',
		lonSysEMail => 'root@localhost',
	);
	spew("$dir/conf/loncapa.conf", join '', map { "PerlSetVar $_ $variables{$_}\n" } sort keys %variables);
	spew("$dir/tab/hosts.tab", join '', map { "$_:dom:library:$_.example.org:$self->{address}{$_}\n" } @{ $self->{hosts} });
	return;
}

sub dir { return $_[0]{dir} }
sub conf { return "$_[0]{dir}/conf" }
sub port { return $_[0]{port} }
sub hosts { return @{ $_[0]{hosts} } }
sub path { return "$_[0]{dir}/sock/$_[1]" }

# Starts relay-peer as a host and waits until it listens.
sub peer {
	my ($self, $id, @options) = @_;
	my $process = spawn(
		"peer-$id", program('relay-peer'), '--listen', "$self->{address}{$id}:$self->{port}", '--id', $id,
		'--local', $self->{local}, @options
	);
	wait_for(sub { $process->out =~ /^listening / || defined $process->ended }, 10);
	$process->out =~ /^listening \Q$self->{address}{$id}:$self->{port}\E$/m
	    or die "the peer $id does not listen: " . $process->out . $process->err . "\n";
	return $process;
}

# A peer that the script plays itself.
sub lond {
	my ($self, $id) = @_;
	return RelayTest::Lond->new($self->{address}{$id}, $self->{port}, $id);
}

sub command {
	my ($self, @options) = @_;
	return (program('relayd'), '-F', '--loncapa', $self->conf, @options);
}

# Starts the relay and waits until every host's socket accepts.
sub relay {
	my ($self, @options) = @_;
	my $process = spawn('relayd', $self->command(@options));
	for my $id ($self->hosts) {
		my $up = wait_for(sub { defined $process->ended || RelayTest::Client->new($self->path($id)) }, 10);
		die "relayd ended early\n" if defined $process->ended;
		die "no socket for $id\n" unless $up;
	}
	return $self->{relay} = $process;
}

# A connected client of a host's socket.
sub client {
	my ($self, $id) = @_;
	my $path = $self->path($id // $self->{hosts}[0]);
	return RelayTest::Client->new($path) // die "connect $path: $!\n";
}

# A client that asks until the host answers: for scripts that are not about the time before the first link.
sub ready_client {
	my ($self, $id) = @_;
	my $client = $self->client($id);
	my $reply;
	wait_for(sub { $reply = $client->ask('ping'); defined $reply && $reply ne "con_lost\n" }, 10)
	    or die 'the host does not answer: ' . RelayTest::show($reply) . "\n";
	return $client;
}

1;
