package Client;

# An HTTP/1.1 client over TLS that sends what it is told, byte for byte, on one
# connection that is kept. It returns each response as an Answer and judges none.

use v5.36;
use Answer;
use IO::Socket::SSL;
use Socket qw(SOL_SOCKET SO_RCVTIMEO);

# nginx ends a connection after 1,000 requests or 75 idle seconds.
use constant { REQUESTS => 900, IDLE => 30 };

# url: https://host:port; ca: file of the certificate authority; timeout: seconds
# until a missing answer is an error; from: the local address.
sub new ($class, %o) {
	my ($host, $port) = $o{url} =~ m{\Ahttps://([^:/]+)(?::(\d+))?/?\z}
	    or die "not a base URL: $o{url}";
	return bless {
		host => $host, port => $port // 443, ca => $o{ca}, from => $o{from},
		timeout => $o{timeout} // 20, on_answer => $o{on_answer}, buf => '',
	}, $class;
}

sub authority ($self) { "$self->{host}:$self->{port}" }

sub _connect ($self) {
	my $old = $self->{socket};
	return if $old && $self->{sent} < REQUESTS && time - $self->{at} < IDLE;
	$self->close;
	my $socket = IO::Socket::SSL->new(
		PeerHost => $self->{host}, PeerPort => $self->{port},
		(defined $self->{from} ? (LocalHost => $self->{from}) : ()),
		SSL_ca_file => $self->{ca}, SSL_hostname => $self->{host},
		Timeout => $self->{timeout},
	) or die "connect $self->{host}:$self->{port}: $! $IO::Socket::SSL::SSL_ERROR";
	$socket->setsockopt(SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', $self->{timeout}, 0);
	@$self{qw(socket sent buf)} = ($socket, 0, '');
}

sub close ($self) {
	my $socket = delete $self->{socket} or return;
	$self->{buf} = '';
	$socket->close;
}

# After a fork: drop the parent's connection without sending anything.
sub forget ($self) {
	my $socket = delete $self->{socket} or return;
	$socket->close(SSL_no_shutdown => 1);
}

sub _fill ($self) {
	my $n = $self->{socket}->sysread($self->{buf}, 65536, length $self->{buf});
	return $n if $n;
	die defined $n ? "connection closed\n" : "no answer: $!\n";
}

sub _read_head ($self) {
	$self->_fill until $self->{buf} =~ /\r\n\r\n/;
	$self->{buf} =~ s/\A(.*?)\r\n\r\n//s;
	my ($line, @head) = split /\r\n/, $1;
	my ($status) = $line =~ m{\AHTTP/1\.[01] (\d{3})(?: |\z)} or die "no HTTP: $line\n";
	return $status, map { [/\A([^:]+):\s*(.*?)\s*\z/s] } @head;
}

sub _read_answer ($self, $method, $target) {
	my ($status, @headers) = $self->_read_head;
	($status, @headers) = $self->_read_head while $status == 100;
	my $answer = Answer->new(method => $method, target => $target,
	    status => $status, headers => \@headers, body => '', via => 'https');
	my $close = ($answer->header('Connection') // '') =~ /\bclose\b/i;
	if ($method ne 'HEAD' && $status != 204 && $status != 304) {
		$answer->{body} = $self->_read_body($answer, $close);
	}
	$self->close if $close;
	return $answer;
}

sub _read_body ($self, $answer, $close) {
	my $length = $answer->header('Content-Length');
	if (defined $length) {
		$self->_fill while length $self->{buf} < $length;
		return substr $self->{buf}, 0, $length, '';
	}
	if (($answer->header('Transfer-Encoding') // '') eq 'chunked') {
		my $body = '';
		while (1) {
			$self->_fill until $self->{buf} =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n//;
			my $n = hex $1;
			$self->_fill while length $self->{buf} < $n + 2;
			$body .= substr $self->{buf}, 0, $n;
			substr $self->{buf}, 0, $n + 2, '';
			return $body if !$n;
		}
	}
	1 while eval { $self->_fill };
	return substr $self->{buf}, 0, length $self->{buf}, '';
}

sub _text ($self, $method, $target, $headers, $body) {
	my %has = map { lc $_->[0] => 1 } @$headers;
	my $text = "$method $target HTTP/1.1\r\n";
	$text .= 'Host: ' . $self->authority . "\r\n" if !$has{host};
	$text .= "$_->[0]: $_->[1]\r\n" for @$headers;
	$text .= 'Content-Length: ' . length($body) . "\r\n"
	    if defined $body && !$has{'content-length'} && !$has{'transfer-encoding'};
	return $text . "\r\n" . ($body // '');
}

sub _write ($self, $text) {
	local $SIG{PIPE} = 'IGNORE';
	my $at = 0;
	while ($at < length $text) {
		my $n = $self->{socket}->syswrite($text, 16384, $at) // last;
		$at += $n;
	}
}

# One request: method, raw target, [[name, value]...], body or undef.
sub send ($self, $method, $target, $headers = [], $body = undef) {
	return ($self->pipeline([$method, $target, $headers, $body]))[0];
}

# Many requests at once on one connection. Returns the answers in order. Requests
# after which the server closed the connection unread are sent again.
sub pipeline ($self, @requests) {
	my @answers;
	while (@answers < @requests) {
		my @left = @requests[@answers .. $#requests];
		$self->_connect;
		$self->{at} = time;
		$self->{sent} += @left;
		$self->_write(join '', map { $self->_text(@$_[0 .. 3]) } @left);
		for my $request (@left) {
			my $answer = eval { $self->_read_answer(@$request[0, 1]) };
			if (!$answer) {
				my $why = $@;
				$self->close;
				die "$request->[0] $request->[1]: $why";
			}
			push @answers, $answer;
			last if !$self->{socket};
		}
	}
	if (length $self->{buf}) {
		$self->close;
		die "$requests[0][0] $requests[0][1]: bytes after the answer: $self->{buf}";
	}
	$self->{on_answer}->($_) for @answers;
	return @answers;
}

# Sends bytes as they are. Returns undef if the connection was closed unanswered.
sub raw ($self, $bytes, $method = 'GET') {
	$self->close;
	$self->_connect;
	$self->_write($bytes);
	my $answer = eval { $self->_read_answer($method, '(raw)') };
	$self->close;
	$self->{on_answer}->($answer) if $answer;
	return $answer;
}

1;
