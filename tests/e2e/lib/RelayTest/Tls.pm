package RelayTest::Tls;

# RelayTest::Tls - certificates for tests by deploy/make-ca, and what of relay.conf names them.  Decides nothing.

use strict;
use warnings;
use Exporter 'import';
use FindBin;
use RelayTest;

our @EXPORT = qw(authority certificate files_of need_openssl);

my $make_ca = "$FindBin::RealBin/../../deploy/make-ca";

# Ends the script as skipped where there is no openssl(1).
sub need_openssl {
	skip_all('no openssl(1) here') unless grep { -x "$_/openssl" } split /:/, $ENV{PATH} // '';
	return;
}

sub run {
	my @words = @_;
	my $process = spawn('make-ca', $make_ca, @words);
	my $status = $process->wait(20);
	die 'make-ca: ' . $process->err . "\n" unless defined $status && $status == 0;
	return;
}

# A directory with ca.pem and ca.key.
sub authority {
	my ($dir) = @_;
	run($dir);
	return $dir;
}

# NAME.pem and NAME.key in the authority's directory; `days` as for make-ca, `names` = what it certifies.
sub certificate {
	my ($dir, $name, %option) = @_;
	run((defined $option{days} ? ('-d', $option{days}) : ()), $dir, $name, @{ $option{names} // [] });
	return "$dir/$name.pem";
}

# The three settings as they stand in a section.
sub files_of {
	my ($dir, $name, %other) = @_;
	my %file = (ca => "$dir/ca.pem", cert => "$dir/$name.pem", key => "$dir/$name.key", %other);
	return join ' ', map { "$_ = \"$file{$_}\"" } sort keys %file;
}

1;
