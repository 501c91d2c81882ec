package RelayBench::Run;

# RelayBench::Run - one run: peer and relay started anew, the load, all meters, everything ended.  The relay has the first
# processor, the load and the peer share the second.  The runs of a scenario can be interleaved: then all are there at once, and
# take turns at being measured for a moment.

use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
use List::Util qw(max min);
use RelayBench::Contestant qw(contestant limit_of_files program);
use RelayBench::Meter;
use RelayBench::Site;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(run_once run_interleaved allowed_processors processors);

use constant {
	WARMUP => 0.4,
	RELOAD_EVERY => 0.2,
	STALLED_CLIENTS => 50,
	SPARE_FILES => 200,    # of a relay: besides its clients and links
	PART_WARMUP => 0.1,    # other relays have had the caches since
	LONGEST => 60,         # seconds that a load may take besides the measured ones
};

# All that this may use.
sub allowed_processors {
	my ($list) = RelayBench::Site::read_file('/proc/self/status') =~ /^Cpus_allowed_list:\s*(\S+)/m;
	return map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list // '0';
}

# At most two of them: (of the relay, of load and peer), as taskset takes them.
sub processors {
	my ($cores) = @_;
	my @all = allowed_processors();
	return ($all[0], $all[0]) if @all == 1;
	return ($cores > 1 ? "$all[0],$all[1]" : $all[0], $all[1]);
}

sub start_peers {
	my ($site, $scenario, $variant, $cpus) = @_;
	my @ids = $site->ids;
	my @spare = splice @ids, @ids - $scenario->{spare};
	my @common = ('--id', 'h1', '--local', 'bench', '--protocol', contestant($variant)->{peer});
	push @common, '--rate', $scenario->{peer_rate} if $scenario->{peer_rate};
	my @peers;
	for my $set ([ 'peer', \@ids ], [ 'spare', \@spare, $variant->{stalled} ? '--silence' : () ]) {
		my ($name, $hosts, @options) = @$set;
		next unless @$hosts;
		my $peer = $site->spawn(
			$name, $cpus, program('relay-peer'), (map { ('--listen', $site->address($_)) } @$hosts), @common, @options
		);
		push @peers, $peer;
		my $count = @$hosts;
		$site->wait_said($peer, qr/(listening .*\n){$count}/);
	}
	return $peers[0];
}

# All processes of a relay; some listen before they have forked them all.
sub family_of {
	my ($relay, $count) = @_;
	my @family;
	RelayBench::Site::wait_for(sub { @family = RelayBench::Site::family($relay->{pid}); @family >= $count }, 10)
	    or die 'the relay has ' . @family . " processes instead of $count\n";
	return @family;
}

# Where the hosts are asked.
sub targets {
	my ($site, $variant, @ids) = @_;
	return map { ('--tcp', $site->address($_)) } @ids if $variant->{name} eq 'none';
	return map { ('--unix', $site->path($_)) } @ids unless $variant->{udp} || $variant->{sealed};
	my @keys = $variant->{sealed} ? ('--keys', $site->dir . '/keys') : ();
	return ('--udp', $site->udp, @keys, map { ('--host', $_) } @ids);
}

# Which sockets, and how much of what.
sub load_options {
	my ($site, $scenario, $variant) = @_;
	my $contestant = contestant($variant);
	my @ids = $site->ids;
	splice @ids, @ids - $scenario->{spare};
	my $per_client = $contestant->{descriptors};
	my $idle = $per_client ? max(0, min($scenario->{idle}, int((limit_of_files() - SPARE_FILES) / $per_client))) : 0;
	my @options = targets($site, $variant, @ids);
	my %option = (
		protocol => $contestant->{load}, clients => $scenario->{clients}, depth => $scenario->{depth},
		'request-bytes' => $scenario->{request}, 'reply-bytes' => $scenario->{reply}, idle => $idle,
		'connect-per' => $scenario->{connect_per}, encrypt => $variant->{enc} ? 100 : 0,
	);
	$option{rate} = $scenario->{rate} if $scenario->{rate};
	push @options, map { ("--$_", $option{$_}) } sort keys %option;
	return ($idle, @options);
}

# Clients that wait for the peer that does not answer, as long as the run lasts.
sub start_stalled {
	my ($site, $scenario, $variant, $cpus) = @_;
	my ($last) = reverse $site->ids;
	my $name = contestant($variant)->{load};
	my $load = $site->spawn(
		'stalled', $cpus, program('relay-bench'), 'load', '--unix', $site->path($last), '--protocol', $name,
		'--clients', STALLED_CLIENTS, '--requests', 1_000_000_000, '--timeout', 86400,
	);
	select undef, undef, undef, 0.1;
	return $load;
}

sub wait_load {
	my ($load, $relay, $variant, $limit) = @_;
	my $end = time + $limit;
	my $next = time + RELOAD_EVERY;
	while (!defined RelayBench::Site::ended($load)) {
		return "no end within $limit s" if time > $end;
		if ($variant->{reload} && time >= $next) {
			kill 'HUP', $relay->{pid};
			$next += RELOAD_EVERY;
		}
		select undef, undef, undef, 0.005;
	}
	return undef;
}

# Waits, without looking again and again, until a load has said that so many parts are done.  False if it ended.
sub wait_parts {
	my ($load, $count, $limit) = @_;
	my $end = time + $limit;
	while (($load->{said} // '') !~ /^done $count$/m) {
		my $ready = '';
		vec($ready, fileno $load->{from}, 1) = 1;
		my $left = $end - time;
		return 0 if $left <= 0;
		select($ready, undef, undef, $left) > 0 or next;
		sysread $load->{from}, $load->{said}, 65536, length($load->{said} // '') or return 0;
	}
	return 1;
}

# What the report needs of the load's own result.
sub result_of {
	my ($json, $idle) = @_;
	my ($relay, $window) = ($json->{relay} || {}, $json->{window});
	my $seconds = $window->{seconds} || 1;
	my %result = (
		rate => $window->{requests_per_second}, requests => $window->{requests}, seconds => $window->{seconds},
		own_cpu => $window->{own_cpu_us_per_request}, peer_cpu => $json->{peer}{cpu_us_per_request},
		own_cores => $window->{own_cores}, peer_cores => $json->{peer}{cpu_ns} / 1e9 / $seconds,
		latency => $json->{latency_us}, counts => $json->{counts},
	);
	return \%result unless $json->{relay};
	my $requests = $window->{requests} || 1;
	$result{cpu} = $relay->{cpu_us_per_request};
	$result{relay_cores} = $relay->{cpu_ns} / 1e9 / $seconds;
	$result{switches} = ($relay->{voluntary_switches} + $relay->{involuntary_switches}) / $requests;
	$result{complete} = $relay->{complete} ? 1 : 0;
	$result{rss} = $relay->{rss_end} / 1e6;
	$result{base} = $relay->{rss_anon_before} / 1e6;
	$result{end} = $relay->{rss_anon_end} / 1e6;
	$result{idle} = ($relay->{rss_anon_connected} - $relay->{rss_anon_before}) / $idle if $idle;
	$result{idle_clients} = $idle if $idle;
	return \%result;
}

# Runs a scenario once on one contestant.  how: seconds, or requests; count => [names] to count instead of timing;
# cpus => [relay, load] instead of the scenario's; grind => 1 for the instructions of the relay.  Returns the result, which
# has `fault` if the run failed.
sub run_once {
	my ($scenario, $variant, %how) = @_;
	return outcome(sub { end_run(begin_run($scenario, $variant, %how)) });
}

# Runs a scenario once on each contestant, interleaved: `parts` times `seconds` each, A B C A B C ...  Returns the results in
# the same order.
sub run_interleaved {
	my ($scenario, $variants, %how) = @_;
	my @runs = map { my $variant = $_; outcome(sub { begin_run($scenario, $variant, %how, warmup => PART_WARMUP) }) } @$variants;
	local $SIG{PIPE} = 'IGNORE'; # of a load that has failed: its end says why
	my @measured = grep { !defined $_->{fault} } @runs;
	@measured = grep { wait_parts($_->{load}, 0, LONGEST) } @measured;
	for my $part (1 .. $how{parts}) {
		@measured = grep { syswrite($_->{load}{to}, '.') && wait_parts($_->{load}, $part, $how{seconds} + LONGEST) } @measured;
	}
	return map { my $run = $_; defined $run->{fault} ? $run : outcome(sub { end_run($run) }) } @runs;
}

# What came of it, or the fault that it died with.
sub outcome {
	my ($what) = @_;
	my $result = eval { $what->() } // { fault => $@ };
	# In tables a fault has one line.
	$result->{fault} =~ s/\s*\n\s*(?!$)/; /g, $result->{fault} =~ s/\s+$// if defined $result->{fault};
	return $result;
}

# Starts all that a run needs, the load last.
sub begin_run {
	my ($scenario, $variant, %how) = @_;
	my $site = RelayBench::Site->new(hosts => $scenario->{hosts});
	my $contestant = contestant($variant);
	my ($relay_cpus, $load_cpus) = $how{cpus} ? @{ $how{cpus} } : processors($scenario->{cores});
	my $peer = start_peers($site, $scenario, $variant, $load_cpus);
	my ($idle, @options) = load_options($site, $scenario, $variant);
	my ($relay, @family);
	if ($contestant->{command}) {
		my @grind = $how{grind} ? grind_command($site) : ();
		my @free = $how{grind} ? ('-o', 'relay.sandbox=no') : (); # only relayd is ground
		$relay = $site->spawn('relay', $relay_cpus, @grind, $contestant->{command}->($site, $scenario, $variant), @free);
		$site->wait_open($relay);
		@family = family_of($relay, $contestant->{processes} ? $contestant->{processes}->($scenario, $variant) : 1);
		push @options, '--relay-pid', join ',', @family;
	}
	start_stalled($site, $scenario, $variant, $load_cpus) if $variant->{stalled};
	my $meter = $how{count} && @family ? RelayBench::Meter->attach($site, \@family, @{ $how{count} }) : undef;
	push @options, '--hook', $meter->hook if $meter;
	push @options, $how{requests} ? ('--requests', $how{requests}) : ('--seconds', $how{seconds});
	push @options, '--parts', $how{parts} if $how{parts};
	my $json = $site->dir . '/load.json';
	my $spawn = $how{parts} ? 'spawn_piped' : 'spawn';
	my $load = $site->$spawn(
		'load', $load_cpus, program('relay-bench'), 'load', '--strict', '--warmup', $how{warmup} // WARMUP,
		'--peer-pid', $peer->{pid}, '--json', $json, @options,
	);
	return {
		site => $site, variant => $variant, relay => $relay, load => $load, meter => $meter, json => $json, idle => $idle,
		limit => ($how{seconds} // 0) + LONGEST, grind => $how{grind},
	};
}

# Waits for the end of the load; the result.
sub end_run {
	my ($run) = @_;
	my ($site, $relay, $load) = @$run{qw(site relay load)};
	close $load->{to} if $load->{to};
	my $fault = wait_load($load, $relay, $run->{variant}, $run->{limit});
	my $text = RelayBench::Site::read_file($run->{json});
	my $result = $text eq '' ? {} : result_of(JSON::PP->new->decode($text), $run->{idle});
	$fault //= fault_of($load, $relay, $text);
	$result->{fault} = $fault if defined $fault;
	$result->{counted} = $run->{meter}->counts if $run->{meter} && !defined $fault;
	$result->{instructions} = ground($site) if $run->{grind};
	return $result;
}

# Runs a program and all its children under callgrind.  It writes its counts at the end, which a sandbox forbids.
sub grind_command {
	my ($site) = @_;
	my $out = $site->dir . '/callgrind';
	return (program('valgrind'), '--tool=callgrind', '--trace-children=yes', "--callgrind-out-file=$out.%p");
}

# Ends what ran under callgrind and adds up the instructions of all processes.
sub ground {
	my ($site) = @_;
	my $sum = 0;
	$site->finish;
	for my $file (glob $site->dir . '/callgrind.*') {
		RelayBench::Site::read_file($file) =~ /^totals: (\d+)/m or die "callgrind was cut off: $file\n";
		$sum += $1;
	}
	return $sum;
}

sub fault_of {
	my ($load, $relay, $text) = @_;
	if ($relay && defined RelayBench::Site::ended($relay)) {
		return "the relay ended: " . RelayBench::Site::read_file($relay->{err}) =~ s/\s+$//r;
	}
	return undef if $load->{status} == 0;
	my ($said) = grep { length } RelayBench::Site::read_file($load->{err}), 'exit status ' . ($load->{status} >> 8);
	my ($fault) = $text =~ /"fault": "(.*?)"/;
	my ($counts) = $text =~ /"counts": \{ (.*?) \}/;
	return join '; ', grep { defined } $fault, $said =~ s/\s+$//r, $counts;
}

1;
