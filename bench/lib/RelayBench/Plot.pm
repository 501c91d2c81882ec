package RelayBench::Plot;

# RelayBench::Plot - SVG drawings of a comparison by gnuplot: medians as bars, ranges as whiskers.

use strict;
use warnings;
use Exporter 'import';
use RelayBench::Contestant qw(program);
use RelayBench::Maths qw(spread);
use RelayBench::Report qw(values_of);

our @EXPORT_OK = qw(plot_all bars);

# file => [title, metric, logarithmic]
my %BARS = (
	cpu => [ 'Processor time of all relay processes, us per request', 'cpu', 1 ],
	rate => [ 'Requests per second', 'rate', 1 ],
	p99 => [ 'Latency, p99, us', 'p99', 1 ],
);

# More bars than these cannot be told apart.
my @BARS_OF = qw(relayd:8x1 relayd:2x32 haproxy nginx twemproxy perl none);

# Scenarios that differ in nothing but the number of clients.
my @BY_CLIENTS = qw(one c50 c500 c5000);

# A quoted word of gnuplot.
sub quoted {
	my ($text) = @_;
	$text =~ s/['\n]/ /g;
	$text =~ s/_/-/g;
	return "'$text'";
}

sub specs_of {
	my (@scenarios) = @_;
	my (@specs, %seen);
	push @specs, grep { !$seen{$_}++ } map { $_->{spec} } @{ $_->{contestants} } for @scenarios;
	return @specs;
}

sub cells {
	my ($scenario, $spec, $metric) = @_;
	my ($contestant) = grep { $_->{spec} eq $spec } @{ $scenario->{contestants} };
	my $spread = $contestant ? spread(values_of($contestant, $metric)) : undef;
	return $spread ? @$spread{qw(median min max)} : ('?') x 3;
}

# The script of one drawing of bars: a group per scenario, a bar per contestant.  undef if there is nothing to draw.
sub bars {
	my ($results, $file, $title, $metric, $logarithmic) = @_;
	my %drawn = map { $_ => 1 } @BARS_OF;
	my @scenarios = grep { 1 < grep { $drawn{ $_->{spec} } } @{ $_->{contestants} } } @{ $results->{scenarios} };
	my (@data, @plots);
	for my $spec (@BARS_OF) {
		my @lines = map { join ' ', qq("$_->{name}"), cells($_, $spec, $metric) } @scenarios;
		next unless grep { !/\?/ } @lines;
		push @data, '$d' . @plots . " << EOD\n" . join("\n", @lines) . "\nEOD\n";
		push @plots, '$d' . @plots . ' using 2:3:4:xtic(1) title ' . quoted($spec);
	}
	return undef unless @plots;
	my $width = 300 + 100 * @scenarios;
	return join '', @data, "set terminal svg size $width,480 background '#ffffff' font 'sans,11'\n",
	    'set output ' . "'$file'\n", 'set title ' . quoted($title) . "\n", "set datafile missing '?'\n",
	    "set style data histogram\nset style histogram errorbars gap 2 lw 1\nset style fill solid 0.8 border -1\n",
	    "set xtics rotate by -30 scale 0\nset grid ytics\nset key outside right\n", ($logarithmic ? "set logscale y\n" : ''),
	    'plot ' . join(', ', @plots) . "\n";
}

# Processor time against the number of clients.
sub lines {
	my ($results, $file) = @_;
	my @scenarios = grep { my $name = $_->{name}; grep { $_ eq $name } @BY_CLIENTS } @{ $results->{scenarios} };
	my (@data, @plots);
	for my $spec (specs_of(@scenarios)) {
		my @lines = grep { !/\?/ } map { join ' ', $_->{clients}, cells($_, $spec, 'cpu') } @scenarios;
		next if @lines < 2;
		push @data, '$d' . @plots . " << EOD\n" . join("\n", @lines) . "\nEOD\n";
		push @plots, '$d' . @plots . ' using 1:2:3:4 with yerrorlines title ' . quoted($spec);
	}
	return undef unless @plots;
	return join '', @data, "set terminal svg size 900,480 background '#ffffff' font 'sans,11'\nset output '$file'\n",
	    "set title 'Processor time of all relay processes, us per request'\nset xlabel 'clients'\n",
	    "set logscale xy\nset grid\nset key outside right\n", 'plot ' . join(', ', @plots) . "\n";
}

sub draw {
	my ($script) = @_;
	my $pid = open my $gnuplot, '|-', program('gnuplot') or die "gnuplot: $!\n";
	print {$gnuplot} $script;
	close $gnuplot or die "gnuplot failed\n";
	return;
}

# Writes the drawings below a directory; their names.  None without gnuplot.
sub plot_all {
	my ($results, $directory) = @_;
	return () unless program('gnuplot');
	my @written;
	for my $name (sort keys %BARS) {
		my $script = bars($results, "$directory/$name.svg", @{ $BARS{$name} }) or next;
		draw($script);
		push @written, "$name.svg";
	}
	my $script = lines($results, "$directory/clients.svg");
	if ($script) {
		draw($script);
		push @written, 'clients.svg';
	}
	return @written;
}

1;
