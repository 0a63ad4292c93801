package Issuer;

# A client of the issuer's own socket, without nginx, which also tells whether the
# issuer is still the same process.

use v5.36;
use parent 'Client';
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM SOL_SOCKET SO_RCVTIMEO);
use Stage::Process qw(stat_of);

# stack: with a real issuer
sub new ($class, $stack) {
	return $class->at($stack->file('run/better-auth.sock'), $stack->pid('issuer'));
}

# path: of the socket; pid: who listens on it
sub at ($class, $path, $pid) {
	my $self = $class->SUPER::new(url => 'https://issuer', on_answer => sub { });
	@$self{qw(path pid)} = ($path, $pid);
	$self->{since} = $self->_since;
	return $self;
}

sub pid ($self) { $self->{pid} }

sub _connect ($self) {
	return if $self->{socket};
	my $socket = IO::Socket::UNIX->new(Peer => $self->{path}, Type => SOCK_STREAM)
	    or die "connect $self->{path}: $!";
	$socket->setsockopt(SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', $self->{timeout}, 0);
	@$self{qw(socket sent buf)} = ($socket, 0, '');
}

sub _since ($self) { +{ stat_of($self->{pid}) }->{since} // '' }

# Is it the process that it was, and does it answer?
sub lives ($self) {
	my $ok = eval { $self->send('GET', '/api/auth/ok') } or return 0;
	return $ok->status == 200 && $self->{since} ne '' && $self->_since eq $self->{since};
}

# Nanoseconds that its threads have run.
sub cpu ($self) {
	my $sum = 0;
	for my $file (glob "/proc/$self->{pid}/task/*/schedstat") {
		open my $f, '<', $file or next;
		$sum += (split ' ', <$f>)[0];
	}
	return $sum;
}

# Kilobytes in memory.
sub memory ($self) {
	open my $f, '<', "/proc/$self->{pid}/status" or die $!;
	return (map { /\AVmRSS:\s+(\d+)/ ? $1 : () } <$f>)[0];
}

1;
