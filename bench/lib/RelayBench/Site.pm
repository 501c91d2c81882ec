package RelayBench::Site;

# RelayBench::Site - the place of one run: a directory, addresses, and processes that end with it.
#
# Ends only processes that it started, by their ids.  Host number N is 127.0.0.N, all at one port.

use strict;
use warnings;
use File::Temp ();
use POSIX ();
use Socket qw(AF_UNIX PF_INET PF_UNIX SOCK_DGRAM SOCK_STREAM inet_aton pack_sockaddr_in pack_sockaddr_un unpack_sockaddr_in);
use Time::HiRes qw(time);

sub new {
	my ($class, %what) = @_;
	my $dir = File::Temp->newdir('rb-XXXXXX', DIR => File::Spec->tmpdir);
	my $self = bless { dir => $dir, hosts => $what{hosts} // 1, processes => [], owner => $$ }, $class;
	mkdir "$dir/$_" or die "$dir/$_: $!\n" for qw(sock logs);
	$self->{port} = $self->free_port;
	return $self;
}

sub dir { return "$_[0]{dir}" }
sub hosts { return $_[0]{hosts} }
sub port { return $_[0]{port} }

sub ids {
	my ($self) = @_;
	return map { "h$_" } 1 .. $self->{hosts};
}
sub path { return "$_[0]{dir}/sock/$_[1]" }

sub address {
	my ($self, $id) = @_;
	return '127.0.0.' . substr($id, 1) . ":$self->{port}";
}

# Where the relay takes datagrams: a port that is free, the same at every call.
sub udp {
	my ($self) = @_;
	return $self->{udp} if $self->{udp};
	socket my $socket, PF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
	bind $socket, pack_sockaddr_in(0, inet_aton('127.0.0.1')) or die "no free port: $!\n";
	my ($port) = unpack_sockaddr_in(getsockname $socket);
	return $self->{udp} = "127.0.0.1:$port";
}

# [path of its socket, address of its peer] of each host
sub routes {
	my ($self) = @_;
	return map { [ $self->path($_), $self->address($_) ] } $self->ids;
}

# A TCP port that is free on the addresses of all hosts.
sub free_port {
	my ($self) = @_;
	my $bound = sub {
		my ($address, $port) = @_;
		socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
		return bind($socket, pack_sockaddr_in($port, inet_aton($address))) ? $socket : undef;
	};
	for (1 .. 100) {
		my $first = $bound->('127.0.0.1', 0) or die "no free port: $!\n";
		my ($port) = unpack_sockaddr_in(getsockname $first);
		my @held = map { $bound->("127.0.0.$_", $port) // () } 2 .. $self->{hosts};
		return $port if @held == $self->{hosts} - 1;
	}
	die "no port is free on all addresses\n";
}

sub write_file {
	my ($self, $name, $text) = @_;
	my $path = "$self->{dir}/$name";
	open my $file, '>', $path or die "$path: $!\n";
	print {$file} $text;
	close $file or die "$path: $!\n";
	return $path;
}

sub read_file {
	my ($path) = @_;
	open my $file, '<', $path or return '';
	local $/;
	return <$file> // '';
}

# Starts a program on these processors (undef: any), its output in files.  Returns a handle: name, pid, out, err.
sub spawn {
	my ($self, $name, $cpus, @command) = @_;
	return $self->start($name, $cpus, undef, undef, @command);
}

# Likewise, but stdin and stdout are pipes: to, from.
sub spawn_piped {
	my ($self, $name, $cpus, @command) = @_;
	pipe my $in, my $to or die "pipe: $!\n";
	pipe my $from, my $out or die "pipe: $!\n";
	my $process = $self->start($name, $cpus, $in, $out, @command);
	@$process{qw(to from)} = ($to, $from);
	return $process;
}

sub start {
	my ($self, $name, $cpus, $in, $out, @command) = @_;
	my $base = "$self->{dir}/$name";
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		$SIG{$_} = 'DEFAULT' for qw(TERM INT HUP PIPE);
		open STDIN, $in ? '<&' : '<', $in // '/dev/null';
		open STDOUT, $out ? '>&' : '>', $out // "$base.out";
		open STDERR, '>', "$base.err";
		unshift @command, 'taskset', '-c', $cpus if defined $cpus;
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	my $process = { name => $name, pid => $pid, out => "$base.out", err => "$base.err" };
	push @{ $self->{processes} }, $process;
	return $process;
}

# The wait status of one that has ended, undef while it runs.
sub ended {
	my ($process) = @_;
	$process->{status} = $? if !defined $process->{status} && waitpid($process->{pid}, POSIX::WNOHANG()) == $process->{pid};
	return $process->{status};
}

sub wait_for {
	my ($condition, $seconds) = @_;
	my $end = time + $seconds;
	my $pause = 0.002;
	while (1) {
		my $answer = $condition->();
		return $answer if $answer;
		return 0 if time >= $end;
		select undef, undef, undef, $pause;
		$pause *= 1.5 if $pause < 0.02;
	}
}

# Waits until a process has said so much, or dies with what it said instead.
sub wait_said {
	my ($self, $process, $pattern) = @_;
	my $said = sub { read_file($process->{out}) =~ $pattern };
	wait_for(sub { $said->() || defined ended($process) }, 10);
	$said->() or die "$process->{name} did not start: " . read_file($process->{err}) . "\n";
	return;
}

sub accepts {
	my ($path) = @_;
	socket my $socket, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!\n";
	return connect $socket, pack_sockaddr_un($path);
}

# Waits until the sockets of all hosts accept.
sub wait_open {
	my ($self, $process) = @_;
	for my $id ($self->ids) {
		my $path = $self->path($id);
		wait_for(sub { accepts($path) || defined ended($process) }, 20);
		die "$process->{name} ended early: " . read_file($process->{err}) . "\n" if defined ended($process);
		die "$process->{name}: nobody accepts at $path\n" . read_file($process->{err}) unless accepts($path);
	}
	return;
}

# A process and all that descend from it.
sub family {
	my ($pid) = @_;
	my @found = ($pid);
	for my $children (glob "/proc/$pid/task/*/children") {
		push @found, map { family($_) } split ' ', read_file($children);
	}
	return @found;
}

# TERM, and KILL for what does not heed it, families included.
sub finish {
	my ($self) = @_;
	my @running = grep { !defined ended($_) } reverse @{ $self->{processes} };
	my @family = map { family($_->{pid}) } @running;
	for my $process (@running) {
		kill 'TERM', $process->{pid};
		next if wait_for(sub { defined ended($process) }, 5);
		kill 'KILL', family($process->{pid});
		waitpid $process->{pid}, 0;
		$process->{status} = $?;
	}
	# Children of one that died without them: they are reparented, but known by their ids.
	wait_for(sub { !grep { is_alive($_) } @family }, 2);
	kill 'KILL', grep { is_alive($_) } @family;
	$self->{processes} = [];
	return;
}

sub is_alive {
	my ($pid) = @_;
	return read_file("/proc/$pid/stat") =~ /^\d+ \(.*\) [^ZX]/s;
}

sub DESTROY {
	my ($self) = @_;
	# What is waited for here must not become the exit status of the program.
	local ($?, $!, $@);
	$self->finish if $$ == $self->{owner};
	return;
}

1;
