package RelayTest::Appliance;

# RelayTest::Appliance - the relay as a family of processes: its members by name, what it logs, what it holds, and changes of
# its configuration while it runs.  Decides nothing; every wait has a deadline.

use strict;
use warnings;
use Exporter 'import';
use POSIX ();
use Time::HiRes qw(time);
use RelayTest;
use RelayTest::Client;

our @EXPORT = qw(
    appliance background member successor family alive
    said logged log_lines
    table add_lines reload rename_over
    has_visible_descriptors descriptors settled_descriptors anon keeps_freed same_descriptors
    answers
);

# ---- processes ----

# Starts the relay and waits until it says that all servers are there; unlike $site->relay it asks no host for anything.
# An array among the options holds words to put before the command.
sub appliance {
	my ($site, @options) = @_;
	my @before = map { ref ? @$_ : () } @options;
	my $process = spawn('relayd', @before, $site->command(grep { !ref } @options));
	wait_for(sub { defined $process->ended || $process->err =~ /Done starting initial servers/ }, 10);
	die "relayd ended early\n" if defined $process->ended;
	die "relayd does not start\n" unless $process->err =~ /Done starting initial servers/;
	return $site->{relay} = $process;
}

my @daemons;

# The process of the pid file, as something that can be signalled and waited for though it is nobody's child.
sub background {
	my ($site) = @_;
	my ($pid) = (slurp($site->dir . '/daemons/logs/lonc.pid') // '') =~ /^(\d+)\n\z/ or return undef;
	push @daemons, bless { pid => $pid, born => born($pid) }, 'RelayTest::Daemon';
	return $daemons[-1];
}

sub born {
	my ($pid) = @_;
	return ((slurp("/proc/$pid/stat") // '') =~ /.*\) (.*)/s ? (split ' ', $1)[19] : 0);
}

sub children {
	my ($pid) = @_;
	return split ' ', slurp("/proc/$pid/task/$pid/children") // '';
}

# The pid of a child of the keeper by its name: control, worker-0, ...  undef if there is none.
sub member {
	my ($relay, $name) = @_;
	for my $pid (children($relay->pid)) {
		return $pid if (slurp("/proc/$pid/comm") // '') eq "$name\n" && alive($pid);
	}
	return undef;
}

# The pid of the one that took the place of `old`.
sub successor {
	my ($relay, $name, $old) = @_;
	my $pid;
	wait_for(sub { defined($pid = member($relay, $name)) && $pid != $old }, 10) or return undef;
	return $pid;
}

# The keeper and its children.
sub family {
	my ($relay) = @_;
	return ($relay->pid, children($relay->pid));
}

# Those of the processes that run; one that waits to be reaped has ended.
sub alive {
	return grep { (slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) [^ZX]/s } @_;
}

# ---- what it says ----

# How often a pattern was said on standard error so far.
sub logged {
	my ($relay, $pattern) = @_;
	return scalar(() = $relay->err =~ /$pattern/g);
}

# Waits until a pattern was said `count` times; returns whether it was.
sub said {
	my ($relay, $pattern, $count, $seconds) = @_;
	return wait_for(sub { logged($relay, $pattern) >= ($count // 1) }, $seconds // 10);
}

# The lines of one of the log files.
sub log_lines {
	my ($site, $name) = @_;
	return split /^/, slurp($site->dir . "/daemons/logs/$name") // '';
}

# ---- configuration ----

# hosts.tab anew, as a whole: each host is an id of the site, or [id, address].
sub table {
	my ($site, @hosts) = @_;
	rename_over($site->dir . '/tab/hosts.tab', table_text($site, @hosts));
	return;
}

sub table_text {
	my ($site, @hosts) = @_;
	my $text = '';
	for my $host (@hosts) {
		my ($id, $address) = ref $host ? @$host : ($host, $site->{address}{$host});
		$text .= "$id:dom:library:$id.example.org:$address\n";
	}
	return $text;
}

# Lines behind those of hosts.tab, written in place.
sub add_lines {
	my ($site, $text) = @_;
	open my $file, '>>:raw', $site->dir . '/tab/hosts.tab' or die "hosts.tab: $!\n";
	print {$file} $text;
	close $file or die "hosts.tab: $!\n";
	return;
}

sub rename_over {
	my ($path, $text) = @_;
	spew("$path.new", $text);
	rename "$path.new", $path or die "$path: $!\n";
	return;
}

# HUP, and waits for the outcome: the words behind `configuration`.
sub reload {
	my ($relay) = @_;
	my $outcome = qr/ msg="configuration(?:: | refused)([^"]*)/;
	my $before = logged($relay, $outcome);
	$relay->signal('HUP');
	said($relay, $outcome, $before + 1) or return undef;
	my @all = $relay->err =~ /$outcome/g;
	return $all[$before];
}

# ---- what it holds ----

# Whether they can be seen: of a process that cannot be dumped only root may look at them.
sub has_visible_descriptors {
	my ($pid) = @_;
	return opendir my $fds, "/proc/$pid/fd";
}

sub descriptors {
	return map { my $pid = $_; scalar(() = glob "/proc/$pid/fd/*") } @_;
}

# The same as one text, once nothing that just ended is still being closed.
sub settled_descriptors {
	my (@pids) = @_;
	my ($last, $since) = ('', time);
	wait_for(
		sub {
			my $now = join ' ', descriptors(@pids);
			$since = time if $now ne $last;
			$last = $now;
			return time - $since > 0.3;
		},
		10
	);
	return $last;
}

# Waits until the processes hold as many descriptors as `before` says; returns how many they hold.
sub same_descriptors {
	my ($before, @pids) = @_;
	my $now = '';
	wait_for(sub { ($now = join ' ', descriptors(@pids)) eq $before }, 10);
	return $now;
}

# Memory of the processes that no file backs, in KiB.
sub anon {
	my $sum = 0;
	for my $pid (@_) {
		$sum += $1 if (slurp("/proc/$pid/status") // '') =~ /^RssAnon:\s+(\d+) kB$/m;
	}
	return $sum;
}

# A build that keeps what is freed, to find who still uses it, tells nothing about memory.
sub keeps_freed {
	return index(slurp(program('relayd')), '__asan_init') >= 0;
}

# ---- clients ----

# Asks with new clients until the host gives the right answer: how many seconds it took, or undef.  A connect that is
# refused counts in `refused`.
sub answers {
	my ($site, $id, $seconds, $refused) = @_;
	my $began = time;
	my $number = 0;
	wait_for(
		sub {
			my $client = RelayTest::Client->new($site->path($id));
			if (!$client) {
				++$$refused if $refused;
				return 0;
			}
			++$number;
			return ($client->ask("echo:$number", $seconds) // '') eq "re:$number\n";
		},
		$seconds
	) or return undef;
	return time - $began;
}

END {
	local $?;
	$_->end for @daemons;
}

package RelayTest::Daemon;

# Ended by its pid, and only while it is the process that was found in the file.

sub pid { return $_[0]{pid} }

sub here {
	my ($self) = @_;
	return RelayTest::Appliance::alive($self->{pid}) && RelayTest::Appliance::born($self->{pid}) eq $self->{born};
}

sub signal {
	my ($self, $signal) = @_;
	return $self->here ? kill $signal, $self->{pid} : 0;
}

# Whether it is gone before the deadline.
sub gone {
	my ($self, $seconds) = @_;
	return RelayTest::wait_for(sub { !$self->here }, $seconds // 10);
}

sub end {
	my ($self) = @_;
	return unless $self->signal('TERM');
	$self->signal('KILL') unless $self->gone(3);
	$self->gone(3);
	return;
}

1;
