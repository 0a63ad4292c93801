# Goal: a token counts in one place and one form only: a single header
# "Authorization: Bearer <token>".

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my $alice = $stack->user;
my $token = $alice->token;

sub with ($value) { $alice->get('/api/me', { Authorization => $value }) }

# The scheme in any case, blanks around the whole value.
for my $scheme (qw(Bearer bearer BEARER bEaReR)) {
	answers(with("$scheme $token"), 200, "scheme $scheme");
}
answers(with(" \t Bearer $token"), 200, 'blanks before');
answers(with("Bearer $token \t "), 200, 'blanks after');
answers(with("Bearer $token\t"), 200, 'a tab after');

# No token at all, or another scheme.
refuses(with(undef), token_missing => 'no header');
refuses(with(''), token_missing => 'an empty header');
refuses(with(" \t "), token_missing => 'a header of blanks');
refuses(with($token), token_missing => 'the token without a scheme');
refuses(with("Basic $token"), token_missing => 'Basic');
refuses(with("Basic YWxpY2U6c2VjcmV0"), token_missing => 'Basic, as Basic is');
refuses(with("Token $token"), token_missing => 'Token');
refuses(with("JWT $token"), token_missing => 'JWT');
refuses(with("Bearer$token"), token_missing => 'no space after the scheme');
refuses(with("Bear $token"), token_missing => 'half a scheme');
refuses(with("BearerX $token"), token_missing => 'a scheme that begins like it');
refuses(with("Digest Bearer $token"), token_missing => 'Bearer in another scheme');

# Bearer, but not in the one form.
refuses(with('Bearer'), token_invalid => 'nothing after the scheme');
refuses(with('Bearer '), token_invalid => 'a space after the scheme');
refuses(with("Bearer  $token"), token_invalid => 'two spaces');
refuses(with("Bearer \t$token"), token_invalid => 'a space and a tab');
refuses(with("Bearer\t$token"), token_invalid => 'a tab for the space');
refuses(with("Bearer:$token"), token_invalid => 'a colon after the scheme');
refuses(with("Bearer, $token"), token_invalid => 'a comma after the scheme');
refuses(with("Bearer $token $token"), token_invalid => 'two tokens');
refuses(with("Bearer $token, Bearer $token"), token_invalid => 'two credentials');
refuses(with("Bearer $token,"), token_invalid => 'a comma after');
refuses(with("Bearer \"$token\""), token_invalid => 'in quotes');
refuses(with("Bearer <$token>"), token_invalid => 'in angles');
refuses(with("Bearer Bearer $token"), token_invalid => 'the scheme twice');
refuses(with("Bearer null"), token_invalid => 'the word null');
refuses(with("Bearer undefined"), token_invalid => 'the word undefined');
refuses(with("Bearer %20$token"), token_invalid => 'percent-encoding');

# Nowhere else.
my %none = (Authorization => undef);
refuses($alice->get("/api/me?token=$token&access_token=$token", \%none),
	token_missing => 'a query parameter');
refuses(
	$alice->get(
		'/api/me', { %none, Cookie => "token=$token; better-auth.session_token=$token" }
	),
	token_missing => 'a cookie');
refuses($alice->get('/api/me', { %none, 'X-Authorization' => "Bearer $token" }),
    token_missing => 'X-Authorization');
refuses($alice->get('/api/me', { %none, 'Proxy-Authorization' => "Bearer $token" }),
    token_missing => 'Proxy-Authorization');
refuses($alice->get('/api/me', { %none, 'HTTP_AUTHORIZATION' => "Bearer $token" }),
    token_missing => 'a header named as its parameter');
refuses($alice->post('/tasks', { title => 'x', access_token => $token, token => $token }, \%none),
    token_missing => 'a member of the body');
refuses($alice->request('POST', '/tasks',
	{ %none, 'Content-Type' => 'application/x-www-form-urlencoded' }, "access_token=$token"),
    token_missing => 'a form');

# A right header is not spoilt by what is ignored.
answers($alice->get('/api/me?token=x&access_token=y', { Cookie => 'token=z' }), 200,
    'query and cookie are ignored');

# Two headers are nginx's own 400, whichever is right.
my $client = $stack->client;
my @good = (Authorization => "Bearer $token");
my @bad = (Authorization => 'Bearer x.y.z');
refuses($client->send('GET', '/api/me', [\@good, \@bad]),
	bad_request => 'two headers, the first right');
refuses($client->send('GET', '/api/me', [\@bad, \@good]),
	bad_request => 'two headers, the second right');
refuses($client->send('GET', '/api/me', [\@good, \@good]), bad_request => 'two headers, equal');

# A header line longer than nginx takes.
refuses(with('Bearer ' . 'x' x 9000), bad_request => 'a header line of 9,000 bytes');
refuses(with('Bearer ' . 'x' x 8000), token_invalid => 'one of 8,000 bytes');

# HEAD and every other method ask for it alike.
refuses($alice->head('/api/me', \%none), token_missing => 'HEAD without');
answers($alice->head('/api/me'), 200, 'HEAD with');

$stack->done;
