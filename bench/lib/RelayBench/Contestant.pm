package RelayBench::Contestant;

# RelayBench::Contestant - the relays that are compared: what each needs, what it speaks, and how it is started for the
# same work as all others.  Each is configured as its authors advise for this kind of traffic, logging nothing.

use strict;
use warnings;
use Exporter 'import';
use FindBin ();

our @EXPORT_OK = qw(contestant program limit_of_files raise_files);

my $nginx_stream = '/usr/lib/nginx/modules/ngx_stream_module.so';

# More open files than the largest scenario takes would only make some relays allocate more than they need.
use constant FILES_ENOUGH => 22000;
# lonc runs as nobody else.
use constant LONC_USER => 'www';

sub limits_of_files {
	my $limits = RelayBench::Site::read_file('/proc/self/limits');
	return map { $_ eq 'unlimited' ? FILES_ENOUGH : $_ } $limits =~ /^Max open files\s+(\S+)\s+(\S+)/m;
}

sub limit_of_files {
	my ($soft) = limits_of_files();
	return $soft;
}

# Starts the program anew with as many open files as are allowed and useful: not every relay raises its own limit.
sub raise_files {
	my (@command) = @_;
	my ($soft, $hard) = limits_of_files();
	my $wanted = $hard < FILES_ENOUGH ? $hard : FILES_ENOUGH;
	return if $soft == $wanted || $ENV{RELAY_BENCH_RAISED};
	$ENV{RELAY_BENCH_RAISED} = 1;
	exec 'sh', '-c', 'ulimit -S -n "$1" && shift && exec "$@"', 'sh', $wanted, @command or die "sh: $!\n";
}

# The path of a program of this build, or of the system.
sub program {
	my ($name) = @_;
	my ($found) = grep { -x } map { "$_/$name" } ($ENV{RELAY_BUILD} || "$FindBin::RealBin/../build"), split(/:/, $ENV{PATH}),
	    '/usr/local/sbin', '/usr/sbin', '/sbin';
	return $found;
}

sub needs {
	my ($program, $package) = @_;
	return sub { program($program) ? undef : $package ? "Debian package $package" : "$program is not built" };
}

# ---- how each is started: (site, scenario, variant) -> command ----

# What relayd and the programs that it takes the place of read.
sub legacy_files {
	my ($site) = @_;
	my $dir = $site->dir;
	$site->write_file('hosts.tab', join '', map { "$_:bench:library:$_:127.0.0." . substr($_, 1) . "\n" } $site->ids);
	$site->write_file(
		'loncapa.conf',
		join '', map { "PerlSetVar $_\n" } 'lonHostID bench', 'londPort ' . $site->port, "lonSockDir $dir/sock",
		"lonTabDir $dir", "lonDaemons $dir", "lonDocRoot $dir",
	);
	return $dir;
}

sub relayd {
	my ($site, $scenario, $variant) = @_;
	my $dir = legacy_files($site);
	my %setting = (
		'relay.workers' => $variant->{workers}, 'defaults.links_max' => $variant->{links},
		'defaults.pipeline' => $variant->{pipeline}, 'defaults.clients_max' => 20000, 'relay.stop_timeout' => '1s',
	);
	return (program('relayd'), '-F', '--loncapa', $dir, datagrams($site, $scenario, $variant), map { ('-o', "$_=$setting{$_}") } sort keys %setting);
}

# The UDP socket, and a key for each client if they are to seal.  A client asks as often as it can: no bucket.
sub datagrams {
	my ($site, $scenario, $variant) = @_;
	return () unless $variant->{udp} || $variant->{sealed};
	my $text = 'datagram { listen = {"' . $site->udp . '"}  rate = 1000000  burst = 1000000';
	if ($variant->{sealed}) {
		my $keys = $site->write_file('keys', join '', map { sprintf "%016x %064x\n", $_, $_ } 1 .. $scenario->{clients} + $scenario->{idle});
		chmod 0600, $keys or die "$keys: $!\n";
		$text .= qq{  keys = "$keys"};
	}
	return ('-c', $site->write_file('relay.conf', "$text }\n"));
}

# The user's own lonc, which reads the files in the directory that it is given, and goes into the background.
sub lonc {
	my ($site) = @_;
	my $dir = legacy_files($site);
	$site->write_file('loncapa_apache.conf', '');
	my (undef, undef, $uid, $gid) = getpwnam LONC_USER;
	for my $path ($dir, map { "$dir/$_" } qw(sock logs sock/delayed lon-status)) {
		-d $path or mkdir $path or die "$path: $!\n";
		chmod(0755, $path) && chown($uid, $gid, $path) or die "$path: $!\n";
	}
	return ("$FindBin::RealBin/foreground", LONC_USER, $ENV{RELAY_BENCH_LONC}, $dir);
}

sub lacks_lonc {
	return 'give --lonc PROGRAM' unless length($ENV{RELAY_BENCH_LONC} // '');
	return "no program $ENV{RELAY_BENCH_LONC}" unless -x $ENV{RELAY_BENCH_LONC};
	return 'only root can start it as user ' . LONC_USER if $> != 0;
	return defined getpwnam LONC_USER ? undef : 'there is no user ' . LONC_USER;
}

sub haproxy {
	my ($site, $scenario, $variant) = @_;
	my $text = "global\n    nbthread $variant->{workers}\n    maxconn " . int((limit_of_files() - 200) / 2) . "\n";
	$text .= "defaults\n    mode tcp\n    timeout connect 60s\n    timeout client 3600s\n    timeout server 3600s\n";
	my $number = 0;
	for my $route ($site->routes) {
		++$number;
		$text .= "listen l$number\n    bind unix\@$route->[0] backlog 65535\n    server s$number $route->[1]\n";
	}
	return (program('haproxy'), '-db', '-q', '-f', $site->write_file('haproxy.cfg', $text));
}

sub nginx {
	my ($site, $scenario, $variant) = @_;
	my ($dir, $files) = ($site->dir, limit_of_files());
	my $text = "load_module $nginx_stream;\ndaemon off;\npid $dir/nginx.pid;\nerror_log $dir/nginx.log warn;\n";
	$text .= "user root;\n" if $> == 0;
	$text .= "worker_processes $variant->{workers};\nworker_rlimit_nofile $files;\n";
	$text .= 'events { worker_connections ' . ($files - 100) . "; }\nstream {\n    proxy_timeout 3600s;\n";
	$text .= "    server { listen unix:$_->[0] backlog=65535; proxy_pass $_->[1]; }\n" for $site->routes;
	return (program('nginx'), '-c', $site->write_file('nginx.conf', "$text}\n"), '-e', "$dir/nginx.log");
}

# Two connections to each server are its best; it pipelines on them by itself.
sub twemproxy {
	my ($site, $scenario, $variant) = @_;
	my ($text, $dir) = ('', $site->dir);
	for my $id ($site->ids) {
		$text .= "$id:\n  listen: " . $site->path($id) . " 0777\n  redis: true\n  preconnect: true\n  backlog: 65535\n";
		$text .= "  server_connections: 2\n  servers:\n   - " . $site->address($id) . ":1\n";
	}
	my @stats = ('-a', '127.0.0.1', '-s', RelayBench::Site->new->port, '-i', 3600000);
	return (program('nutcracker'), '-c', $site->write_file('nutcracker.yml', $text), '-o', "$dir/nutcracker.log", '-v', 2,
		'-p', "$dir/nutcracker.pid", @stats);
}

sub routes {
	my ($program) = @_;
	return sub {
		my ($site) = @_;
		return (program($program), map { "$_->[0]=$_->[1]" } $site->routes);
	};
}

# What is left when nothing is relayed: a receive and a send on each client's socket.
sub floor {
	my ($site) = @_;
	return (program('relay-peer'), '--protocol', 'bare', '--id', 'floor', '--local', 'bench', map { ('--listen', $_->[0]) } $site->routes);
}

# peer: the protocol of the peer; load: that of the clients; descriptors: of the relay per client; can: flags it takes;
# processes: how many there must be before all of them can be metered (1).
my %CONTESTANTS = (
	relayd => {
		title => 'relayd', peer => 'lond', load => 'lond', descriptors => 1, can => [qw(enc stalled reload udp sealed)],
		missing => needs('relayd'), command => \&relayd,
		processes => sub { my ($scenario, $variant) = @_; return 1 + $variant->{workers} },
	},
	haproxy => {
		title => 'HAProxy, tcp', peer => 'bare', load => 'bare', descriptors => 2, can => ['stalled'],
		missing => needs('haproxy', 'haproxy'), command => \&haproxy,
	},
	nginx => {
		title => 'nginx stream', peer => 'bare', load => 'bare', descriptors => 2, can => [qw(stalled reload)],
		missing => sub {
			return 'Debian package nginx' unless program('nginx');
			return -e $nginx_stream ? undef : 'Debian package libnginx-mod-stream';
		},
		command => \&nginx,
		processes => sub { my ($scenario, $variant) = @_; return 1 + $variant->{workers} },
	},
	twemproxy => {
		title => 'twemproxy, redis, 2 links', peer => 'redis', load => 'redis', descriptors => 1, can => ['stalled'],
		missing => needs('nutcracker', 'nutcracker'), command => \&twemproxy,
	},
	perl => {
		title => 'Perl select relay, one request at a time', peer => 'lond', load => 'lond', descriptors => 1, can => [],
		missing => sub { undef },
		command => sub { my ($site) = @_; return ("$FindBin::RealBin/select-relay", map { "$_->[0]=$_->[1]" } $site->routes) },
		processes => sub { my ($scenario) = @_; return 1 + $scenario->{hosts} },
	},
	lonc => {
		title => 'the lonc that is run today', peer => 'lond', load => 'lond', descriptors => 1, can => ['enc'],
		missing => \&lacks_lonc, command => \&lonc,
		# Itself, and a process per host, beside what keeps it in the foreground.
		processes => sub { my ($scenario) = @_; return 2 + $scenario->{hosts} },
	},
	'pump-uring' => {
		title => 'byte pump 1:1, io_uring', peer => 'bare', load => 'bare', descriptors => 2, can => [],
		missing => needs('pump-uring'), command => routes('pump-uring'),
	},
	'pump-epoll' => {
		title => 'byte pump 1:1, epoll', peer => 'bare', load => 'bare', descriptors => 2, can => [],
		missing => needs('pump-epoll'), command => routes('pump-epoll'),
	},
	floor => {
		title => 'no relay: answers on the UNIX socket itself', peer => 'bare', load => 'bare', descriptors => 1, can => [],
		missing => needs('relay-peer'), command => \&floor,
	},
	none => {
		title => 'no relay: clients ask the peer', peer => 'bare', load => 'bare', descriptors => 0, can => [],
		missing => sub { undef }, command => undef,
	},
);

# What there is to know of the contestant of a variant; dies if there is none, or if it cannot do what is asked.
sub contestant {
	my ($variant) = @_;
	my $contestant = $CONTESTANTS{ $variant->{name} } // die "no contestant \"$variant->{name}\"\n";
	for my $flag (qw(enc stalled reload udp sealed)) {
		next if !$variant->{$flag} || grep { $_ eq $flag } @{ $contestant->{can} };
		die "contestant \"$variant->{spec}\": $variant->{name} cannot do \"$flag\"\n";
	}
	return $contestant;
}

1;
