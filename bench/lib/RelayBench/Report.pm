package RelayBench::Report;

# RelayBench::Report - from the results of a comparison to tables.  Measures nothing, starts nothing: the same results
# always give the same text.

use strict;
use warnings;
use Exporter 'import';
use RelayBench::Maths qw(judge paired spread);
use RelayBench::Scenario qw(%METRICS);

our @EXPORT_OK = qw(number values_of measure_target markdown summary replace_section);

use constant {
	MARK_BEGIN => '<!-- bench: begin (written by `relay-bench compare --readme`) -->',
	MARK_END => '<!-- bench: end -->',
};

# ---- numbers ----

# As many digits as mean something.
sub number {
	my ($value) = @_;
	return '-' unless defined $value;
	my $size = abs $value;
	my $text = sprintf $size >= 100 ? '%.0f' : $size >= 10 ? '%.1f' : $size >= 1 || $size == 0 ? '%.2f' : '%.3f', $value;
	1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $text;
}

sub with_range {
	my ($spread) = @_;
	return '-' unless $spread;
	return number($spread->{median}) if $spread->{n} < 2;
	return sprintf '**%s** (%s-%s)', map { number($spread->{$_}) } qw(median min max);
}

sub median_of {
	my ($spread) = @_;
	return number($spread ? $spread->{median} : undef);
}

# One metric of all runs of a contestant, in the order of the repeats; undef where a run failed or has no such number.
sub values_of {
	my ($contestant, $metric) = @_;
	return map {
		my $run = $_;
		my $latency = $run->{latency} || {};
		my $value = exists $latency->{$metric} ? $latency->{$metric} : $run->{$metric};
		defined $run->{fault} || ($metric eq 'cpu' && !$run->{complete}) ? undef : $value
	} @{ $contestant->{runs} };
}

sub per_request {
	my ($contestant, $count) = @_;
	my $counted = $contestant->{counted} or return undef;
	return undef unless defined $counted->{$count} && $counted->{requests};
	return $counted->{$count} / $counted->{requests};
}

sub find {
	my ($list, $key, $value) = @_;
	my ($found) = grep { $_->{$key} eq $value } @$list;
	return $found;
}

# ---- tables ----

sub table {
	my ($head, @rows) = @_;
	return join '', map { '| ' . join(' | ', @$_) . " |\n" } $head, [ map { '---' } @$head ], @rows;
}

# CPU or throughput against a reference of the same scenario, side by side.
sub against {
	my ($scenario, $contestant, $metric, $reference) = @_;
	my $other = find($scenario->{contestants}, 'spec', $reference) or return '';
	return '' if $other == $contestant;
	return median_of(paired('/', [ values_of($contestant, $metric) ], [ values_of($other, $metric) ]));
}

sub row {
	my ($scenario, $contestant) = @_;
	my %spread = map { ($_ => spread(values_of($contestant, $_))) }
	    qw(rate cpu p50 p99 p99_9 rss switches relay_cores peer_cores own_cores);
	my $failed = grep { defined $_->{fault} } @{ $contestant->{runs} };
	return [
		$scenario->{name}, $contestant->{spec}, with_range($spread{rate}), with_range($spread{cpu}),
		against($scenario, $contestant, 'cpu', 'haproxy'), against($scenario, $contestant, 'cpu', 'twemproxy'),
		against($scenario, $contestant, 'rate', 'haproxy'), against($scenario, $contestant, 'rate', 'twemproxy'),
		number(per_request($contestant, 'syscalls')), (map { median_of($spread{$_}) } qw(switches p50 p99)),
		with_range($spread{p99_9}), median_of($spread{rss}),
		join('/', map { median_of($spread{$_}) } qw(relay_cores peer_cores own_cores)),
		scalar(@{ $contestant->{runs} }) . ($failed ? " (**$failed failed**)" : ''),
	];
}

sub main_table {
	my ($results) = @_;
	my @head = (
		'scenario', 'contestant', 'requests/s', 'CPU us/request', 'CPU x haproxy', 'CPU x twemproxy', 'req/s x haproxy',
		'req/s x twemproxy', 'system calls /request', 'switches /request', 'p50 us', 'p99 us', 'p99.9 us', 'RSS MB',
		'cores busy: relay/peer/load', 'runs',
	);
	my @rows;
	for my $scenario (@{ $results->{scenarios} }) {
		push @rows, map { row($scenario, $_) } @{ $scenario->{contestants} };
	}
	return table(\@head, @rows);
}

sub memory_table {
	my ($results) = @_;
	my @rows;
	for my $scenario (@{ $results->{scenarios} }) {
		for my $contestant (@{ $scenario->{contestants} }) {
			my ($clients) = grep { defined } values_of($contestant, 'idle_clients') or next;
			push @rows, [
				$scenario->{name}, $contestant->{spec}, number($clients),
				map { with_range(spread(values_of($contestant, $_))) } qw(idle base end),
			];
		}
	}
	return '' unless @rows;
	return "\n## Memory\n\nRssAnon of all processes: bytes per idle client; MB before the first client and after serving.\n\n"
	    . table([ 'scenario', 'contestant', 'idle clients', 'bytes each', 'before MB', 'after MB' ], @rows);
}

# ---- targets ----

# What was measured for a target: a spread, or undef.
sub measure_target {
	my ($results, $target) = @_;
	my $scenario = find($results->{scenarios}, 'name', $target->{scenario}) or return undef;
	my $this = find($scenario->{contestants}, 'spec', $target->{spec}) or return undef;
	return spread(values_of($this, $target->{metric})) if $target->{operator} eq '=';
	my $that = find($scenario->{contestants}, 'spec', $target->{other}) or return undef;
	return paired($target->{operator}, map { [ values_of($_, $target->{metric}) ] } $this, $that);
}

sub target_words {
	my ($target) = @_;
	my ($unit) = @{ $METRICS{ $target->{metric} } };
	return "$target->{metric}, x $target->{other}" if $target->{operator} eq '/';
	return "$target->{metric}, $unit more than $target->{other}" if $target->{operator} eq '-';
	return "$target->{metric}, $unit";
}

sub targets_table {
	my ($results, @targets) = @_;
	my @rows;
	for my $target (@targets) {
		my $spread = measure_target($results, $target) or next;
		my $least = $METRICS{ $target->{metric} }[1] ? '>= ' : '<= ';
		my ($must, $aim) = map { defined $target->{$_} ? $least . $target->{$_} : '' } qw(must aim);
		my $verdict = judge($target, $spread->{median});
		$verdict = "**$verdict**" if $verdict eq 'missed';
		push @rows, [ @$target{qw(scenario spec)}, target_words($target), with_range($spread), $must, $aim, $verdict ];
	}
	return '' unless @rows;
	return "\n## Targets\n\nRatios and differences are taken repeat by repeat, then the median.\n\n"
	    . table([ 'scenario', 'contestant', 'what', 'measured', 'must', 'aim', 'reached' ], @rows);
}

# ---- the whole ----

sub notes {
	my ($results) = @_;
	my $text = '';
	for my $scenario (@{ $results->{scenarios} }) {
		for my $contestant (@{ $scenario->{contestants} }) {
			my ($run) = grep { defined $_->{fault} } @{ $contestant->{runs} } or next;
			$text .= "- **failed**: $scenario->{name}, $contestant->{spec}: $run->{fault}\n";
		}
	}
	$text .= "- missing: $_ ($results->{missing}{$_}); not measured\n" for sort keys %{ $results->{missing} };
	$text .= "- system calls: $results->{counted_by}\n";
	return $text;
}

# What a read costs that no cache near by can serve: of all that differs between machines, what these numbers depend on most.
sub memory_text {
	my ($machine) = @_;
	my $ns = $machine->{memory_ns} // {};
	my @sizes = sort { $a <=> $b } keys %$ns or return '';
	return 'A read at a random place takes '
	    . join(', ', map { number($ns->{$_}) . ' ns within ' . ($_ < 1024 ? "$_ KiB" : $_ / 1024 . ' MiB') } @sizes) . ".\n";
}

sub where_text {
	my ($processors) = @_;
	return "relay, load and peer share it.\n" if $processors == 1;
	return "the relay on one, load and peer on another unless the scenario says otherwise.\n";
}

sub markdown {
	my ($results, @targets) = @_;
	my $machine = $results->{machine};
	my $text = "# Comparison ($results->{set} set)\n\n";
	$text .= "$machine->{cpu}, $machine->{processors} processors, Linux $machine->{kernel}; "
	    . where_text($machine->{processors}) . memory_text($machine);
	$text .= "TCP congestion control: $machine->{congestion}.\n" if defined $machine->{congestion};
	$text .= join(', ', map { "$_ $machine->{versions}{$_}" } sort keys %{ $machine->{versions} }) . ".\n";
	$text .= "Medians, and in brackets the range over all runs.  How to read this: bench/README.md.\n\n";
	$text .= join '', map { "- `$_->{name}`: $_->{about}\n" } @{ $results->{scenarios} };
	$text .= "\n" . main_table($results) . memory_table($results) . targets_table($results, @targets);
	return "$text\n## Notes\n\n" . notes($results);
}

# The few lines that a README has room for.
sub summary {
	my ($results) = @_;
	my %wanted = map { $_ => 1 } qw(c50 c500 connect);
	my @rows;
	for my $scenario (grep { $wanted{ $_->{name} } } @{ $results->{scenarios} }) {
		my $about = $scenario->{about};
		for my $contestant (@{ $scenario->{contestants} }) {
			push @rows, [
				$about, $contestant->{spec}, (map { median_of(spread(values_of($contestant, $_))) } qw(rate cpu)),
				number(per_request($contestant, 'syscalls')), median_of(spread(values_of($contestant, 'p99'))),
			];
			$about = '';
		}
	}
	my $given = (grep { $_->[1] eq 'lonc' } @rows) ? "\n`lonc` is the one that PROGRAM runs, a relay of the kind that relayd takes the place of." : '';
	my $machine = $results->{machine};
	my $shared = $machine->{processors} == 1 ? 'all share it' : "the relay\nhas one, load and peer share another";
	my @head = ('work (32 B requests, 64 B replies)', 'relay', 'requests/s', 'CPU us/request', 'system calls/request', 'p99 us');
	return table(\@head, @rows) . <<"END";

Medians of `$results->{command}` on $machine->{cpu}, $machine->{processors} processors, Linux $machine->{kernel}: $shared.  `LxP` = L links with P requests in flight on each; `8x1` keeps to the legacy rule of one.  Most of the gain over a
1:1 proxy comes from multiplexing with coalesced sends, which an epoll loop could do as well; io_uring mostly saves the system
calls.$given
END
}

# The text of a file with what stands between the marks replaced; dies if there are none.
sub replace_section {
	my ($text, $section) = @_;
	my ($begin, $end) = (MARK_BEGIN, MARK_END);
	$text =~ s/\Q$begin\E\n.*?\Q$end\E/$begin\n\n$section\n$end/s or die "the marks are missing:\n$begin\n$end\n";
	return $text;
}

1;
