package Answer;

# One response, and the rules for every response.

use v5.36;
use JSON::PP ();

our %PHRASE = (
	400 => 'Bad Request',
	401 => 'Unauthorized',
	403 => 'Forbidden',
	404 => 'Not Found',
	405 => 'Method Not Allowed',
	412 => 'Precondition Failed',
	413 => 'Content Too Large',
	415 => 'Unsupported Media Type',
	422 => 'Unprocessable Content',
	429 => 'Too Many Requests',
	500 => 'Internal Server Error',
	502 => 'Bad Gateway',
	503 => 'Service Unavailable',
	504 => 'Gateway Timeout',
);

# code => [status, beginning of detail]
our %CODE = (
	bad_request => [400, ''],
	token_missing => [401, 'Not authenticated: missing authentication token'],
	token_invalid => [401, 'Invalid token'],
	token_expired => [401, 'Token has expired'],
	token_issuer => [401, 'Invalid token issuer'],
	token_audience => [401, 'Invalid token audience'],
	forbidden => [403, 'Access forbidden: not authorized, '
	    . 'user_id in URL does not match token'],
	not_found => [404, ''],
	method_not_allowed => [405, ''],
	precondition_failed => [412, ''],
	content_too_large => [413, ''],
	unsupported_media_type => [415, ''],
	invalid => [422, ''],
	idempotency_key_reused => [422, ''],
	rate_limited => [429, ''],
	internal => [500, ''],
	bad_gateway => [502, ''],
	unavailable => [503, ''],
	gateway_timeout => [504, ''],
);

my $JSON = JSON::PP->new->utf8;
my %ONCE = map { $_ => 1 } qw(content-type content-length cache-control
    x-content-type-options x-request-id www-authenticate etag allow link
    location retry-after idempotency-replayed vary status);

# method, target, status, headers ([name, value] in order), body, via
sub new ($class, %field) { bless {%field}, $class }

sub status ($self) { $self->{status} }
sub body ($self) { $self->{body} }
sub id ($self) { $self->header('X-Request-Id') }

sub all ($self, $name) {
	return map { $_->[1] } grep { lc $_->[0] eq lc $name } $self->{headers}->@*;
}

sub header ($self, $name) { ($self->all($name))[0] }

sub json ($self) {
	return $self->{json} //= eval { $JSON->decode($self->{body}) }
	    // die "no JSON in $self->{status}: $self->{body}";
}

sub dump ($self) {
	return join "\n", "$self->{method} $self->{target} ($self->{via})",
	    $self->{status}, (map { "$_->[0]: $_->[1]" } $self->{headers}->@*), '',
	    length $self->{body} > 2000
	    ? substr($self->{body}, 0, 2000) . '...' : $self->{body};
}

# The status member as it is written in the text.
sub _raw_status ($self) { $self->{body} =~ /"status":\s*(\d+)[,}\s]/ ? $1 : -1 }

sub _problem_faults ($self) {
	my $s = $self->{status};
	my @fault;
	push @fault, 'an error is application/problem+json'
	    if ($self->header('Content-Type') // '') ne 'application/problem+json';
	return @fault if $self->{method} eq 'HEAD';

	my $p = eval { $JSON->decode($self->{body}) };
	return @fault, 'an error has a JSON object' if ref $p ne 'HASH';
	my %member = map { $_ => 1 } keys %$p;
	my @want = qw(type title status code detail request_id);
	push @want, 'errors' if ($p->{code} // '') eq 'invalid';
	for (@want) { delete $member{$_} or push @fault, "no member $_" }
	push @fault, "an unknown member $_" for sort keys %member;
	return @fault if @fault;

	push @fault, 'type is about:blank' if $p->{type} ne 'about:blank';
	push @fault, "title of $s" if $p->{title} ne ($PHRASE{$s} // '');
	push @fault, 'status is the number sent' if $self->_raw_status != $s;
	push @fault, "code $p->{code} belongs to $s"
	    if ($CODE{ $p->{code} } // [0])->[0] != $s;
	push @fault, 'detail is a text' if ref $p->{detail} || !length $p->{detail};
	push @fault, 'detail of ' . $p->{code}
	    if index($p->{detail}, ($CODE{ $p->{code} } // [0, ''])->[1])
	    && $self->{target} ne '/readyz';
	push @fault, 'request_id is X-Request-Id'
	    if $p->{request_id} ne ($self->id // '');
	push @fault, 'errors names members'
	    if exists $p->{errors}
	    && (   ref $p->{errors} ne 'ARRAY'
		|| !$p->{errors}->@*
		|| grep { join(',', sort keys %$_) ne 'detail,member' || !length $_->{detail} }
		$p->{errors}->@*);
	my $inside = qr{\b(?:SELECT|INSERT|UPDATE|mariadb|mysql|json-c|jansson)\b|\.[ch]:\d
	    |/(?:app|tmp|home|etc|var)/}x;
	push @fault, 'an error shows the inside' if $self->{body} =~ $inside;

	my $w = $self->header('WWW-Authenticate') // '';
	if ($s == 401) {
		my $invalid = qr/, error="invalid_token", error_description="[ -!#-\[\]-~]+"/;
		my $form = $p->{code} eq 'token_missing' ? qr/Bearer realm="todo"/
		    : qr/Bearer realm="todo"$invalid/;
		push @fault, "WWW-Authenticate of $p->{code}" if $w !~ /\A$form\z/;
	}
	return @fault;
}

# What is wrong with this response, as a list of texts.
sub faults ($self) {
	my $s = $self->{status};
	my %seen;
	my @fault = map { "two headers $_" } sort grep { $ONCE{$_} && $seen{$_} > 1 }
	    map { my $n = lc $_->[0]; $seen{$n}++ ? $n : () } $self->{headers}->@*;

	my $length = $self->header('Content-Length');
	my $bare = $s == 204 || $s == 304 || $self->{method} eq 'HEAD';
	if ($bare) {
		push @fault, "$s has a body" if length $self->{body};
		push @fault, "204 with a length" if $s == 204 && $length;
	} else {
		push @fault, 'no Content-Length' if !defined $length;
		push @fault, "Content-Length $length of " . length $self->{body}
		    if defined $length && $length ne length $self->{body};
	}
	push @fault, "a header $_" for grep { defined $self->header($_) }
	    qw(Transfer-Encoding Content-Encoding Set-Cookie X-Powered-By);
	push @fault, 'Cache-Control: no-store'
	    if ($self->header('Cache-Control') // '') ne 'no-store';
	push @fault, 'X-Content-Type-Options: nosniff'
	    if ($self->header('X-Content-Type-Options') // '') ne 'nosniff';
	push @fault, 'X-Request-Id' if ($self->id // '') !~ /\A[0-9a-f]{32}\z/;
	push @fault, 'a WWW-Authenticate without 401'
	    if $s != 401 && defined $self->header('WWW-Authenticate');
	push @fault, '401 without WWW-Authenticate'
	    if $s == 401 && !defined $self->header('WWW-Authenticate');
	push @fault, '503 without Retry-After' if $s == 503
	    && ($self->header('Retry-After') // '') !~ /\A[1-9]\d*\z/;
	push @fault, '405 without Allow' if $s == 405
	    && $self->{method} !~ /\A(?:TRACE|CONNECT)\z/ && !defined $self->header('Allow');
	push @fault, "a weak or bare ETag"
	    if defined $self->header('ETag') && $self->header('ETag') !~ /\A"[!#-~]+"\z/;

	return @fault, $self->_problem_faults if $s >= 400;
	return @fault if $s == 204 || $s == 304;
	push @fault, 'a success is application/json'
	    if ($self->header('Content-Type') // '') ne 'application/json';
	push @fault, 'a success is JSON'
	    if !$bare && !defined eval { $JSON->decode($self->{body}) };
	return @fault;
}

1;
