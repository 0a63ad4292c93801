package User;

# A user with an id and a token, who sends requests.

use v5.36;
use JSON::PP ();

my $JSON = JSON::PP->new->utf8->canonical->allow_nonref;

# id, token, client
sub new ($class, %field) { bless {%field}, $class }

sub id ($self) { $self->{id} }
sub token ($self) { $self->{token} }
sub tasks ($self) { "/api/$self->{id}/tasks" }

# The same user with another client or another token.
sub with ($self, %field) { (ref $self)->new(%$self, %field) }

# A path under the user's own, or a whole target if it begins with /api/.
sub _target ($self, $path) {
	return $path =~ m{\A/api/} ? $path : "/api/$self->{id}$path";
}

# headers: a hash; undef omits a default header
# body: bytes, or a reference that becomes JSON
sub _request ($self, $method, $path, $headers = {}, $body = undef) {
	my %h = (Authorization => "Bearer $self->{token}");
	$h{'Content-Type'} = 'application/json' if defined $body;
	%h = (%h, %$headers);
	$body = $JSON->encode($body) if ref $body;
	return [$method, $self->_target($path),
	    [map { [$_, $h{$_}] } grep { defined $h{$_} } sort keys %h], $body];
}

sub request ($self, $method, $path, $headers = {}, $body = undef, %o) {
	return $self->{client}->send(
	    $self->_request($method, $path, $headers, $body)->@*, %o);
}

# Many at once on one connection: [method, path, headers, body]...
sub pipeline ($self, @requests) {
	return $self->{client}->pipeline(map { $self->_request(@$_) } @requests);
}

sub get ($self, $path, $headers = {}) { $self->request('GET', $path, $headers) }
sub head ($self, $path, $headers = {}) { $self->request('HEAD', $path, $headers) }
sub options ($self, $path, $headers = {}) { $self->request('OPTIONS', $path, $headers) }
sub delete ($self, $path, $headers = {}) { $self->request('DELETE', $path, $headers) }
sub post ($self, $path, $body, $headers = {}) { $self->request('POST', $path, $headers, $body) }
sub put ($self, $path, $body, $headers = {}) { $self->request('PUT', $path, $headers, $body) }
sub patch ($self, $path, $body, $headers = {}) { $self->request('PATCH', $path, $headers, $body) }

# Creates a task. Returns the task as a hash, with its ETag in `etag`.
sub task ($self, $title, %more) {
	my $answer = $self->post('/tasks', { title => $title, %more });
	die $answer->dump if $answer->status != 201;
	return { $answer->json->%*, etag => $answer->header('ETag') };
}

1;
