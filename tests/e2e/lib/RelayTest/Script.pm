package RelayTest::Script;

# RelayTest::Script - plays a small script of clients against whatever serves a host's socket, and writes down every byte that
# the clients see.  The same script can so be played against two programs.  Judges nothing.
#
# A script is one step per line; `#` begins a comment:
#
#     peer OPTION...      options for relay-peer, beside its fixed challenge and build key
#     limits fast|short   which limits of time the relay is to have: its own, or a few seconds
#     client NAME         the steps below are this client's, who connects if he is new
#     send TEXT           \n \r \t \\ \xHH as in C, all else as it is
#     bytewise TEXT       the same, one byte at a time
#     repeat N TEXT       TEXT N times in one write
#     count A B TEXT      TEXT for each number from A to B, which stands for %d
#     lines N             waits for N lines
#     finish              no more will be sent: half close
#     rest                waits for the end of the stream
#     leave [at once]     closes; not waiting whether more comes
#     settle              gives the relay up to a second to have a link again
#
# The record: `NAME < line` for each line (long ones as length and digest; one without \x0a at its end was cut off),
# `NAME = word` for what is no byte: end, no line in time, more.

use strict;
use warnings;
use Exporter 'import';
use Digest::SHA qw(sha256_hex);
use RelayTest;
use RelayTest::Behaviour;
use RelayTest::Client;
use RelayTest::Site;

our @EXPORT_OK = qw(script_read script_site script_play script_names);

my @identity = ('--challenge', '1047923456:4711', '--build-key', '48213ADBE0FC7B96A2871733209');
my $directory = "$FindBin::RealBin/expected";
my $last = 'the last of all';

sub script_names {
	return map { m{([^/]+)$} } sort glob "$directory/script/*";
}

# { peer => [options], limits => word, steps => [[word, rest]...] }
sub script_read {
	my ($name) = @_;
	my %script = (name => $name, peer => [], limits => 'fast', steps => []);
	my $number = 0;
	for my $line (split /\n/, slurp("$directory/script/$name") // die "no script $name\n") {
		++$number;
		next if $line =~ /^\s*(?:#|$)/;
		my ($word, $rest) = $line =~ /^(\S+)(?: (.*))?$/ or die "$name:$number: not a step\n";
		if ($word eq 'peer') {
			push @{ $script{peer} }, split ' ', $rest;
		} elsif ($word eq 'limits') {
			$script{limits} = $rest;
		} else {
			push @{ $script{steps} }, [$word, $rest // '', $number];
		}
	}
	return \%script;
}

# A site and its peer for a script: (site, record of the peer, peer).
sub script_site {
	my ($script) = @_;
	my $site = RelayTest::Site->new(local => 'locgw7', hosts => ['remhub3']);
	my ($peer, $record) = watched($site, 'remhub3', @identity, @{ $script->{peer} });
	return ($site, $record, $peer);
}

my %escapes = (n => "\n", r => "\r", t => "\t", '\\' => '\\');

sub plain {
	my ($text) = @_;
	$text =~ s/\\(?:x([0-9a-fA-F]{2})|(.))/defined $1 ? chr hex $1 : $escapes{$2} \/\/ die "unknown escape \\$2\n"/ge;
	return $text;
}

sub line_text {
	my ($line) = @_;
	return length($line) . ' bytes, sha256 ' . sha256_hex($line) if length $line > 400;
	$line =~ s/([^\x20-\x5b\x5d-\x7e])/sprintf '\\x%02x', ord $1/ge;
	return $line;
}

my %actions = (
	send => sub { $_[0]{client}->send(plain($_[1])) },
	bytewise => sub { $_[0]{client}->send($_) for split //, plain($_[1]) },
	repeat => sub {
		my ($count, $text) = $_[1] =~ /^(\d+) (.*)$/;
		$_[0]{client}->send(plain($text) x $count, 30);
	},
	count => sub {
		my ($from, $to, $text) = $_[1] =~ /^(\d+) (\d+) (.*)$/;
		$_[0]{client}->send(join '', map { my $n = $_; plain($text =~ s/%d/$n/gr) } $from .. $to);
	},
	lines => \&lines,
	finish => sub { $_[0]{client}->finish },
	rest => \&rest,
	leave => \&leave,
	settle => sub {
		my ($play) = @_;
		# The end of the old link takes a moment to be seen; a new one then has a second.
		wait_for(sub { opened_now($play->{record}) == 0 || connections($play->{record}) > 1 }, 1);
		wait_for(sub { opened_now($play->{record}) > 0 }, 1);
	},
);

sub note {
	my ($play, $text) = @_;
	$play->{text} .= "$play->{name} $text\n";
	return;
}

sub lines {
	my ($play, $count) = @_;
	for (1 .. $count) {
		my $line = $play->{client}->reply($play->{patience});
		if (!defined $line) {
			note($play, $play->{client}{eof} ? '= end' : '= no line in time');
			$play->{client}{told} = $play->{client}{eof};
			last;
		}
		note($play, '< ' . line_text($line));
	}
	return;
}

sub rest {
	my ($play) = @_;
	my $bytes = $play->{client}->drain($play->{patience});
	note($play, '< ' . line_text($_)) for split /^/, $bytes // '';
	note($play, defined $bytes ? '= end' : '= no end in time');
	$play->{client}{told} = 1;
	return;
}

# What is left at the end of a client's part: a fragment, or lines that nobody waited for.  How many of them depends on
# the moment, so each is noted once.
sub closing {
	my ($play) = @_;
	my $client = $play->{client};
	return if $client->{told};
	if (defined $play->{pause}) {
		$client->fill(sub { 0 }, $play->{pause});
	} elsif (!$client->{eof}) {
		# Whatever came too much would stand before the reply to this.
		$client->send("echo:$last\n");
		$client->fill(sub { $client->{in} =~ s/re:$last\n\z// }, $play->{patience})
		    or note($play, '= not served any more');
	}
	my %seen;
	note($play, '= more: ' . line_text($_)) for grep { !$seen{$_}++ } split /^/, $client->pending;
	note($play, '= end') if $client->{eof};
	return;
}

# With something still due a client leaves in a hurry.
sub leave {
	my ($play, $how) = @_;
	closing($play) unless $how eq 'at once';
	$play->{client}->close;
	delete $play->{clients}{ $play->{name} };
	return;
}

# Plays a script: connect => code that connects a client, record => that of the peer, patience => seconds for a line,
# pause => seconds in which more than was asked for would show; without it a last request shows it.  Returns the record.
sub script_play {
	my ($script, %how) = @_;
	my $play = { %how, text => '', clients => {}, names => [] };
	for my $step (@{ $script->{steps} }) {
		my ($word, $rest, $number) = @$step;
		if ($word eq 'client') {
			$play->{name} = $rest;
			push @{ $play->{names} }, $rest unless grep { $_ eq $rest } @{ $play->{names} };
			$play->{client} = $play->{clients}{$rest} //= $how{connect}->();
			next;
		}
		my $action = $actions{$word} // die "$script->{name}:$number: no step is called $word\n";
		$action->($play, $rest);
	}
	for my $name (@{ $play->{names} }) {
		@$play{qw(name client)} = ($name, $play->{clients}{$name} // next);
		closing($play);
	}
	return $play->{text};
}

1;
