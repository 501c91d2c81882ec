package RelayTest::Original;

# RelayTest::Original - /usr/bin/prefork-interp as the caller of services that relayd serves: by idents of this script's own, whose
# files in the user's run directory are removed at the end.  Decides nothing.

use strict;
use warnings;
use Exporter 'import';
use RelayTest;
use RelayTest::Service;

our @EXPORT = qw(needs_original ident run_of original);

my $client = '/usr/bin/prefork-interp';
my (%ident, $run);

sub needs_original {
	-x $client or skip_all('prefork-interp (chiark-utils-bin) is not installed');
	return;
}

# The ident of the service `name`.
sub ident {
	my ($name) = @_;
	return $ident{$name} //= "rt-$name-$$";
}

# The run directory, once a service is up.
sub run_of {
	my ($site, $name) = @_;
	return $run = service($site, $name)->{socket} =~ s{/[^/]*\z}{}r;
}

# A caller of `name`: what is called is `command` with the words behind it; options of the client are an array before all.
sub original {
	my $options = ref $_[0] ? shift : [];
	my ($name, @command) = @_;
	return spawn('original', $client, '-U', '-g', ident($name), @$options, @command);
}

END {
	local $?;
	if (defined $run) {
		unlink map { my $ident = $_; map { "$run/$_$ident" } qw(s x l) } values %ident;
	}
}

1;
