package Http2;

# An HTTP/2 connection, frame by frame, for what other clients do not do: streams
# that are not read, bodies that never end, any :authority beside any Host. It knows
# the status of an answer, and how many bytes of the body have come.

use v5.36;
use IO::Select;
use IO::Socket::SSL;
use Time::HiRes qw(time);

use constant { DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6,
    GOAWAY => 7, WINDOW_UPDATE => 8, END_STREAM => 1, ACK => 1, END_HEADERS => 4 };
# Statuses that nginx sends as one byte (RFC 7541, appendix A).
my %INDEXED = (0x88 => 200, 0x89 => 204, 0x8a => 206, 0x8b => 304, 0x8c => 400, 0x8d => 404,
    0x8e => 500);

# url, ca, from: as for Client; window: bytes that a stream may send at first.
sub new ($class, %o) {
	my ($host, $port) = $o{url} =~ m{\Ahttps://([^:/]+):(\d+)\z}
	    or die "not a base URL: $o{url}";
	my $socket = IO::Socket::SSL->new(
		PeerHost => $host, PeerPort => $port, SSL_ca_file => $o{ca},
		SSL_hostname => $host, SSL_alpn_protocols => ['h2'], Timeout => 20,
		(defined $o{from} ? (LocalHost => $o{from}) : ()),
	) or die "connect $host:$port: $! $IO::Socket::SSL::SSL_ERROR";
	($socket->alpn_selected // '') eq 'h2' or die "no HTTP/2 at $o{url}";
	my $self = bless { socket => $socket, authority => "$host:$port", next => 1, in => '',
	    streams => {} }, $class;
	$self->_write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(SETTINGS, 0, 0,
	    defined $o{window} ? pack 'nN', 4, $o{window} : ''));
	return $self;
}

sub frame ($type, $flags, $stream, $payload) {
	return
	    substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

sub _write ($self, $bytes) {
	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes) {
		my $n = $self->{socket}->syswrite($bytes) // die "cannot write: $!\n";
		substr $bytes, 0, $n, '';
	}
}

# A string or a number of HPACK, neither indexed nor compressed.
sub _string ($text) {
	my $n = length $text;
	my $size = $n < 127 ? chr $n : chr(127) . do {
		my ($left, $out) = ($n - 127, '');
		while ($left > 127) { $out .= chr($left & 127 | 128); $left >>= 7 }
		$out . chr $left;
	};
	return $size . $text;
}

# Sends the head of a request with these fields. Returns its stream. open => 1: a body
# follows.
sub head ($self, $fields, %o) {
	my $id = $self->{next};
	$self->{next} += 2;
	my $block = join '', map { "\0" . _string($_->[0]) . _string($_->[1]) } @$fields;
	$self->{streams}{$id} = { bytes => 0 };
	$self->_write(frame(HEADERS, END_HEADERS | ($o{open} ? 0 : END_STREAM), $id, $block));
	return $id;
}

# The same for a plain request.
sub ask ($self, $method, $target, $headers = [], %o) {
	return $self->head([[':method' => $method], [':scheme' => 'https'],
	    [':authority' => $self->{authority}], [':path' => $target],
	    map { [lc $_->[0], $_->[1]] } @$headers], %o);
}

sub body ($self, $id, $bytes, %o) {
	$self->_write(frame(DATA, $o{more} ? 0 : END_STREAM, $id, $bytes));
}

sub window_update ($self, $id, $n) { $self->_write(frame(WINDOW_UPDATE, 0, $id, pack 'N', $n)) }

# Waits until the server has read everything sent so far.
sub ping ($self, $seconds = 20) {
	my $until = time + $seconds;
	my $have = $self->{pinged} // 0;
	$self->_write(frame(PING, 0, 0, 'pingpong'));
	$self->take(0.1) while ($self->{pinged} // 0) == $have && !$self->{closed} && time < $until;
	return ($self->{pinged} // 0) > $have;
}

# Reads the frames that are there, or that come within `seconds`.
sub take ($self, $seconds = 0) {
	my $socket = $self->{socket};
	my $select = IO::Select->new($socket);
	while ($socket->pending || $select->can_read($seconds)) {
		my $n = $socket->sysread($self->{in}, 65536, length $self->{in});
		if (!$n) { $self->{closed} = 1; last }
		$self->_frames;
		$seconds = 0;
	}
	return $self;
}

sub _frames ($self) {
	while (length $self->{in} >= 9) {
		my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $self->{in};
		my $length = $high << 16 | $low;
		last if length $self->{in} < 9 + $length;
		my $payload = substr $self->{in}, 9, $length;
		substr $self->{in}, 0, 9 + $length, '';
		my $stream = $self->{streams}{$id};
		if ($type == HEADERS) { $stream->{status} //= _status($payload) }
		if ($type == DATA) { $stream->{bytes} += $length }
		if ($type == RST_STREAM) { $stream->{reset} = unpack 'N', $payload }
		if ($type == GOAWAY) { $self->{goaway} = unpack 'x4N', $payload }
		if ($type == SETTINGS && !($flags & ACK)) {
			my %value = unpack '(nN)*', $payload;
			$self->{concurrent} = $value{3};
			$self->_write(frame(SETTINGS, ACK, 0, ''));
		}
		if ($type == PING && $flags & ACK) { $self->{pinged}++ }
		if ($type == PING && !($flags & ACK)) {
			$self->_write(frame(PING, ACK, 0, $payload))
		}
		$stream->{end} = 1 if $stream && $type <= HEADERS && $flags & END_STREAM;
	}
}

sub _status ($block) {
	$block =~ s/\A[\x20-\x3f]//;    # the size of a table
	return $INDEXED{ ord $block }
	    // ($block =~ /\A[\x48\x08]\x03(\d{3})/ ? $1 : die 'no status');
}

# The limit of streams that the server has announced.
sub concurrent ($self) { $self->take(1) until defined $self->{concurrent}; $self->{concurrent} }

# The status of a stream: "reset", "closed" with the connection, undef before.
sub status ($self, $id) {
	my $stream = $self->{streams}{$id};
	return $stream->{status} if defined $stream->{status};
	return defined $stream->{reset} ? 'reset' : $self->{closed} ? 'closed' : undef;
}

# Waits for the status of a stream.
sub answer ($self, $id, $seconds = 20) {
	my $until = time + $seconds;
	$self->take(0.1) while !defined $self->status($id) && time < $until;
	return $self->status($id) // 'no answer';
}

sub close ($self) { $self->{socket}->close }

1;
