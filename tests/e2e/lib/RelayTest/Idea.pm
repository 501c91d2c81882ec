package RelayTest::Idea;

# RelayTest::Idea - the relay's cipher frames made a second time, in another language and straight from the
# definitions, so that scripts can say what must be on the wire.  Slow; owes nothing to the C code.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(link_key frame unframe encrypt_block);

# The raw key of a link between two host ids, from lond's build key.
sub link_key {
	my ($remote, $local, $build_key) = @_;
	my $ids = uc "$remote$local";
	$ids =~ tr/G-PQ-Z/0-90-9/;
	my $digits = substr join('', ($ids, $build_key) x 3), 0, 32;
	my $nibbles = join '', map { sprintf '%x', /[A-Za-z]/ ? (ord($_) + 9) & 15 : ord($_) & 15 } split //, $digits;
	return pack 'H32', $nibbles . '0' x (32 - length $nibbles);
}

sub multiply {
	my ($x, $y) = @_;
	return (($x || 65_536) * ($y || 65_536)) % 65_537 & 65_535;
}

sub inverse {
	my ($x) = @_;
	my ($result, $power, $exponent) = (1, $x, 65_535);
	for (; $exponent; $exponent >>= 1) {
		$result = multiply($result, $power) if $exponent & 1;
		$power = multiply($power, $power);
	}
	return $result;
}

# 52 subkeys: the key is read in 16-bit words and turned left by 25 bits after every eight of them.
sub encryption_keys {
	my ($key) = @_;
	my $bits = unpack 'B128', $key;
	my @keys;
	while (@keys < 52) {
		push @keys, map { oct '0b' . substr $bits, 16 * $_, 16 } 0 .. 7;
		$bits = substr($bits, 25) . substr $bits, 0, 25;
	}
	return @keys[0 .. 51];
}

sub decryption_keys {
	my @e = @_;
	my @d;
	for my $round (0 .. 8) {
		my $at = 48 - 6 * $round;
		my ($second, $third) = $round == 0 || $round == 8 ? (1, 2) : (2, 1);
		push @d, inverse($e[$at]), -$e[ $at + $second ] & 65_535, -$e[ $at + $third ] & 65_535, inverse($e[ $at + 3 ]);
		push @d, @e[ $at - 2, $at - 1 ] if $round < 8;
	}
	return @d;
}

sub crypt_block {
	my ($block, @k) = @_;
	my ($a, $b, $c, $d) = unpack 'n4', $block;
	for my $round (0 .. 7) {
		my @r = @k[ 6 * $round .. 6 * $round + 5 ];
		($a, $b, $c, $d) = (multiply($a, $r[0]), ($b + $r[1]) & 65_535, ($c + $r[2]) & 65_535, multiply($d, $r[3]));
		my $left = multiply($a ^ $c, $r[4]);
		my $right = multiply((($b ^ $d) + $left) & 65_535, $r[5]);
		$left = ($left + $right) & 65_535;
		($a, $b, $c, $d) = ($a ^ $right, $c ^ $right, $b ^ $left, $d ^ $left);
	}
	return pack 'n4', multiply($a, $k[48]), ($c + $k[49]) & 65_535, ($b + $k[50]) & 65_535, multiply($d, $k[51]);
}

sub encrypt_block {
	my ($key, $block) = @_;
	return crypt_block($block, encryption_keys($key));
}

# The frame of a plaintext, without LF.
sub frame {
	my ($key, $plain) = @_;
	my @keys = encryption_keys($key);
	my $length = length $plain;
	my $padded = $plain . ' ' x (8 - $length % 8);
	return "enc:$length:" . join '', map { unpack 'H16', crypt_block($_, @keys) } unpack '(a8)*', $padded;
}

# The plaintext of a frame, undef if it is none.
sub unframe {
	my ($key, $frame) = @_;
	my ($length, $hex) = $frame =~ /^enc:(\d+):([0-9a-f]*)$/ or return undef;
	my @keys = decryption_keys(encryption_keys($key));
	return substr join('', map { crypt_block($_, @keys) } unpack '(a8)*', pack 'H*', $hex), 0, $length;
}

1;
