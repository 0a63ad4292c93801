# Goal: a token is accepted in one place and one form only: a single header
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

# The scheme in any case, with blanks around the whole value.
for my $scheme (qw(Bearer bearer BEARER bEaReR)) {
	answers(with("$scheme $token"), 200, "scheme $scheme");
}
answers(with(" \t Bearer $token"), 200, 'blanks before the scheme');
answers(with("Bearer $token \t "), 200, 'blanks after the token');
answers(with("Bearer $token\t"), 200, 'a tab after the token');

# No token at all, or another scheme.
refuses(with(undef), token_missing => 'no Authorization header');
refuses(with(''), token_missing => 'an empty header');
refuses(with(" \t "), token_missing => 'a header of blanks');
refuses(with($token), token_missing => 'the token without a scheme');
refuses(with("Basic $token"), token_missing => 'the scheme Basic with a token');
refuses(with("Basic YWxpY2U6c2VjcmV0"),
	token_missing => 'the scheme Basic with a user and a password');
refuses(with("Token $token"), token_missing => 'the scheme Token');
refuses(with("JWT $token"), token_missing => 'the scheme JWT');
refuses(with("Bearer$token"), token_missing => 'no space after the scheme');
refuses(with("Bear $token"), token_missing => 'the scheme cut short');
refuses(with("BearerX $token"), token_missing => 'a scheme that begins with Bearer');
refuses(with("Digest Bearer $token"), token_missing => 'Bearer inside another scheme');

# The scheme Bearer, but not in the one form.
refuses(with('Bearer'), token_invalid => 'nothing after the scheme');
refuses(with('Bearer '), token_invalid => 'a space after the scheme');
refuses(with("Bearer  $token"), token_invalid => 'two spaces after the scheme');
refuses(with("Bearer \t$token"), token_invalid => 'a space and a tab after the scheme');
refuses(with("Bearer\t$token"), token_invalid => 'a tab instead of the space');
refuses(with("Bearer:$token"), token_invalid => 'a colon after the scheme');
refuses(with("Bearer, $token"), token_invalid => 'a comma after the scheme');
refuses(with("Bearer $token $token"), token_invalid => 'two tokens');
refuses(with("Bearer $token, Bearer $token"), token_invalid => 'two credentials');
refuses(with("Bearer $token,"), token_invalid => 'a comma after the token');
refuses(with("Bearer \"$token\""), token_invalid => 'a token in quotes');
refuses(with("Bearer <$token>"), token_invalid => 'a token in angle brackets');
refuses(with("Bearer Bearer $token"), token_invalid => 'the scheme twice');
refuses(with("Bearer null"), token_invalid => 'the word null as a token');
refuses(with("Bearer undefined"), token_invalid => 'the word undefined as a token');
refuses(with("Bearer %20$token"), token_invalid => 'a percent-encoded space before the token');

# A token anywhere else does not count.
my %none = (Authorization => undef);
refuses($alice->get("/api/me?token=$token&access_token=$token", \%none),
	token_missing => 'a token in the query');
my $cookies = "token=$token; better-auth.session_token=$token";
refuses($alice->get('/api/me', { %none, Cookie => $cookies }),
    token_missing => 'a token in a cookie');
refuses($alice->get('/api/me', { %none, 'X-Authorization' => "Bearer $token" }),
    token_missing => 'a token in X-Authorization');
refuses($alice->get('/api/me', { %none, 'Proxy-Authorization' => "Bearer $token" }),
    token_missing => 'a token in Proxy-Authorization');
refuses($alice->get('/api/me', { %none, 'HTTP_AUTHORIZATION' => "Bearer $token" }),
    token_missing => 'a token in a header named like the FastCGI parameter');
refuses($alice->post('/tasks', { title => 'x', access_token => $token, token => $token }, \%none),
    token_missing => 'a token in a member of the body');
refuses($alice->request('POST', '/tasks',
	{ %none, 'Content-Type' => 'application/x-www-form-urlencoded' }, "access_token=$token"),
    token_missing => 'a token in a form');

# A right header counts, whatever the query and the cookies hold.
answers($alice->get('/api/me?token=x&access_token=y', { Cookie => 'token=z' }), 200,
    'a token in the query or in a cookie is ignored');

# Two headers: nginx itself answers 400, whichever of them is right.
my $client = $stack->client;
my @good = (Authorization => "Bearer $token");
my @bad = (Authorization => 'Bearer x.y.z');
refuses($client->send('GET', '/api/me', [\@good, \@bad]),
	bad_request => 'two headers, the first right');
refuses($client->send('GET', '/api/me', [\@bad, \@good]),
	bad_request => 'two headers, the second right');
refuses($client->send('GET', '/api/me', [\@good, \@good]),
	bad_request => 'two headers, both right');

# A header line longer than nginx accepts.
refuses(with('Bearer ' . 'x' x 9000), bad_request => 'a header line of 9,000 bytes');
refuses(with('Bearer ' . 'x' x 8000), token_invalid => 'a header line of 8,000 bytes');

# HEAD needs a token, as GET does.
refuses($alice->head('/api/me', \%none), token_missing => 'HEAD without a token');
answers($alice->head('/api/me'), 200, 'HEAD with a token');

$stack->done;
