package RelayTest::Prefork;

# RelayTest::Prefork - a prefork service under test: started by the real client, which keeps its socket in the user's run
# directory under a name of this script's own, or by hand, with a socket in scratch().
#
# Ends the services that it started, also if the script fails.

use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(F_SETFD FD_CLOEXEC);
use IO::Socket::UNIX;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use Time::HiRes ();
use RelayTest;

our @EXPORT_OK = qw(request alive descriptors);

my $count = 0;
my @real;

# ---- what a proper caller sends, as steps of prefork-call ----

sub request {
	my ($environment, @arguments) = @_;
	my $message = join '', (map { "$_\0" } @{$environment}), "\0", map { "$_\0" } @arguments;
	return ('00', map({ ('fd', '00', $_) } 0 .. 2), unpack 'H*', pack 'N/a*', $message);
}

sub alive {
	my ($pid) = @_;
	my ($state) = (slurp("/proc/$pid/stat") // '') =~ /\) (\S)/;
	return defined $state && $state ne 'Z';
}

sub descriptors {
	my ($pid) = @_;
	return join ' ', sort { $a <=> $b } map { m{/(\d+)$} } glob "/proc/$pid/fd/*";
}

# ---- by the real client ----

sub real {
	my ($class, $options, %how) = @_;
	skip_all('no prefork-interp here') unless grep { -x "$_/prefork-interp" } split /:/, $ENV{PATH} // '';
	my $self = bless {
		ident => "relay-test-$$-" . ++$count, program => $how{program} // program('tests/prefork-probe'), options => $options,
	}, $class;
	push @real, $self;
	return $self;
}

# Starts a call; `flags` are options of the client.
sub call {
	my ($self, @words) = @_;
	my @flags = ref $words[0] ? @{ shift @words } : ();
	return spawn('call', 'prefork-interp', '-U', @flags, '-g', $self->{ident}, $self->{program}, $self->{options}, @words);
}

# The call's end as Process::wait tells it, and what it wrote.
sub ask {
	my ($self, @words) = @_;
	my $process = $self->call(@words);
	my $status = $process->wait(20);
	return ($status, $process->out, $process->err);
}

sub status {
	my ($self, @words) = @_;
	return ($self->ask(@words))[0];
}

# The pid of the server, by a call.
sub server {
	my ($self) = @_;
	my ($status, $out) = $self->ask('ids');
	return defined $status && $status eq '0' ? (split ' ', $out)[3] : undef;
}

sub kill_real {
	my ($self) = @_;
	return system 'prefork-interp', '--kill', '-U', '-g', $self->{ident}, $self->{program};
}

# ---- by hand ----

# What a descriptor is known by to the program that is started.
sub inherit {
	my ($on, @handles) = @_;
	fcntl $_, F_SETFD, $on ? 0 : FD_CLOEXEC or die "fcntl: $!\n" for @handles;
	return;
}

# `items` follow the time, `value` stands for all of PREFORK_INTERP; {0} to {3} are the descriptors.  The set-up process is in
# {setup}; it has ended with 0 unless `fails`.
sub start {
	my ($class, $options, %how) = @_;
	my $self = bless { path => scratch() . '/s' . ++$count }, $class;
	my $listen = IO::Socket::UNIX->new(Local => $self->{path}, Listen => 4096) or die "$self->{path}: $!\n";
	socketpair $self->{call}, my $call, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!\n";
	pipe $self->{gone}, my $sentinel or die "pipe: $!\n";
	pipe my $orders, $self->{orders} or die "pipe: $!\n";
	$_->blocking(0) for $listen, $orders;
	$self->{fresh} = sprintf '%.9f', Time::HiRes::time();
	my @handed = ($listen, $call, $sentinel, $orders);
	my $value = $how{value} // 'v1,{T}' . ($how{items} // '') . ' {0},{1},{2},{3}';
	$value =~ s/\{(\d)\}/fileno $handed[$1]/ge;
	$value =~ s/\{T\}/$self->{fresh}/g;
	close delete $self->{call} unless $how{call};
	inherit(1, @handed);
	{
		local $ENV{PREFORK_INTERP} = $value;
		my @command = @{ $how{command} // [ program('tests/prefork-probe') ] };
		$self->{setup} = spawn('setup', @command, length $options ? $options : (), @{ $how{words} // [] });
	}
	inherit(0, @handed);
	close $_ for @handed;
	$self->{gone}->blocking(0);
	my $status = $self->{setup}->wait;
	die "the service did not start: $status\n" if !$how{fails} && $status ne '0';
	return $self;
}

# The same with a service in Perl, which shows its A and second argument and ends with status 9, undef if the original's library is
# not here.
sub perl {
	my ($class, %how) = @_;
	my $found = spawn('perl', $^X, '-MProc::Prefork::Interp', '-e', '0')->wait;
	if (!defined $found || $found ne '0') {
		diag('no Proc::Prefork::Interp here: nothing is tested with it');
		return undef;
	}
	# _exit() at once: otherwise the library may interrupt a program that is about to end.
	my $script = spew(scratch() . '/service.pl', <<'EOF');
use strict;
use warnings;
use POSIX ();
use Proc::Prefork::Interp;
prefork_initialisation_complete(log_facility => '');
syswrite STDOUT, "$ENV{A} $ARGV[1]";
POSIX::_exit(9);
EOF
	return $class->start('', %how, command => [ $^X, $script ]);
}

# Steps for prefork-call.
sub steps {
	my ($self, @steps) = @_;
	return spawn('caller', program('tests/prefork-call'), $self->{path}, @steps);
}

# A whole call by hand: what came of it, in hexadecimal, and what the service wrote to standard output.
sub result {
	my ($self, @steps) = @_;
	my $process = $self->steps(@steps);
	$process->wait(20);
	return $process->out;
}

sub ended {
	my ($self) = @_;
	my $got = sysread $self->{gone}, my $byte, 1;
	return defined $got && $got == 0;
}

END {
	my $status = $?;
	$_->kill_real for @real;
	$? = $status;
}

1;
