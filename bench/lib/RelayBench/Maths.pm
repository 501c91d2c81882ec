package RelayBench::Maths;

# RelayBench::Maths - medians, ranges and ratios of repeated runs.  Pure: numbers in, numbers out.  `undef` is a run
# without that number; it is left out, and of nothing comes undef.

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max min);
use RelayBench::Scenario qw(%METRICS);

our @EXPORT_OK = qw(median spread paired judge);

sub median {
	my @sorted = sort { $a <=> $b } grep { defined } @_;
	return undef unless @sorted;
	my $middle = int(@sorted / 2);
	return @sorted % 2 ? $sorted[$middle] : ($sorted[ $middle - 1 ] + $sorted[$middle]) / 2;
}

# { median, min, max, n } or undef
sub spread {
	my @values = grep { defined } @_;
	return undef unless @values;
	return { median => median(@values), min => min(@values), max => max(@values), n => scalar @values };
}

# The spread of one contestant's runs against those of another, repeat by repeat: what was measured side by side shares
# the mood of the machine, so the median of ratios says more than the ratio of medians.  operator: `/` or `-`.
sub paired {
	my ($operator, $these, $those) = @_;
	my @values;
	for my $i (0 .. max(scalar @$these, scalar @$those) - 1) {
		my ($this, $that) = ($these->[$i], $those->[$i]);
		next unless defined $this && defined $that;
		next if $operator eq '/' && $that == 0;
		push @values, $operator eq '/' ? $this / $that : $this - $that;
	}
	return spread(@values);
}

# What a value is against a target's bounds: `aim`, `must`, `missed`, or `open` if there is no value.
sub judge {
	my ($target, $value) = @_;
	return 'open' unless defined $value;
	my $more = $METRICS{ $target->{metric} }[1];
	my $within = sub {
		my ($bound) = @_;
		return defined $bound && ($more ? $value >= $bound : $value <= $bound);
	};
	return 'aim' if $within->($target->{aim});
	return 'must' if $within->($target->{must});
	# A target that has only an aim cannot be missed, only not reached.
	return defined $target->{must} ? 'missed' : 'not yet';
}

1;
