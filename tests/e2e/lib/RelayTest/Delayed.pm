package RelayTest::Delayed;

# RelayTest::Delayed - the directory of delayed messages as its writers see it, and what became of them.

use strict;
use warnings;
use Exporter 'import';
use POSIX ();
use RelayTest;

our @EXPORT = qw(delayed_dir delay delayed_files bad_files all_delivered perm_lines local_time);

my $written = 0;

sub delayed_dir {
	my ($site) = @_;
	my $dir = $site->dir . '/sock/delayed';
	mkdir $dir;
	return $dir;
}

# A message as a careful writer leaves it: under its name when it is whole.  Each is a second younger than the one before,
# and all are old enough to be sent at once; `age` says otherwise.  Returns the path.
sub delay {
	my ($site, $name, $bytes, $age) = @_;
	my $dir = delayed_dir($site);
	my $path = spew("$dir/.new", $bytes);
	my $when = defined $age ? time - $age : time - 100_000 + ++$written;
	utime $when, $when, $path or die "$path: $!\n";
	rename $path, "$dir/$name" or die "$dir/$name: $!\n";
	return "$dir/$name";
}

sub names {
	my ($dir) = @_;
	opendir my $handle, $dir or return;
	my @names = sort grep { !/^\.\.?$/ && $_ ne 'bad' && $_ ne 'held' } readdir $handle;
	return @names;
}

sub delayed_files {
	my ($site) = @_;
	return names(delayed_dir($site));
}

sub bad_files {
	my ($site) = @_;
	return names(delayed_dir($site) . '/bad');
}

# Waits until no file is left but those named; whether that came true.
sub all_delivered {
	my ($site, $seconds, @but) = @_;
	my $but = join ' ', sort @but;
	return wait_for(sub { join(' ', delayed_files($site)) eq $but }, $seconds // 10);
}

# The permanent log as [epoch, host, command, local time]; a line of another form is [whole line].
sub perm_lines {
	my ($site) = @_;
	my @lines = split /\n/, slurp($site->dir . '/daemons/logs/lonnet.perm.log') // '';
	return map { /^(\d+):S:([^:]*):(.*):(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$/s ? [$1, $2, $3, $4] : [$_] } @lines;
}

# As ctime(3) writes it.
sub local_time {
	my ($epoch) = @_;
	return POSIX::strftime('%a %b %e %H:%M:%S %Y', localtime $epoch);
}

1;
