package RelayBench::Scenario;

# RelayBench::Scenario - reads the tables bench/scenarios and bench/targets.  A word it does not know is an error: a
# misspelled key must not become a measurement of something else.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(read_scenarios read_targets parse_variant %METRICS);

# key => default; a default of undef: optional.
my %KEYS = (
	about => '', clients => 50, depth => 1, request => 32, reply => 64, hosts => 1, spare => 0, connect_per => 0,
	idle => 0, rate => 0, peer_rate => 0, cores => 1, seconds => 3, interleave => 'moments', quick => 'no', contestants => undef,
);
my %TEXT = map { $_ => 1 } qw(about interleave quick contestants);

# metric => [unit, whether more is better]
our %METRICS = (
	rate => ['requests/s', 1], cpu => ['us', 0], p99 => ['us', 0], idle => ['bytes', 0], base => ['MB', 0],
	end => ['MB', 0],
);

sub lines_of {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	my @lines;
	while (my $line = <$file>) {
		$line =~ s/\s+$//;
		push @lines, [ $., $line ] unless $line =~ /^\s*(#|$)/;
	}
	return @lines;
}

# NAME[:LxP][:FLAG]... as a hash: spec, name, links, pipeline, and the flags.
sub parse_variant {
	my ($spec) = @_;
	my ($name, @words) = split /:/, $spec;
	my %variant = (spec => $spec, name => $name, links => 2, pipeline => 32, workers => 1);
	for my $word (@words) {
		if ($word =~ /^(\d+)x(\d+)$/) {
			@variant{qw(links pipeline)} = ($1, $2);
			die "contestant \"$spec\": 1x1 to 1024x1024\n" if grep { $_ < 1 || $_ > 1024 } $1, $2;
		} elsif ($word =~ /^w([1-9])$/) {
			$variant{workers} = $1;
		} elsif ($word =~ /^(enc|stalled|reload|udp|sealed)$/) {
			$variant{$word} = 1;
		} else {
			die "contestant \"$spec\": what is \"$word\"?\n";
		}
	}
	return \%variant;
}

# The scenarios in order, as hashes with all keys; `contestants` is a list of variants.
sub read_scenarios {
	my ($path) = @_;
	my (@scenarios, %seen);
	for (lines_of($path)) {
		my ($number, $line) = @$_;
		my $at = "$path:$number";
		if ($line =~ /^\[([\w-]+)\]$/) {
			die "$at: a second scenario \"$1\"\n" if $seen{$1}++;
			push @scenarios, { %KEYS, name => $1 };
			next;
		}
		my ($key, $value) = $line =~ /^(\w+)\s*=\s*(.+)$/ or die "$at: not KEY = VALUE\n";
		die "$at: no key \"$key\"\n" unless exists $KEYS{$key};
		die "$at: not in a section\n" unless @scenarios;
		die "$at: \"$value\" is not a number\n" unless $TEXT{$key} || $value =~ /^\d+(\.\d+)?$/;
		$scenarios[-1]{$key} = $value;
	}
	for my $scenario (@scenarios) {
		my $list = $scenario->{contestants} // die "$path: [$scenario->{name}] has no contestants\n";
		die "$path: [$scenario->{name}] interleave: moments or runs\n" unless $scenario->{interleave} =~ /^(moments|runs)$/;
		# An open loop has a rhythm of its own, which cannot be stopped and go on.
		$scenario->{interleave} = 'runs' if $scenario->{rate};
		$scenario->{contestants} = [ map { parse_variant($_) } split ' ', $list ];
	}
	return @scenarios;
}

# The targets as hashes: scenario, spec, metric, operator, other, must, aim (undef = none).
sub read_targets {
	my ($path) = @_;
	my @targets;
	for (lines_of($path)) {
		my ($number, $line) = @$_;
		my ($scenario, $spec, $metric, $operator, @rest) = split ' ', $line;
		my $other = ($operator // '') eq '=' ? undef : shift @rest;
		die "$path:$number: not a target\n"
		    unless @rest == 2 && $METRICS{$metric} && $operator =~ m{^[-/=]$} && !grep { !/^(\.|\d+(\.\d+)?)$/ } @rest;
		my ($must, $aim) = map { $_ eq '.' ? undef : $_ } @rest;
		push @targets, {
			scenario => $scenario, spec => $spec, metric => $metric, operator => $operator, other => $other,
			must => $must, aim => $aim,
		};
	}
	return @targets;
}

1;
