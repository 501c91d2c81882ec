package RelayBench::Baseline;

# RelayBench::Baseline - recorded counts per request and how new ones stand against them.  Pure.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(baseline_text judge_count parse_baseline);

# metric => { value, tolerance }
sub parse_baseline {
	my ($text) = @_;
	my %baseline;
	for (grep { !/^\s*(#|$)/ } split /\n/, $text) {
		my ($metric, $value, $tolerance) = /^(\S+)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?) %$/ or die "not a line of a baseline: $_\n";
		$baseline{$metric} = { value => $value, tolerance => $tolerance };
	}
	return %baseline;
}

sub baseline_text {
	my ($measured, $tolerance) = @_;
	return "# guard.baseline - counts per request, written by `relay-bench guard --record`.  More than the tolerance above one\n"
	    . "# is a failure.  bench/guard says what each is.\n#\n"
	    . join '', map { sprintf "%-18s %12.4f %4s %%\n", $_, $measured->{$_}, $tolerance->{$_} } sort keys %$measured;
}

# `worse`, `better`, `same` or `unknown` (never recorded), and the same in words.
sub judge_count {
	my ($measured, $recorded) = @_;
	return ('unknown', 'not in the baseline: record it') unless $recorded;
	my ($value, $tolerance) = @$recorded{qw(value tolerance)};
	my $words = sprintf 'recorded %12.4f, tolerance %s %%: ', $value, $tolerance;
	return ('worse', "${words}WORSE") if $measured > $value * (1 + $tolerance / 100);
	return ('better', "${words}better, record it") if $measured < $value * (1 - $tolerance / 100);
	return ('same', "${words}same");
}

1;
