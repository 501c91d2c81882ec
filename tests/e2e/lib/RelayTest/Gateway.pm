package RelayTest::Gateway;

# RelayTest::Gateway - a relay with a gateway in front of a relay-peer, and TLS clients of it that are not ours: OpenSSL by
# IO::Socket::SSL.  Decides nothing; every wait has a deadline.

use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL qw(SSL_VERIFY_PEER);
use RelayTest;
use RelayTest::Appliance;
use RelayTest::Client;
use RelayTest::Site;
use RelayTest::Tls;

# A site without hosts, whose addresses are those of the gateway (`entry`) and of its lond; certificates `gateway` and `remote`.
sub new {
	my ($class, %how) = @_;
	my $site = RelayTest::Site->new(hosts => ['entry', 'lond', 'spare']);
	table($site);
	my $ca = authority($site->dir . '/ca');
	certificate($ca, 'gateway', names => ['gateway.example.org']);
	certificate($ca, 'remote', names => ['remote.example.org']);
	return bless { site => $site, ca => $ca, conf => $site->dir . '/relay.conf' }, $class;
}

sub site { return $_[0]{site} }
sub ca { return $_[0]{ca} }
sub at { return "$_[0]{site}{address}{$_[1]}:$_[0]{site}{port}" }

# The section; `more` = further settings.
sub section {
	my ($self, %how) = @_;
	my $listen = $self->at($how{listen} // 'entry');
	my $connect = $how{connect} // $self->at('lond');
	my $allow = join ', ', map { "\"$_\"" } @{ $how{allow} // ['remote.example.org'] };
	my $files = files_of($how{ca} // $self->{ca}, 'gateway');
	return "gateway \"east\" { listen = {\"$listen\"} connect = \"$connect\" allow = {$allow} $files " . ($how{more} // '') . " }\n";
}

sub write {
	my ($self, @how) = @_;
	return rename_over($self->{conf}, $self->section(@how));
}

sub start {
	my ($self, @options) = @_;
	return appliance($self->{site}, '-c', $self->{conf}, @options);
}

# Lines without lond's handshake, so that every byte is the test's.
sub peer {
	my ($self, @options) = @_;
	return $self->{site}->peer('lond', '--protocol', 'bare', @options);
}

# A connection before TLS.
sub raw {
	my ($self, $where) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => $self->at($where // 'entry'), Timeout => scale(10)) or return undef;
	return RelayTest::Client->over($socket);
}

# A client through the handshake; `dir` and `name`: who it is (name => undef: nobody), `with`: other settings of IO::Socket::SSL.
# undef if the gateway cannot be reached or breaks the handshake off, with the reason in $RelayTest::Gateway::failed.
our $failed;

sub client {
	my ($self, %how) = @_;
	my $name = exists $how{name} ? $how{name} : 'remote';
	my $dir = $how{dir} // $self->{ca};
	my $socket = IO::Socket::INET->new(PeerAddr => $self->at($how{where} // 'entry'), Timeout => scale(10));
	if (!$socket) {
		$failed = "connect: $!";
		return undef;
	}
	my $tls = IO::Socket::SSL->start_SSL(
		$socket, SSL_verify_mode => SSL_VERIFY_PEER, SSL_ca_file => "$self->{ca}/ca.pem", SSL_verifycn_name => 'gateway.example.org',
		SSL_verifycn_scheme => 'http', SSL_hostname => '', Timeout => scale(10),
		(defined $name ? (SSL_cert_file => "$dir/$name.pem", SSL_key_file => "$dir/$name.key") : ()), %{ $how{with} // {} }
	);
	$failed = $tls ? '' : "$IO::Socket::SSL::SSL_ERROR";
	return $tls ? RelayTest::Gateway::Client->over($tls) : undef;
}

# What becomes of a request of such a client: its answer, undef if there is none.
sub answer {
	my ($self, %how) = @_;
	my $client = $self->client(%how) or return undef;
	my $reply = $client->ask('echo:hello');
	$client->close;
	return $reply;
}

# Waits until a new client is answered.
sub serves {
	my ($self, %how) = @_;
	return wait_for(sub { ($self->answer(%how) // '') eq "re:hello\n" }, 10);
}

# Waits for a line of the log about this gateway.
sub tells {
	my ($self, $relay, $pattern, $count) = @_;
	return said($relay, qr/gateway east: $pattern/, $count);
}

package RelayTest::Gateway::Client;

our @ISA = ('RelayTest::Client');

# What is decrypted already shows in no poll: all of it is taken at once.
sub pull {
	my ($self, $limit) = @_;
	my $any = 0;
	do {
		my $got = sysread $self->{socket}, $self->{in}, $limit // 262_144, length $self->{in};
		if (!defined $got && ($!{EAGAIN} || $!{EINTR})) {
			return $any;
		}
		$self->{broken} = "$IO::Socket::SSL::SSL_ERROR" unless defined $got;
		$self->{eof} = 1 unless $got;
		$any = 1;
	} while (!$self->{eof} && $self->{socket}->pending);
	return $any;
}

# Whether the stream ended in order: by close_notify.
sub ended_well {
	my ($self) = @_;
	$self->fill(sub { 0 });
	return $self->{eof} && !defined $self->{broken};
}

# With close_notify.
sub close {
	my ($self) = @_;
	return $self->{socket}->close(SSL_fast_shutdown => 1);
}

# close_notify, and on with reading.
sub finish {
	my ($self) = @_;
	return $self->{socket}->stop_SSL(SSL_fast_shutdown => 1, SSL_no_shutdown => 0);
}

# A FIN without it.
sub cut {
	my ($self) = @_;
	return $self->{socket}->close(SSL_no_shutdown => 1);
}

1;
