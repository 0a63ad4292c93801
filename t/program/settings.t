# Goal: a wrong setting stops the program at the start, with exit status 78 and one line
# that names the setting and shows no secret; a right setting is obeyed. The issuer
# agrees on the settings that both read.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IPC::Open2;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Facts;
use Files;
use Stack;
use Token qw(claims payload);

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $root = Stack->root;
my $secret = 's3cret-' . 'x' x 40;
my $url = 'https://todo.example';
my @clean = map { $_ => undef } qw(BETTER_AUTH_SECRET BETTER_AUTH_SECRET_FILE
    BETTER_AUTH_SECRETS BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE JWT_LEEWAY JWT_MAX_LIFETIME
    TODO_LOG);
my %right = (@clean, BETTER_AUTH_SECRET => $secret, BETTER_AUTH_URL => $url);

sub file ($name, $content) { spew($program->dir . "/$name", $content) }

sub lines ($text) { scalar(() = $text =~ /\n/g) }

# The issuer is asked about the same settings at the end.
my @shared;
sub share ($problem, $name, $means, %env) {
	my %bytes = map { $_ => encode_base64($env{$_}, '') } grep { defined $env{$_} } keys %env;
	push @shared, { problem => $problem, name => $name, means => $means, env => \%bytes };
}

sub right ($name, %env) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	share('', $name, undef, %right, %env);
	my ($exit, $out, $err) = $program->run({ %right, %env }, '-T');
	is($exit, 0, "right: $name") or diag($out, $err);
	is(lines("$out$err"), 1, "right: $name: one line") or diag($out, $err);
	unlike("$out$err", qr/xxxxx/, "right: $name: no secret is shown");
}

sub wrong ($setting, $name, %env) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($exit, $out, $err) = $program->run({ %right, %env }, '-T');
	share($err =~ s/\Atodo-fcgi: |\n\z//gr, $name, undef, %right, %env);
	is($exit, 78, "wrong: $name") or diag($out, $err);
	is(lines("$out$err"), 1, "wrong: $name: one line") or diag($out, $err);
	like("$out$err", qr/\b$setting\b/, "wrong: $name: the line names $setting");
	unlike("$out$err", qr/s3cret|xxxxx/, "wrong: $name: no secret is shown");
}

# The secret.
right('the required settings alone');
wrong('BETTER_AUTH_SECRET', 'no secret', BETTER_AUTH_SECRET => undef);
wrong('BETTER_AUTH_SECRET', 'an empty secret', BETTER_AUTH_SECRET => '');
wrong('BETTER_AUTH_SECRET', 'a secret of 31 bytes', BETTER_AUTH_SECRET => 'y' x 31);
right('a secret of 32 bytes', BETTER_AUTH_SECRET => 'y' x 32);
right('a secret of 16 characters of two bytes', BETTER_AUTH_SECRET => "\xc3\xa9" x 16);
wrong('BETTER_AUTH_SECRET', 'a secret of 15 characters of two bytes and one of one',
	BETTER_AUTH_SECRET => "\xc3\xa9" x 15 . 'y');
right('a blank inside the secret', BETTER_AUTH_SECRET => 'y' x 20 . ' ' . 'y' x 20);
for my $end (' ', "\t", "\n", "\r", "\r\n", "\x01", "\x7f", "\x1b") {
	my $shown = join ' ', map { sprintf '%02x', ord } split //, $end;
	wrong('BETTER_AUTH_SECRET', "a secret with $shown at the end",
		BETTER_AUTH_SECRET => $secret . $end);
	wrong(  'BETTER_AUTH_SECRET', "a secret with $shown at the beginning",
		BETTER_AUTH_SECRET => $end . $secret);
}
wrong('BETTER_AUTH_SECRET', "Better Auth's built-in default",
	BETTER_AUTH_SECRET => 'better-auth-secret-12345678901234567890');

# The secret in a file.
my %in_file = (BETTER_AUTH_SECRET => undef);
right('a secret in a file', %in_file, BETTER_AUTH_SECRET_FILE => file('right', $secret));
right('a secret of 64 KiB in a file', %in_file,
	BETTER_AUTH_SECRET_FILE => file('most', 'y' x 65536));
wrong('BETTER_AUTH_SECRET_FILE', $_->[0], %in_file, BETTER_AUTH_SECRET_FILE => $_->[1])
    for ['a secret file that does not exist', '/nonexistent/secret'], ['a folder', '/tmp'],
    ['an empty file', file('empty', '')],
    ['a short file', file('short', 'y' x 31)],
    ['a file that ends in a line feed', file('lf', "$secret\n")],
    ['a file that begins with a blank', file('blank', " $secret")],
    ['a file with the built-in default',
	file('default', 'better-auth-secret-12345678901234567890')],
    ['a file with NUL', file('nul', "y\0" . 'y' x 40)],
    ['a file of 64 KiB and one byte', file('long', 'y' x 65537)],
    ['a file without end', '/dev/zero'], ['a relative path', 'secret'];

# Several secrets.
sub secrets (@s) { (BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => join ',', @s) }
right('one secret of a version', secrets("1:$secret"));
right('four secrets', secrets(map { "$_:$secret$_" } 4, 3, 2, 1));
right('version 0', secrets("0:$secret"));
right('a colon in the secret', secrets("1:$secret:and:more"));
wrong('BETTER_AUTH_SECRETS', $_->[0], secrets($_->[1]->@*))
    for ['five secrets', [map { "$_:$secret$_" } 1 .. 5]], ['no version', [$secret]],
    ['an empty version', [":$secret"]], ['a version that is not a number', ["x:$secret"]],
    ['a version below zero', ["-1:$secret"]], ['an empty secret', ['1:']],
    ['a blank secret', ['1:  ']], ['a short secret', ['1:' . 'y' x 31]],
    ['a short old secret', ["2:$secret", '1:old']],
    ['an empty entry', ["1:$secret", '']], ['a version twice', ["1:$secret", "1:$secret.old"]],
    (map { ["the version '$_'", ["$_:$secret"]] } ' 2', '2 ', '02', '+2', '-0', '2x', '1.9',
	'1e3', '0x10', '9007199254740992'),
    ['a blank before a secret', ["2: $secret", "1:$secret.old"]],
    ['a blank after a secret', ["2:$secret ", "1:$secret.old"]],
    ['a blank before an entry', ["2:$secret", " 1:$secret.old"]],
    ['the built-in default as one of several', ['1:better-auth-secret-12345678901234567890']];

# The issuer and the audience of tokens.
wrong('BETTER_AUTH_URL', 'no URL, no issuer', BETTER_AUTH_URL => undef);
right('issuer and audience without a URL', BETTER_AUTH_URL => undef, JWT_ISSUER => 'me',
	JWT_AUDIENCE => 'you');
my ($exit, $out, $err) =
    $program->run({ %right, BETTER_AUTH_URL => undef, JWT_ISSUER => 'me' }, '-T');
is($exit, 78, 'wrong: an issuer without an audience');
like("$out$err", qr/JWT_AUDIENCE|BETTER_AUTH_URL/,
	'wrong: an issuer without an audience: the line names the setting');
wrong('BETTER_AUTH_URL', "URL $_", BETTER_AUTH_URL => $_)
    for 'todo.example', '//todo.example', 'ftp://todo.example', 'https://', 'https:///x',
    'http:todo.example/x y', 'https://todo.example:x', 'https://todo.example:99999',
    'javascript:alert(1)', ' ', 'https://todo.example ', 'https://alice@todo.example',
    'https://todo.example?x', 'https://todo.example#x', 'https://todo.example\\x',
    'https://todo.example.', 'https://todo..example', "https://t\xc3\xb6do.example",
    "https://todo.example\xe2\x84\xaa", 'https://127.1', 'https://127.0.0.01', 'https://0x7f.1',
    'https://2130706433', 'https://[::1', 'https://[::1]x', 'https://[0::1]',
    'https://[::ffff:1.2.3.4]', 'https://[::ffff:102:304]', 'https://[::102:304]',
    'https://todo.example:', 'https://todo.example:0', 'https://todo.example:0443',
    'https://todo.example:80:80';

# Any setting is valid UTF-8, without characters at its ends that a reader might trim.
for my $name (qw(BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE)) {
	for my $edge (' ', "\n", "\x01", "\x7f", "\xc2\x85", "\xc2\xa0", "\xe3\x80\x80",
	    "\xef\xbb\xbf") {
		my $hex = unpack 'H*', $edge;
		wrong($name, "$name with $hex before it", $name => "$edge$url");
		wrong($name, "$name with $hex after it", $name => "$url$edge");
	}
	wrong($name, "$name not in UTF-8", $name => "$url/\xff/");
	wrong($name, "$name with U+FFFD", $name => "$url/\xef\xbf\xbd/");
}

# Numbers, on both sides of their bounds.
right("$_->[0] $_->[1]", $_->[0] => $_->[1])
    for [JWT_LEEWAY => 0], [JWT_LEEWAY => 300], [JWT_MAX_LIFETIME => 60],
    [JWT_MAX_LIFETIME => 86400];
wrong($_->[0], "$_->[0] '$_->[1]'", $_->[0] => $_->[1])
    for (map { [JWT_LEEWAY => $_] } '-1', '301', 'x', '1.5', '1e1', '0x10', '10s',
	'99999999999999999999', '4294967297', '+', ' ', '010', '10 '),
    (map { [JWT_MAX_LIFETIME => $_] } '0', '59', '86401', '-60', '1d', '3600.0', '0060', ' 60',
	'18446744073709551676');

# The database's option file, and the log.
wrong('TODO_DB_DEFAULTS_FILE', $_->[0], TODO_DB_DEFAULTS_FILE => $_->[1])
    for ['no option file named', undef],
    ['an option file that does not exist', '/nonexistent/todo.cnf'],
    ['an option file that is a folder', '/tmp'],
    ['an option file without the group [todo]', file('other.cnf', "[client]\nuser=x\n")];
right('an option file',
	TODO_DB_DEFAULTS_FILE => file('todo.cnf', "# ours\n[todo]\nuser=x\nsocket=/x\n"));
right("TODO_LOG $_", TODO_LOG => $_) for 'stderr', 'syslog', $program->dir . '/log';
wrong('TODO_LOG', "TODO_LOG $_", TODO_LOG => $_)
    for 'log', './log', '/nonexistent/log', 'stdout', $program->dir;

# A worker and a pool say the same as -t, and exit with the same status.
my $worker = $program->worker(%right, BETTER_AUTH_SECRET => 'short');
is($worker->wait, 78, 'a worker with a wrong setting exits 78');
like($worker->log, qr/BETTER_AUTH_SECRET/, 'a worker names the wrong setting');
is(lines($worker->log), 1, 'a worker logs one line about a wrong setting');
my $pool = $program->pool(master => 2, %right, JWT_LEEWAY => 'x');
is($pool->wait, 78, 'a pool with a wrong setting exits 78');
like($pool->log, qr/JWT_LEEWAY/, 'a pool names the wrong setting');

# Without a socket, and with wrong options.
($exit, $out, $err) = $program->run(\%right);
ok($exit ne 0 && $exit !~ /signal/, 'without a socket the program exits with an error')
    or diag($exit);
like("$out$err", qr/listening socket/, 'without a socket the program names it');
for my $option (['-x'], ['-w'], ['-w', '0'], ['-w', '-1'], ['-w', 'x'], ['-w', '2x'],
	['-w', '99999999999'], ['--nonsense'], ['-t', 'more'], ['more'])
{
	($exit, $out, $err) = $program->run(\%right, @$option);
	ok($exit ne 0 && $exit !~ /signal/, "the option @$option is refused") or diag($exit);
}
like(($program->run({}, '-V'))[1], qr/\A\S.*\d\.\d.*\n\z/, '-V prints the version');
is(($program->run({}, '-R'))[0], 0, '-R needs no settings');

# Settings are obeyed ---------------------------------------------------------

# The answer of a worker to a token with `claims`.
sub me ($worker, $claims = {}, %o) {
	my $client = $stack->fastcgi($worker);
	my $issuer = $o{issuer} // $url;
	my @claims = claims('alice', $issuer, $o{audience} // $issuer, %$claims);
	my $header = $o{header} // $Token::HEADER;
	my $token = Token::sign(Token::b64u($header), Token::b64u(payload(@claims)),
	    $o{key} // $secret);
	return $client->send('GET', '/api/me', [[Authorization => "Bearer $token"]]);
}

my @origins = (
	['https://todo.example', 'https://todo.example'],
	['HTTPS://Todo.Example', 'https://todo.example'],
	['https://todo.example/', 'https://todo.example'],
	['https://todo.example/api/auth?x=1#y', 'https://todo.example'],
	['https://todo.example:443/x', 'https://todo.example'],
	['https://todo.example:8443', 'https://todo.example:8443'],
	['http://todo.example:80', 'http://todo.example'],
	['http://todo.example:443', 'http://todo.example:443'],
	['https://todo.example:80', 'https://todo.example:80'],
	['http://LOCALHOST:3000/', 'http://localhost:3000'],
	['http://[::1]:3000/', 'http://[::1]:3000'],
	['https://127.0.0.1:8443', 'https://127.0.0.1:8443']
);
for (@origins) {
	my ($set, $origin) = @$_;
	my $worker = $program->worker(%right, BETTER_AUTH_URL => $set);
	answers(me($worker, {}, issuer => $origin), 200, "$set makes issuer and audience $origin");
	refuses(me($worker, {}, issuer => $set, audience => $origin),
		token_issuer => "issuer and audience are not $set")
	    if $set ne $origin;
}
$worker = $program->worker(%right, JWT_ISSUER => 'the issuer', JWT_AUDIENCE => 'the audience');
answers(me($worker, {}, issuer => 'the issuer', audience => 'the audience'), 200,
	'JWT_ISSUER and JWT_AUDIENCE override the URL');
refuses(me($worker), token_issuer => 'the URL is not the issuer beside JWT_ISSUER');
$worker = $program->worker(%right, JWT_AUDIENCE => 'the audience');
answers(me($worker, {}, audience => 'the audience'), 200,
	'JWT_AUDIENCE alone: the issuer is the URL');

my $now = time;
$worker = $program->worker(%right, JWT_LEEWAY => 300, JWT_MAX_LIFETIME => 60);
answers(me($worker, { iat => $now + 250, exp => $now + 260 }), 200,
	'a leeway of 300: iat 250 s ahead');
refuses(me($worker, { iat => $now + 400, exp => $now + 410 }),
	token_invalid => 'a leeway of 300: iat 400 s ahead');
answers(me($worker, { iat => $now, exp => $now + 60 }), 200, 'a lifetime of 60: 60 s');
refuses(me($worker, { iat => $now, exp => $now + 61 }), token_invalid => 'a lifetime of 60: 61 s');
refuses(me($worker, { iat => $now - 61, exp => $now - 1 }),
	token_expired => 'a leeway of 300: exp 1 s ago');
$worker = $program->worker(%right, JWT_LEEWAY => 0);
answers(me($worker, { iat => time }), 200, 'a leeway of 0: iat now');
refuses(me($worker, { iat => time + 5 }), token_invalid => 'a leeway of 0: iat 5 s ahead');

# The key is the raw bytes: not decoded, not trimmed.
for my $key ('QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=', 'ab' x 20, "caf\xc3\xa9 " . 'z' x 40,
	'y' x 2000)
{
	$worker = $program->worker(%right, BETTER_AUTH_SECRET => $key);
	answers(me($worker, {}, key => $key), 200,
		'the key is the bytes ' . substr($key, 0, 20) . '...');
}
$worker =
    $program->worker(%right, %in_file, BETTER_AUTH_SECRET_FILE => file('key', $secret . '.file'));
answers(me($worker, {}, key => "$secret.file"), 200, 'the key is the bytes of the file');

# Lines of an option file that other clients need do not harm the program.
for my $line ('default-character-set=latin1', "init-command=SET sql_mode = '', autocommit = 0") {
	$worker = $program->worker(TODO_DB_DEFAULTS_FILE =>
		    file('option.cnf', $stack->read('etc/todo.cnf') . "$line\n"));
	my $alice = $stack->user(client => $stack->fastcgi($worker));
	my $title = "\x{1F600}" x 200;
	my $made = $alice->post('/tasks', { title => $title });
	is_task($made, { title => $title }, "$line: a title of 200 code points");
	my ($length) = $stack->sql("SELECT CHAR_LENGTH(title) FROM todo.tasks
	    WHERE user_id = '@{[$alice->id]}'");
	is_deeply($length, [200], "$line: the title is stored as 200 characters");
}
{
	my $connections = sub {
		map { $_->[0] }
		    $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'")
	};
	my %others = map { $_ => 1 } $connections->();
	$worker = $program->worker(TODO_DB_DEFAULTS_FILE =>
		    file('option.cnf', $stack->read('etc/todo.cnf') . "reconnect=1\n"));
	my $alice = $stack->user(client => $stack->fastcgi($worker));
	$alice->task("task $_") for 1 .. 2;
	my ($its) = grep { !$others{$_} } $connections->();
	$stack->sql("KILL CONNECTION $its");
	poll {
		!grep { $_ == $its } $connections->()
	} 'the connection of the worker is cut';
	answers($alice->post('/tasks', { title => 'task 3' }), 201,
		'reconnect=1: the program connects again, with its statements');
}

# The issuer reads the same settings in the same way -------------------------

my $read = <<'END';
import { readFileSync } from "node:fs";
const { readSettings, SettingsError } = await import(process.argv[1]);
const say = ({ env }) => {
	const settings = { ISSUER_DATABASE: "mysql://x@localhost/x", ISSUER_SOCKET: "/x" };
	for (const [name, bytes] of Object.entries(env))
		settings[name] = Buffer.from(bytes, "base64").toString();
	try {
		const { baseURL, issuer, audience, lifetime } = readSettings(settings);
		return { wrong: "", means: { baseURL, issuer, audience, lifetime } };
	} catch (error) {
		if (!(error instanceof SettingsError))
			throw error;
		return { wrong: error.message };
	}
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(say)));
END
share('', "the URL $_->[0]",
	{ baseURL => $_->[1], issuer => $_->[1], audience => $_->[1], lifetime => 86400 }, %right,
	BETTER_AUTH_URL => $_->[0])
    for @origins;
share('', 'issuer, audience and lifetime',
	{ baseURL => $url, issuer => 'me', audience => 'you', lifetime => 60 }, %right,
	JWT_ISSUER => 'me', JWT_AUDIENCE => 'you', JWT_MAX_LIFETIME => 60);
# The issuer requires a URL, and does not read these settings.
@shared = grep { $_->{env}{BETTER_AUTH_URL} && $_->{problem} !~ /\A(?:JWT_LEEWAY|TODO_)/ } @shared;
my $node = ($stack->frontend // "$root/frontend") . '/node';
my $pid = open2(my $from, my $to, $node, '--input-type=module', '-e', $read,
	"$root/frontend/issuer/settings.js");
print {$to} JSON::PP->new->encode(\@shared);
close $to;
my @said = JSON::PP->new->decode(join('', <$from>) || '[]')->@*;
waitpid $pid, 0;
is(scalar @said, scalar @shared, 'the issuer has answered about ' . @shared . ' settings');
for my $case (@shared) {
	my $said = shift @said // {};
	my $name = "the issuer: $case->{name}";
	# The reason why a file cannot be read comes from the system.
	my ($wrong, $problem) =
	    map { s/: cannot be read: \K.*//sr } $said->{wrong}, $case->{problem};
	if ($problem) { is($wrong, $problem, "$name: wrong, in the same words") }
	elsif (!$case->{means}) { is($said->{wrong}, '', "$name: right") }
	else { is_deeply($said->{means}, $case->{means}, $name) }
	unlike($said->{wrong}, qr/s3cret|xxxxx/, "$name: no secret is shown");
}
SKIP: {
	my $frontend = $stack->frontend;
	skip 'Better Auth is not installed', 4 if !defined $frontend;
	my $env = "env -i PATH=\"\$PATH\" BETTER_AUTH_SECRET=s3cret-short BETTER_AUTH_URL=$url";
	my $log = qx{cd "$frontend" && $env ./node issuer/main.js 2>&1};
	is($? >> 8, 78, 'the issuer with a wrong setting exits 78');
	is(lines($log), 1, 'the issuer logs one line about a wrong setting') or diag($log);
	like($log, qr/BETTER_AUTH_SECRET/, 'the issuer names the wrong setting');
	unlike($log, qr/s3cret/, 'the issuer shows no secret');
}

$stack->done;
