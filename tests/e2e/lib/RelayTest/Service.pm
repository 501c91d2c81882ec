package RelayTest::Service;

# RelayTest::Service - services of fd-passing: their sections of relay.conf, a Perl service to start, and a client that speaks
# the protocol itself.  Decides nothing.
#
# The service is an ordinary script with Proc::Prefork::Interp.  It writes what its set-up found into a log beside it, and ends
# its calls by _exit: then that library tells their real status.

use strict;
use warnings;
use Exporter 'import';
use FindBin ();
use POSIX ();
use IO::Socket::UNIX;
use RelayTest;
use RelayTest::Operator;

our @EXPORT = qw(needs_prefork services script setups call call_begin service generation_path up);

sub needs_prefork {
	eval { require IO::FDPass; require Proc::Prefork::Interp; 1 }
	    or skip_all('Proc::Prefork::Interp (chiark-scripts, libio-fdpass-perl) is not installed');
	return;
}

# Writes relay.conf with these sections; returns its path.  A value is a text, or an array for a list.
sub services {
	my ($site, %sections) = @_;
	my $text = '';
	for my $name (sort keys %sections) {
		my $section = $sections{$name};
		$text .= qq(service "$name" {\n);
		for my $key (sort keys %$section) {
			my $value = $section->{$key};
			$value = ref $value ? '{' . join(', ', map { qq("$_") } @$value) . '}' : qq("$value");
			$text .= "\t$key = $value\n";
		}
		$text .= "}\n";
	}
	return spew($site->dir . '/relay.conf', $text);
}

my $script = <<'END';
use strict;
use warnings;
use POSIX ();
use Time::HiRes ();
use Proc::Prefork::Interp;

my ($log, $version) = ('@LOG@', '@VERSION@');
sub text { open my $file, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$file> }
my @fds = sort { $a <=> $b } grep { defined readlink "/proc/self/fd/$_" } map { m{(\d+)$} } glob '/proc/self/fd/*';
my %found = (
	version => $version, fds => "@fds", variable => $ENV{PREFORK_INTERP} // '', session => (split ' ', text('/proc/self/stat'))[5] == $$ ? 'own' : 'not its own',
	uid => "$<,$>", groups => $), stdin => readlink('/proc/self/fd/0'), arguments => "@ARGV",
	output => readlink('/proc/self/fd/1') eq readlink('/proc/self/fd/2') ? 'error' : 'other',
	ignored => text('/proc/self/status') =~ /^SigIgn:\s*(\S+)/m ? $1 : 'unknown',
	mtime => join(' ', map { sprintf '%.3f', (Time::HiRes::stat($_))[9] } glob '@DIR@/daemons/logs/svc/@NAME@.*'),
);
@SETUP@
open my $file, '>>', $log or die "$log: $!";
print {$file} join('|', map { "$_=$found{$_}" } sort keys %found) . "\n";
close $file;

prefork_initialisation_complete(log_facility => '', @OPTIONS@);

$| = 1;
# prefork-interp says first how the script is called.
splice @ARGV, 0, 2 if $ARGV[0] eq 'perl';
my ($what, @rest) = @ARGV;
print "$version\n" if $what eq 'version';
print join(' ', @rest) . "\n" if $what eq 'echo';
print getppid . "\n" if $what eq 'monitor';
print "$$\n" if $what eq 'sleep';
Time::HiRes::sleep($rest[0]) if $what eq 'sleep';
if ($what eq 'until') {
	open my $begun, '>', "$rest[0].begun";
	Time::HiRes::sleep(0.01) until -e $rest[0];
}
print $ENV{$rest[0]} // 'unset', "\n" if $what eq 'variable';
print <STDIN> if $what eq 'cat';
print join(' ', map { join ',', (stat $_)[0, 1] } *STDIN, *STDOUT, *STDERR), "\n" if $what eq 'inodes';
kill $rest[0], $$ if $what eq 'kill';
POSIX::_exit($what eq 'exit' ? $rest[0] : 0);
END

# Writes the service `name`; returns its path.  setup => Perl that its set-up does, options => of the library, version => what
# its calls say.
sub script {
	my ($site, $name, %what) = @_;
	my $dir = $site->dir;
	my %values = (
		DIR => $dir, NAME => $name, LOG => "$dir/$name.log", VERSION => $what{version} // 1, SETUP => $what{setup} // '',
		OPTIONS => $what{options} // '',
	);
	(my $text = $script) =~ s/\@([A-Z]+)\@/$values{$1}/g;
	my $path = "$dir/$name.pl";
	spew("$path.new", $text);
	rename "$path.new", $path or die "$path: $!\n";
	return $path;
}

# What each of the set-ups so far found, in order.
sub setups {
	my ($site, $name) = @_;
	return map {
		chomp;
		+{ map { split /=/, $_, 2 } split /\|/ }
	} split /^/, slurp($site->dir . "/$name.log") // '';
}

# One call at a socket, the way prefork-interp does it: the wait status (undef = none came), and what it printed.
sub call {
	my ($path, @arguments) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or return (undef, "connect: $!");
	open my $null, '<', '/dev/null' or die "/dev/null: $!\n";
	open my $out, '+>', undef or die "temporary file: $!\n";
	local $SIG{ALRM} = sub { die "no answer\n" };
	alarm scale(20);
	my $status = eval {
		my $greeting = take($socket, 8);
		die "no greeting\n" unless defined $greeting && $greeting eq "PFI\n\0\0\0\0";
		syswrite $socket, "\0";
		IO::FDPass::send(fileno $socket, fileno $_) or die "descriptor: $!\n" for $null, $out, $out;
		my $message = "FROM=caller\0\0" . join '', map { "$_\0" } @arguments;
		syswrite $socket, pack('N', length $message) . $message;
		my $word = take($socket, 4);
		die "no status\n" unless defined $word;
		unpack 'N', $word;
	};
	alarm 0;
	return (undef, $@) unless defined $status;
	seek $out, 0, 0;
	return ($status, join '', <$out>);
}

# The same in a process of its own, which prints the status (`none`) and the rest.  It is no script: it counts no results.
sub call_begin {
	my ($path, @arguments) = @_;
	return spawn('call', $^X, "-I$FindBin::RealBin/lib", '-MRelayTest::Service', '-MIO::FDPass', '-e',
		'my ($status, $out) = call(@ARGV); $| = 1; print $status // "none", "\n", $out; POSIX::_exit(0)', $path, @arguments);
}

sub take {
	my ($socket, $length) = @_;
	my $bytes = '';
	while (length $bytes < $length) {
		sysread $socket, $bytes, $length - length $bytes, length $bytes or return undef;
	}
	return $bytes;
}

# The row of `services show`; undef if there is none.
sub service {
	my ($site, $name) = @_;
	my $reply = ctl_json($site, 'services', 'show', $name) // return undef;
	return $reply->{services}{service}[0];
}

# The private socket of the generation in use, and its number.
sub generation_path {
	my ($site, $name) = @_;
	my ($generation) = grep { $_->{state} eq 'in use' } @{ (service($site, $name) // {})->{generation} // [] };
	return $generation ? wantarray ? @$generation{qw(socket number)} : $generation->{socket} : ();
}

# Waits until a generation after `number` is in use; returns its number.
sub up {
	my ($site, $name, $number, $seconds) = @_;
	my $now;
	wait_for(sub { (undef, $now) = generation_path($site, $name); defined $now && $now > ($number // 0) }, $seconds // 10) or return undef;
	return $now;
}

1;
