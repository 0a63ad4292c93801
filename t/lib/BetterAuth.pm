package BetterAuth;

# Better Auth's endpoints, asked through nginx as a browser asks them.

use v5.36;
use Exporter qw(import);
use JSON::PP ();
use Test::More;

our @EXPORT = qw(session_cookie is_problem);

my $JSON = JSON::PP->new->utf8->canonical->allow_nonref;

sub new ($class, $stack) {
	my ($origin) = { $stack->settings }->{BETTER_AUTH_URL} =~ m{\A(https?://[^/]+)};
	return bless { stack => $stack, client => $stack->client, origin => $origin }, $class;
}

# Name, address and password of an account that no other script has.
sub account ($self, $name) {
	return (name => $name, email => lc $self->{stack}->tag . "-$name\@example.com",
	    password => 'correct horse battery staple');
}

# The answer of /api/auth<path>. cookie: NAME=VALUE, or undef; body: becomes
# JSON, or undef; headers: [name, value]...
sub ask ($self, $method, $path, $cookie = undef, $body = undef, @headers) {
	unshift @headers, ['Content-Type' => 'application/json'] if defined $body;
	unshift @headers, [Cookie => $cookie] if defined $cookie;
	unshift @headers, [Origin => $self->{origin}];
	my $text = defined $body ? $JSON->encode($body) : undef;
	return $self->{stack}->of_others(sub {
		$self->{client}->send($method, "/api/auth$path", \@headers, $text);
	});
}

# The session cookie that an answer sets, as NAME=VALUE; undef if it sets none.
sub session_cookie ($answer) {
	return (map { /\A([^;]+)/ } grep { /session_token=[^;]/ } $answer->all('Set-Cookie'))[0];
}

# A problem by the issuer, as JSON and without a cookie.
sub is_problem ($answer, $status, $code, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return fail("$name: no answer") if !$answer;
	my $body = eval { $JSON->decode($answer->body) } // {};
	my @got = ($answer->status, $body->{status}, $body->{code},
	    $answer->header('Content-Type'), $answer->all('Set-Cookie'));
	return is_deeply(\@got,
	    [$status, $status, $code, 'application/problem+json'], $name) || diag($answer->dump);
}

1;
