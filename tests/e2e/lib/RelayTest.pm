package RelayTest;

# RelayTest - what every end-to-end script stands on: results in TAP, deadlines, a directory of its own, and
# processes that end with the script whatever happens.
#
# Never sleeps for a guessed time: wait_for() asks again until a deadline.  Ends only processes it started.

use strict;
use warnings;
use Exporter 'import';
use Cwd ();
use File::Temp ();
use FindBin ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time);

our @EXPORT = qw(ok is isnt like unlike diag skip_all done scratch program scale wait_for spawn outcome_of
    slurp spew show udp_port);

my ($count, $failed, $done) = (0, 0, 0);
my ($scratch, @running);
my $owner = $$;

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 }
    for qw(TERM INT HUP);
$| = 1;
# Files that the group may write to are told of.
umask 022;

# ---- results ----

# Bytes as a reader can compare them: printable ASCII as it is, everything else escaped, long ones cut.
sub show {
	my ($bytes) = @_;
	return 'nothing' unless defined $bytes;
	my $length = length $bytes;
	my $text = $length > 200 ? substr($bytes, 0, 200) : $bytes;
	$text =~ s/\\/\\\\/g;
	$text =~ s/\n/\\n/g;
	$text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
	return qq("$text") . ($length > 200 ? "... ($length bytes)" : '');
}

sub diag {
	my ($text) = @_;
	$text =~ s/^/# /mg;
	print "$text\n";
	return;
}

sub ok {
	my ($good, $name) = @_;
	++$count;
	++$failed unless $good;
	print $good ? 'ok' : 'not ok', " $count - $name\n";
	if (!$good) {
		my ($package, $file, $line) = caller;
		my $depth = 0;
		($package, $file, $line) = caller ++$depth while $package eq __PACKAGE__;
		diag("failed at $file line $line");
	}
	return $good;
}

sub is {
	my ($got, $expected, $name) = @_;
	my $good = defined $got && defined $expected ? $got eq $expected : !defined $got && !defined $expected;
	ok($good, $name) or diag('got      ' . show($got) . "\nexpected " . show($expected));
	return $good;
}

sub isnt {
	my ($got, $unwanted, $name) = @_;
	my $same = defined $got && defined $unwanted ? $got eq $unwanted : !defined $got && !defined $unwanted;
	ok(!$same, $name) or diag('got ' . show($got));
	return !$same;
}

sub like {
	my ($got, $pattern, $name) = @_;
	my $good = defined $got && $got =~ $pattern;
	ok($good, $name) or diag('got ' . show($got) . "\nexpected to match $pattern");
	return $good;
}

sub unlike {
	my ($got, $pattern, $name) = @_;
	my $good = defined $got && $got !~ $pattern;
	ok($good, $name) or diag('got ' . show($got) . "\nexpected not to match $pattern");
	return $good;
}

sub skip_all {
	my ($reason) = @_;
	print "1..0 # SKIP $reason\n";
	$done = 1;
	exit 77;
}

# What relays say of system calls that their sandbox refused; a script that has them refused empties it.
our $refusal = qr/(.*msg="sandbox: system call \d+ was refused.*)/;

# The last call of every script: without it the script counts as failed.
sub done {
	my @refused = defined $refusal ? map { $_->err =~ /$refusal/g } @running : ();
	is($refused[0], undef, 'no sandbox refused anything') if @refused;
	$done = 1;
	print "1..$count\n";
	exit($failed || !$count ? 1 : 0);
}

# ---- time ----

# Slow builds (sanitizers, valgrind) stretch every deadline by RELAY_TEST_SCALE.
sub scale {
	my ($seconds) = @_;
	return $seconds * ($ENV{RELAY_TEST_SCALE} || 1);
}

# Asks `condition` until it answers true, which is returned, or until the deadline: then false.
sub wait_for {
	my ($condition, $seconds) = @_;
	my $end = time + scale($seconds // 5);
	my $pause = 0.002;
	while (1) {
		my $answer = $condition->();
		return $answer if $answer;
		return 0 if time >= $end;
		select undef, undef, undef, $pause;
		$pause *= 1.5 if $pause < 0.05;
	}
}

# ---- files ----

# A directory of this script's own, removed at its end.  Short, for socket paths have 107 bytes.
sub scratch {
	$scratch //= File::Temp->newdir('rt-XXXXXX', DIR => $ENV{RELAY_TEST_TMP} || File::Spec->tmpdir);
	return "$scratch";
}

# The path of a program that make built.
sub program {
	my ($name) = @_;
	my $build = $ENV{RELAY_BUILD} || "$FindBin::RealBin/../../build";
	my $path = Cwd::abs_path("$build/$name");
	die "program $name is not built in $build\n" unless defined $path && -x $path;
	return $path;
}

sub slurp {
	my ($path) = @_;
	open my $file, '<:raw', $path or return undef;
	local $/;
	my $bytes = <$file>;
	return $bytes // '';
}

sub spew {
	my ($path, $bytes) = @_;
	open my $file, '>:raw', $path or die "$path: $!\n";
	print {$file} $bytes;
	close $file or die "$path: $!\n";
	return $path;
}

# ---- processes ----

# Starts a program with its output in files; RelayTest::Process below is what can be asked of it.
sub spawn {
	my ($name, @command) = @_;
	my $base = scratch() . "/$name." . scalar @running;
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		# Also those that a shell without job control makes its background jobs ignore.
		$SIG{$_} = 'DEFAULT' for qw(TERM INT QUIT HUP PIPE USR1 USR2 ALRM CHLD);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$base.out";
		open STDERR, '>', "$base.err";
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	my $process = bless { name => $name, pid => $pid, base => $base }, 'RelayTest::Process';
	push @running, $process;
	return $process;
}

# Runs a program to its end: the exit status (undef: it had to be ended) and all that it said, on both streams.
sub outcome_of {
	my ($name, @command) = @_;
	my $process = spawn($name, @command);
	my $status = $process->wait(20);
	$process->end unless defined $status;
	return ($status, $process->out, $process->err);
}

# A UDP port of 127.0.0.1 that nobody has now.
sub udp_port {
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die "no UDP: $!\n";
	return $socket->sockport;
}

END {
	if ($$ == $owner) {
		my $status = $?;
		if (!$done) {
			print 'not ok ', $count + 1, " - the script came to its end\n";
			$status = 1;
		}
		$_->end for reverse @running;
		if ($status != 0 && $status != 77) {
			$_->tell for @running;
		}
		$? = $status;
	}
}

package RelayTest::Process;

use Time::HiRes qw(time);

sub pid { return $_[0]{pid} }
sub out { return RelayTest::slurp("$_[0]{base}.out") // '' }
sub err { return RelayTest::slurp("$_[0]{base}.err") // '' }

# The wait status if the process has ended, undef while it runs.
sub ended {
	my ($self) = @_;
	if (!defined $self->{status} && waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
		$self->{status} = $?;
	}
	return $self->{status};
}

sub signal {
	my ($self, $signal) = @_;
	return defined $self->ended ? 0 : kill $signal, $self->{pid};
}

# Waits for the end: the exit status as a number, `signal N`, or undef if the deadline passes.
sub wait {
	my ($self, $seconds) = @_;
	RelayTest::wait_for(sub { defined $self->ended }, $seconds // 10) or return undef;
	my $status = $self->{status};
	return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

# Asks by a signal, then waits; what does not listen is killed and answers undef.
sub stop {
	my ($self, $signal, $seconds) = @_;
	$self->signal($signal // 'TERM');
	my $status = $self->wait($seconds);
	$self->end unless defined $status;
	return $status;
}

# Ends it for good.  A patient TERM first, so that helpers with children of their own can end those.
sub end {
	my ($self) = @_;
	return if defined $self->ended;
	if (!$self->{stopped}) {
		$self->{stopped} = 1;
		$self->signal('CONT');
		$self->signal('TERM');
		return if defined $self->wait(3);
	}
	$self->signal('KILL');
	$self->wait(3);
	return;
}

# Shows what it wrote, for the reader of a failed test.
sub tell {
	my ($self) = @_;
	my $status = $self->{status};
	my $how = !defined $status ? 'still runs' : $status & 127 ? 'signal ' . ($status & 127) : 'exit ' . ($status >> 8);
	for my $stream (qw(out err)) {
		my $text = $self->$stream;
		next if $text eq '';
		$text = '...' . substr $text, -4000 if length $text > 4000;
		RelayTest::diag("$self->{name} (pid $self->{pid}, $how) $stream:\n$text");
	}
	return;
}

1;
