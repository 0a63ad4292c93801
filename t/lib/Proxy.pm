package Proxy;

# A proxy on a Unix socket in front of MariaDB. A test says what happens to each packet
# of the protocol.

use v5.36;
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOL_SOCKET SO_PEERCRED);

# path: where it listens; to: the server's socket; rule: a sub that is called in another
# process for each packet, as rule->($state, $side, $packet). side: 'client' or 'server',
# the sender; state: a hash for each connection, with the pid of the client. It returns
# the packets to pass on. Among them a reference to seconds is a pause, and undef cuts the
# connection.
sub new ($class, %o) {
	my $listen = IO::Socket::UNIX->new(Local => $o{path}, Listen => 128)
	    or die "$o{path}: $!";
	chmod 0666, $o{path};
	my $pid = fork // die $!;
	if (!$pid) {
		$SIG{$_} = 'DEFAULT' for qw(INT TERM);
		local $SIG{PIPE} = 'IGNORE';
		eval { _serve($listen, \%o) };
		print STDERR $@ if $@;
		POSIX::_exit(0);
	}
	return bless { pid => $pid, owner => $$, path => $o{path} }, $class;
}

sub path ($self) { $self->{path} }

sub _serve ($listen, $o) {
	my $select = IO::Select->new($listen);
	my %end; # descriptor => [connection, side]
	my $cut = sub ($c) {
		for ($c->{client}, $c->{server}) {
			$select->remove($_);
			delete $end{ fileno $_ };
			close $_;
		}
	};
	while (1) {
		for my $ready ($select->can_read) {
			if ($ready == $listen) {
				my $client = $listen->accept or next;
				my $server = IO::Socket::UNIX->new(Peer => $o->{to});
				if (!$server) { close $client; next }
				my ($pid) = unpack 'l', getsockopt $client, SOL_SOCKET, SO_PEERCRED;
				my $c = {
					client => $client, server => $server,
					state => { pid => $pid },
					buffer => { client => '', server => '' }
				};
				$end{ fileno $client } = [$c, 'client'];
				$end{ fileno $server } = [$c, 'server'];
				$select->add($client, $server);
				next;
			}
			my ($c, $side) = ($end{ fileno $ready // -1 } // next)->@*;
			my $got = sysread $ready, $c->{buffer}{$side}, 65536,
			    length $c->{buffer}{$side};
			if (!$got) { $cut->($c); next }
			my $other = $c->{ $side eq 'client' ? 'server' : 'client' };
			while (length $c->{buffer}{$side} >= 4) {
				my $length = 4 + unpack 'V',
				    substr($c->{buffer}{$side}, 0, 3) . "\0";
				last if length $c->{buffer}{$side} < $length;
				my $packet = substr $c->{buffer}{$side}, 0, $length, '';
				my @pass = $o->{rule}->($c->{state}, $side, $packet);
				for (@pass) {
					     !defined ? $cut->($c)
					    : ref ? select(undef, undef, undef, $$_)
					    : syswrite $other, $_
				}
				last if grep { !defined } @pass;
			}
		}
	}
}

# An error packet with the sequence number of `packet`.
sub error ($class, $packet, $code, $state, $message) {
	my $body = pack('Cv', 0xff, $code) . "#$state$message";
	return substr(pack('V', length $body), 0, 3) . substr($packet, 3, 1) . $body;
}

sub stop ($self) {
	my $pid = delete $self->{pid} or return;
	kill KILL => $pid;
	waitpid $pid, 0;
	unlink $self->{path};
}

sub DESTROY ($self) {
	local ($?, $@, $!);
	$self->stop if $$ == $self->{owner};
}

1;
