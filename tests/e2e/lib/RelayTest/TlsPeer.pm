package RelayTest::TlsPeer;

# RelayTest::TlsPeer - peers behind TLS that is not ours: OpenSSL by socat in front of a relay-peer, or by IO::Socket::SSL around a
# lond that a script plays itself.

use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL qw(SSL_VERIFY_FAIL_IF_NO_PEER_CERT SSL_VERIFY_PEER);
use RelayTest;
use RelayTest::Lond;

my $peers = 0;

# A relay-peer where nobody looks for it, behind socat where the relay looks: the peer and socat.  `dir`, `name`: who it is;
# `ca`: whom it trusts; `with`: more of socat's options.
sub front {
	my ($class, $site, $id, %how) = @_;
	my $peer = spawn(
		'peer' . ++$peers, program('relay-peer'), '--listen', '127.0.0.1:0', '--id', $id, '--local', $site->{local},
		@{ $how{options} // [] }
	);
	wait_for(sub { $peer->out =~ /^listening \S+$/m || defined $peer->ended }, 10);
	my ($address) = $peer->out =~ /^listening (\S+)$/m or die "no peer\n";
	return ($peer, $class->socat($site, $id, "TCP:$address", %how));
}

# TLS alone, before whatever socat can reach.
sub socat {
	my ($class, $site, $id, $to, %how) = @_;
	my ($host, $port) = ($site->{address}{$id}, $site->port);
	my %option = (
		bind => $host, cert => "$how{dir}/$how{name}.pem", key => "$how{dir}/$how{name}.key", verify => 1,
		cafile => ($how{ca} // $how{dir}) . '/ca.pem', 'openssl-min-proto-version' => 'TLS1.2', %{ $how{with} // {} }
	);
	my $listen = join ',', "OPENSSL-LISTEN:$port", qw(fork reuseaddr backlog=128 nodelay), map { "$_=$option{$_}" } sort keys %option;
	my $socat = spawn("socat-$id", 'socat', '-b', 65536, $listen, "$to,nodelay");
	wait_for(sub { defined $socat->ended || IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port) }, 10);
	die 'socat: ' . $socat->err . "\n" if defined $socat->ended;
	return $socat;
}

# A lond of the script's own; its links are taken through the handshake of TLS first.
sub lond {
	my ($class, $site, $id, %how) = @_;
	my $lond = $site->lond($id);
	$lond->{tls} = {
		SSL_server => 1, SSL_version => 'TLSv1_3', SSL_cert_file => "$how{dir}/$how{name}.pem",
		SSL_key_file => "$how{dir}/$how{name}.key", SSL_ca_file => ($how{ca} // $how{dir}) . '/ca.pem',
		SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_session_id_context => 'site', %{ $how{with} // {} }
	};
	# One for all links: else none could be resumed.
	$lond->{context} = IO::Socket::SSL::SSL_Context->new(%{ $lond->{tls} }) or die "$IO::Socket::SSL::SSL_ERROR\n";
	return bless $lond, 'RelayTest::TlsPeer::Lond';
}

package RelayTest::TlsPeer::Lond;

our @ISA = ('RelayTest::Lond');

# undef also if the handshake fails; then the reason is in {failed}.
sub accept {
	my ($self, $seconds) = @_;
	$self->{failed} = '';
	my $socket = $self->raw($seconds) or return undef;
	if (!IO::Socket::SSL->start_SSL($socket, SSL_server => 1, SSL_reuse_ctx => $self->{context}, Timeout => RelayTest::scale(10))) {
		$self->{failed} = $IO::Socket::SSL::SSL_ERROR;
		$socket->close;
		return undef;
	}
	return RelayTest::TlsPeer::Link->over($socket);
}

# The connection without TLS.
sub raw {
	my ($self, $seconds) = @_;
	IO::Select->new($self->{socket})->can_read(RelayTest::scale($seconds // 10)) or return undef;
	return $self->{socket}->accept // undef;
}

package RelayTest::TlsPeer::Link;

our @ISA = ('RelayTest::Lond::Link');

# What is decrypted already shows in no poll: all of it is taken at once.
sub pull {
	my ($self, $limit) = @_;
	my $any = 0;
	do {
		my $got = sysread $self->{socket}, $self->{in}, $limit // 262_144, length $self->{in};
		return $any if !defined $got && ($!{EAGAIN} || $!{EINTR});
		$self->{eof} = 1 unless $got;
		$any = 1;
	} while (!$self->{eof} && $self->{socket}->pending);
	return $any;
}

# With close_notify.
sub close {
	my ($self) = @_;
	return $self->{socket}->close(SSL_fast_shutdown => 1);
}

sub reset {
	my ($self) = @_;
	setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
	return $self->cut;
}

# A FIN without it.
sub cut {
	my ($self) = @_;
	return $self->{socket}->close(SSL_no_shutdown => 1);
}

1;
