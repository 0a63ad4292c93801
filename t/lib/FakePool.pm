package FakePool;

# A stand-in for the pool behind nginx. It shows what nginx passes on, and does what
# no worker should do. The query of a request says what:
#
#	die=N    closes without an answer, the first N times that this request comes
#	hang     never answers
#	half     a status and a length, then the first half of the body
#	junk     bytes that are not FastCGI
#	huge=N   a header of N bytes
#	else     200, and the parameters as JSON

use v5.36;
use FastCGI ();
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();

my $JSON = JSON::PP->new->canonical->ascii;

# Listens on `path`, and writes each request to `path`.seen
sub new ($class, $path) {
	unlink $path;
	my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 64) or die "$path: $!";
	chmod 0666, $path or die $!;
	unlink "$path.seen";
	my $pid = fork // die $!;
	if (!$pid) {
		eval { _serve($listen, "$path.seen") };
		POSIX::_exit(0);
	}
	return bless { path => $path, pid => $pid, owner => $$ }, $class;
}

sub _record ($type, $data) { pack('CCnnCC', 1, $type, 1, length $data, 0, 0) . $data }

sub _serve ($listen, $seen) {
	$SIG{PIPE} = 'IGNORE';
	my (%times, @hanging);
	while (my $socket = $listen->accept) {
		my ($params, $body) = _request($socket) or next;
		my ($query) = ($params->{REQUEST_URI} // '') =~ /\?(.*)/;
		$query //= '';
		open my $log, '>>', $seen or die $!;
		print {$log} $JSON->encode({ params => $params, body => $body }), "\n";
		close $log;
		next if $query =~ /\bdie=(\d+)/ && ++$times{ $params->{REQUEST_ID} } <= $1;
		push(@hanging, $socket), next if $query =~ /\bhang\b/;
		my $json = $JSON->encode($params);
		my $huge = $query =~ /\bhuge=(\d+)/ ? 'X-Huge: ' . 'x' x $1 . "\r\n" : '';
		my $answer = join "\r\n", 'Status: 200 OK', 'Content-Type: application/json',
		    'Content-Length: ' . length $json, 'Cache-Control: no-store',
		    'X-Content-Type-Options: nosniff',
		    "${huge}X-Request-Id: $params->{REQUEST_ID}", '', $json;
		if ($query =~ /\bhalf\b/) {
			$socket->syswrite(_record(6, substr $answer, 0, -20));
		} elsif ($query =~ /\bjunk\b/) {
			$socket->syswrite("HTTP/1.1 200 OK\r\n\r\njunk");
		} else {
			my $out = '';
			$out .= _record(6, substr $answer, 0, 32768, '') while length $answer;
			$socket->syswrite($out . _record(6, '') . _record(3, "\0" x 8));
		}
	}
}

# The parameters and the body of one request.
sub _request ($socket) {
	my ($stream, $body) = ('', '');
	my $whole = FastCGI::read_records($socket, sub ($type, $data) {
		$stream .= $data if $type == 4;
		$body .= $data if $type == 5;
		return $type == 5 && !length $data;
	});
	return $whole ? (_params($stream), $body) : ();
}

sub _params ($stream) {
	my %params;
	while (length $stream) {
		my @length = map {
			my $n = ord substr $stream, 0, 1;
			$n < 128
			    ? ord substr $stream, 0, 1, ''
			    : unpack('N', substr $stream, 0, 4, '') & 0x7fffffff;
		} 1 .. 2;
		my $name = substr $stream, 0, $length[0], '';
		$params{$name} = substr $stream, 0, $length[1], '';
	}
	return \%params;
}

# The requests since the last call: { params, body } each.
sub seen ($self) {
	open my $f, '<', "$self->{path}.seen" or return;
	seek $f, $self->{from} // 0, 0;
	my @seen = map { $JSON->decode($_) } <$f>;
	$self->{from} = tell $f;
	return @seen;
}

sub DESTROY ($self) {
	local ($?, $@, $!);
	return if $$ != $self->{owner};
	kill KILL => $self->{pid};
	waitpid $self->{pid}, 0;
	unlink $self->{path}, "$self->{path}.seen";
}

1;
