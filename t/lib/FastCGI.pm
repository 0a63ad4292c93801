package FastCGI;

# A FastCGI client on the socket of the pool, for requests that nginx would not pass
# on: repeated or missing parameters, bodies of the wrong length, NUL bytes.

use v5.36;
use Answer;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_RCVTIMEO SO_SNDTIMEO);

# Record types.
use constant { FCGI_BEGIN => 1, FCGI_END => 3, FCGI_PARAMS => 4, FCGI_STDIN => 5,
	FCGI_STDOUT => 6 };

sub new ($class, %o) {
	return bless { timeout => 20, %o }, $class;
}

sub close ($self) { }
sub forget ($self) { }

sub _record ($type, $data) {
	return pack('CCnnCC', 1, $type, 1, length $data, 0, 0) . $data;
}

# A stream: its bytes in records, then the empty record that ends it.
sub _stream ($type, $data) {
	my $out = '';
	$out .= _record($type, substr $data, 0, 32768, '') while length $data;
	return $out . _record($type, '');
}

sub _pair ($name, $value) {
	return join '', (map { length $_ < 128 ? pack 'C', length
	    : pack 'N', length($_) | 0x80000000 } $name, $value), $name, $value;
}

sub request_id { sprintf '%08x' x 4, map { int rand 2**32 } 1 .. 4 }

# The parameters that nginx passes on.
sub _params ($method, $target, $headers, $body) {
	my %h = map { lc $_->[0] => $_->[1] } @$headers;
	return (
		[REQUEST_METHOD => $method],
		[REQUEST_URI => $target],
		[CONTENT_TYPE => $h{'content-type'} // ''],
		[CONTENT_LENGTH => $h{'content-length'}
		    // (defined $body ? length $body : '')],
		[REQUEST_ID => request_id()],
		(map { [uc("HTTP_$_") =~ tr/-/_/r, $h{$_}] } grep { defined $h{$_} }
		    qw(authorization if-match if-none-match idempotency-key)),
	);
}

# As Client::send(), with options: params => [[name, value]...] are appended, those
# in first => [...] come before, without => [names] are omitted; cut => 1: the body
# breaks off; maybe => 1: undef if there is no answer.
sub send ($self, $method, $target, $headers = [], $body = undef, %o) {
	my %without = map { $_ => 1 } ($o{without} // [])->@*;
	my @params = (($o{first} // [])->@*,
	    (grep { !$without{ $_->[0] } } _params($method, $target, $headers, $body)),
	    ($o{params} // [])->@*);
	my $input = _record(FCGI_BEGIN, pack 'nCx5', 1, 0)
	    . _stream(FCGI_PARAMS, join '', map { _pair(@$_) } @params);
	my $text = $body // '';
	$input .= $o{cut} ? (length $text ? _record(FCGI_STDIN, $text) : '')
	    : _stream(FCGI_STDIN, $text);

	# A path, or host:port.
	my $socket =
	    ($self->{path} =~ m{\A/}
		? IO::Socket::UNIX->new(Peer => $self->{path})
		: IO::Socket::INET->new($self->{path}))
	    or die "connect $self->{path}: $!\n";
	$socket->setsockopt(SOL_SOCKET, $_, pack 'l!l!', $self->{timeout}, 0)
	    for SO_RCVTIMEO, SO_SNDTIMEO;
	local $SIG{PIPE} = 'IGNORE';
	for (my $at = 0; $at < length $input;) {
		$at += $socket->syswrite($input, 65536, $at) // last;
	}
	$socket->shutdown(1) if $o{cut};

	my ($out, $done) = $self->_read($socket);
	return undef if !length $out && !$done && $o{maybe};
	die "$method $target: no whole answer from $self->{path}: $!\n" if !$done;
	my $answer = _parse($method, $target, $out);
	$self->{on_answer}->($answer) if $self->{on_answer};
	return $answer;
}

# Calls record->($type, $data) for each record, until it returns a true value. False if the
# connection ends before.
sub read_records ($socket, $record) {
	my $in = '';
	while (1) {
		while (length $in >= 8) {
			my (undef, $type, undef, $length, $pad) = unpack 'CCnnC', $in;
			last if length $in < 8 + $length + $pad;
			my $data = substr $in, 8, $length;
			substr $in, 0, 8 + $length + $pad, '';
			return 1 if $record->($type, $data);
		}
		$socket->sysread($in, 65536, length $in) or return 0;
	}
}

sub _read ($self, $socket) {
	my $out = '';
	my $whole = read_records($socket, sub ($type, $data) {
		$out .= $data if $type == FCGI_STDOUT;
		return $type == FCGI_END;
	});
	return $out, $whole;
}

sub _parse ($method, $target, $out) {
	my ($head, $body) = $out =~ /\A(.*?)\r?\n\r?\n(.*)\z/s or die "no CGI head: $out\n";
	my @headers = map { [/\A([^:]+):\s*(.*?)\s*\z/s] } split /\r?\n/, $head;
	my ($status) = map { $_->[1] =~ /\A(\d+)/ } grep { $_->[0] =~ /\Astatus\z/i } @headers;
	return Answer->new(method => $method, target => $target,
	    status => $status // 200, headers => \@headers, body => $body, via => 'fastcgi');
}

1;
