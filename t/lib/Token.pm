package Token;

# Mints tokens of every kind: right ones, and wrong ones byte by byte.
# A claim is given as JSON text, so that a test can write 1.5e9, "1" or null.

use v5.36;
use Digest::SHA qw(hmac_sha256);
use Exporter qw(import);
use MIME::Base64 ();

our @EXPORT_OK = qw(b64u unb64u json_string sign claims payload);
our $HEADER = '{"alg":"HS256","typ":"JWT"}';

sub b64u ($bytes) { MIME::Base64::encode_base64url($bytes) }
sub unb64u ($text) { MIME::Base64::decode_base64url($text) }

# Two finished segments and the signature over just these bytes.
sub sign ($header, $payload, $key) {
	my $input = "$header.$payload";
	return "$input." . b64u(hmac_sha256($input, $key));
}

# Bytes -> a JSON string that holds them; what is there is not judged.
sub json_string ($bytes) {
	return '"' . $bytes =~ s/([\x00-\x1f"\\])/sprintf '\u%04x', ord $1/gre . '"';
}

# All eight claims of user `id`, then those overridden; undef leaves one out.
# Returns a list of [name, JSON text], in order.
sub claims ($id, $issuer, $audience, %override) {
	my $now = time;
	my @claims = (
		[iss => json_string($issuer)],
		[sub => json_string($id)],
		[aud => json_string($audience)],
		[exp => $now + 3600],
		[iat => $now],
		[jti => json_string(sprintf '%08x-%s', rand 2**32, $id)],
		[user_id => json_string($id)],
		[user_email => json_string("$id\@example.com")],
	);
	my %known = map { $_->[0] => $_ } @claims;
	for my $name (sort keys %override) {
		if ($known{$name}) { $known{$name}[1] = $override{$name} }
		else { push @claims, [$name, $override{$name}] }
	}
	return grep { defined $_->[1] } @claims;
}

sub payload (@claims) {
	return '{' . join(',', map { json_string($_->[0]) . ":$_->[1]" } @claims) . '}';
}

1;
