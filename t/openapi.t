# Goal: openapi.yaml is a valid OpenAPI description, and names the same routes and
# statuses as the table in the program.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::More;
use Stack;

my $stack = Stack->new(inside => 1);
my $root = Stack->root;
my $tools = $ENV{STAGING_TOOLS} // "$root/t/tools";

# Read line by line, so that no YAML parser is needed: the file is indented by two
# spaces a level, and each path is on one line.
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
		# nginx alone answers with this status, so the program's table lacks it.
		elsif (m{\A {10}\$ref: '#/components/responses/Nginx} && $method && $responses) {
			$listed{"$method $path"}{$status} = 0
		}
	}
}
my %table = map { ("$_->{method} $_->{pattern}" => { map { $_ => 1 } $_->{statuses}->@* }) }
    $stack->routes->rows;
is_deeply([sort keys %listed], [sort keys %table], 'openapi.yaml has the routes of the table');
for my $route (sort keys %table) {
	is_deeply(
		[grep { $listed{$route}{$_} } sort keys $listed{$route}->%*],
		[sort keys $table{$route}->%*], "$route: openapi.yaml has the statuses of the table"
	);
	is_deeply(
		[grep { !$listed{$route}{$_} } sort keys $listed{$route}->%*],
		[grep { !$table{$route}{$_} } sort keys $listed{$route}->%*],
		"$route: the statuses of nginx are not in the table");
}

SKIP: {
	skip 'the linter is not installed: npm ci --ignore-scripts in t/tools', 4
	    if !-d "$tools/node_modules";
	my $out = qx{cd "$tools" && npm run -s lint 2>&1};
	is($?, 0, 'the linter finds nothing') or diag($out);
	my $document =
	    JSON::PP->new->utf8->decode(scalar qx{cd "$tools" && npm run -s bundle 2>/dev/null});
	like($document->{openapi}, qr/\A3\.1\.\d\z/, 'OpenAPI 3.1');
	my $text = JSON::PP->new->canonical->encode($document);
	my $code = join '|', 'token_\w+', keys %Answer::CODE;
	my %named = map { $_ => 1 } $text =~ /"($code)"/g;
	is_deeply([sort keys %named], [sort keys %Answer::CODE],
	    'openapi.yaml names every code of the contract');
	# The same routes and statuses, as the linter has read them.
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
		'the linter reads the same routes and statuses');
}

$stack->done;
