# Goal: openapi.yaml is a valid description, and names the same routes and
# statuses as the program's own table.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::More;
use Stack;

my $stack = Stack->new(inside => 1);
my $root = Stack->root;
my $tools = $ENV{STAGING_TOOLS} // "$root/t/tools";

# Without the linter's packages the rest is read line by line: the file keeps to
# two spaces a level, and its paths to one line each.
my %listed;
{
	open my $f, '<', "$root/openapi.yaml" or die $!;
	my ($in, $path, $method, $responses, $status);
	while (<$f>) {
		if (/\A(\S[^:]*):/) { $in = $1 eq 'paths'; next }
		next if !$in;
		if (m{\A  '?(/[^:']*)'?:\s*\z}) { ($path, $method, $responses) = $1 }
		elsif (/\A    (get|put|post|patch|delete|head|options|trace):\s*\z/) {
			($method, $responses) = uc $1
		}
		elsif (/\A    \w/) { ($method, $responses) = () }
		elsif (/\A      (\w+):/) { $responses = $1 eq 'responses' }
		elsif (/\A        '(\d{3})':/ && $method && $responses) {
			$status = $1;
			$listed{"$method $path"}{$status} = 1
		}
		# What nginx alone answers is no answer of the program's.
		elsif (m{\A          \$ref: '#/components/responses/Nginx} && $method && $responses)
		{
			$listed{"$method $path"}{$status} = 0
		}
	}
}
my %table = map { ("$_->{method} $_->{pattern}" => { map { $_ => 1 } $_->{statuses}->@* }) }
    $stack->routes->rows;
is_deeply([sort keys %listed], [sort keys %table], 'the same routes as the table');
for my $route (sort keys %table) {
	is_deeply([grep { $listed{$route}{$_} } sort keys $listed{$route}->%*],
		[sort keys $table{$route}->%*], "$route: the same statuses");
	is_deeply([grep { !$listed{$route}{$_} } sort keys $listed{$route}->%*],
		[grep { !$table{$route}{$_} } sort keys $listed{$route}->%*],
		'and what nginx answers beside them');
}

SKIP: {
	skip 'the linter is not installed: npm ci --ignore-scripts in t/tools', 4
	    if !-d "$tools/node_modules";
	my $out = qx{cd "$tools" && npm run -s lint 2>&1};
	is($?, 0, 'the linter finds nothing') or diag($out);
	my $document =
	    JSON::PP->new->utf8->decode(scalar qx{cd "$tools" && npm run -s bundle 2>/dev/null});
	like($document->{openapi}, qr/\A3\.1\.\d\z/, 'OpenAPI 3.1');
	my @codes = sort { $a cmp $b } do {
		my %c;
		my $text = JSON::PP->new->canonical->encode($document);
		grep { !$c{$_}++ }
		    $text =~
		    /"(bad_request|token_\w+|forbidden|not_found|method_not_allowed|precondition_failed|content_too_large|unsupported_media_type|invalid|idempotency_key_reused|rate_limited|internal|bad_gateway|unavailable|gateway_timeout)"/g
	};
	is_deeply(\@codes, [sort keys %Answer::CODE], 'every code of the contract is named');
	# A third reading of the same: the linter's own.
	my %read;
	for my $path (keys $document->{paths}->%*) {
		for my $method (grep { /\A(?:get|put|post|patch|delete)\z/ }
			keys $document->{paths}{$path}->%*)
		{
			$read{ uc($method) . " $path" } = join ' ',
			    sort keys $document->{paths}{$path}{$method}{responses}->%*;
		}
	}
	is_deeply(\%read, { map { $_ => join ' ', sort keys $listed{$_}->%* } keys %listed },
		'read by the linter it is the same');
}

$stack->done;
