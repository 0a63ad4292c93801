# Goal: a wrong setting stops the program at start, with exit status 78 and one
# line that names the setting and gives no secret away; a right one is obeyed.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IPC::Open2;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Facts;
use Stack;
use Token qw(claims payload);

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $root = Stack->root;
my $secret = 's3cret-' . 'x' x 40;
my $url = 'https://todo.example';
my @clean = map { $_ => undef }
    qw(BETTER_AUTH_SECRET BETTER_AUTH_SECRET_FILE BETTER_AUTH_SECRETS BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE JWT_LEEWAY JWT_MAX_LIFETIME TODO_LOG);
my %right = (@clean, BETTER_AUTH_SECRET => $secret, BETTER_AUTH_URL => $url);

sub file ($name, $content) {
	my $path = $program->dir . "/$name";
	open my $f, '>', $path or die $!;
	print {$f} $content;
	close $f;
	return $path;
}

sub lines ($text) { scalar(() = $text =~ /\n/g) }

# What the issuer of tokens is to say of the same settings, in the end.
my @shared;
sub share ($problem, $name, $means, %env) {
	push @shared, {
		problem => $problem, name => $name, means => $means,
		env => {map { $_ => encode_base64($env{$_}, '') }
			grep { defined $env{$_} } keys %env
		}
	};
}

sub right ($name, %env) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	share('', $name, undef, %right, %env);
	my ($exit, $out, $err) = $program->run({ %right, %env }, '-T');
	is($exit, 0, "right: $name") or diag($out, $err);
	is(lines("$out$err"), 1, 'and said on one line') or diag($out, $err);
	unlike("$out$err", qr/xxxxx/, 'which holds no secret');
}

sub wrong ($setting, $name, %env) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($exit, $out, $err) = $program->run({ %right, %env }, '-T');
	share($err =~ s/\Atodo-fcgi: |\n\z//gr, $name, undef, %right, %env);
	is($exit, 78, "wrong: $name") or diag($out, $err);
	is(lines("$out$err"), 1, 'and said on one line') or diag($out, $err);
	like("$out$err", qr/\b$setting\b/, "which names $setting");
	unlike("$out$err", qr/s3cret|xxxxx/, 'and holds no secret');
}

# The secret.
right('the least there must be');
wrong('BETTER_AUTH_SECRET', 'no secret', BETTER_AUTH_SECRET => undef);
wrong('BETTER_AUTH_SECRET', 'an empty secret', BETTER_AUTH_SECRET => '');
wrong('BETTER_AUTH_SECRET', '31 bytes', BETTER_AUTH_SECRET => 'y' x 31);
right('32 bytes', BETTER_AUTH_SECRET => 'y' x 32);
right('16 characters of two bytes', BETTER_AUTH_SECRET => "\xc3\xa9" x 16);
wrong('BETTER_AUTH_SECRET', '15 characters of two bytes',
	BETTER_AUTH_SECRET => "\xc3\xa9" x 15 . 'y');
right('a blank inside', BETTER_AUTH_SECRET => 'y' x 20 . ' ' . 'y' x 20);
for my $end (' ', "\t", "\n", "\r", "\r\n", "\x01", "\x7f", "\x1b") {
	my $shown = join ' ', map { sprintf '%02x', ord } split //, $end;
	wrong('BETTER_AUTH_SECRET', "$shown at the end", BETTER_AUTH_SECRET => $secret . $end);
	wrong('BETTER_AUTH_SECRET', "$shown at the beginning",
		BETTER_AUTH_SECRET => $end . $secret);
}
wrong('BETTER_AUTH_SECRET', "Better Auth's built-in default",
	BETTER_AUTH_SECRET => 'better-auth-secret-12345678901234567890');

# In a file.
my %in_file = (BETTER_AUTH_SECRET => undef);
right('a file', %in_file, BETTER_AUTH_SECRET_FILE => file('right', $secret));
right('64 KiB', %in_file, BETTER_AUTH_SECRET_FILE => file('most', 'y' x 65536));
wrong('BETTER_AUTH_SECRET_FILE', $_->[0], %in_file, BETTER_AUTH_SECRET_FILE => $_->[1])
    for ['no such file', '/nonexistent/secret'], ['a folder', '/tmp'],
    ['an empty file', file('empty', '')],
    ['a short file', file('short', 'y' x 31)],
    ['a file that ends in a line feed', file('lf', "$secret\n")],
    ['a file that begins with a blank', file('blank', " $secret")],
    ['the built-in default', file('default', 'better-auth-secret-12345678901234567890')],
    ['NUL in it', file('nul', "y\0" . 'y' x 40)], ['64 KiB and a byte', file('long', 'y' x 65537)],
    ['a file without end', '/dev/zero'], ['a relative path', 'secret'];

# Several of them.
sub secrets (@s) { (BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => join ',', @s) }
right('one secret of a version', secrets("1:$secret"));
right('four', secrets(map { "$_:$secret$_" } 4, 3, 2, 1));
right('version 0', secrets("0:$secret"));
right('a colon in the secret', secrets("1:$secret:and:more"));
wrong('BETTER_AUTH_SECRETS', $_->[0], secrets($_->[1]->@*))
    for ['five', [map { "$_:$secret$_" } 1 .. 5]], ['no version', [$secret]],
    ['an empty version', [":$secret"]], ['a version that is no number', ["x:$secret"]],
    ['a version below zero', ["-1:$secret"]], ['an empty secret', ['1:']],
    ['a blank secret', ['1:  ']], ['a short secret', ['1:' . 'y' x 31]],
    ['a short old secret', ["2:$secret", '1:old']],
    ['an entry of nothing', ["1:$secret", '']], ['a version twice', ["1:$secret", "1:$secret.old"]],
    (map { ["the version '$_'", ["$_:$secret"]] } ' 2', '2 ', '02', '+2', '-0', '2x', '1.9', '1e3',
	'0x10', '9007199254740992'),
    ['a blank before a secret', ["2: $secret", "1:$secret.old"]],
    ['a blank after a secret', ["2:$secret ", "1:$secret.old"]],
    ['a blank before an entry', ["2:$secret", " 1:$secret.old"]],
    ['the built-in default', ['1:better-auth-secret-12345678901234567890']];

# Where tokens come from.
wrong('BETTER_AUTH_URL', 'no URL, no issuer', BETTER_AUTH_URL => undef);
right('issuer and audience without a URL', BETTER_AUTH_URL => undef, JWT_ISSUER => 'me',
	JWT_AUDIENCE => 'you');
my ($exit, $out, $err) =
    $program->run({ %right, BETTER_AUTH_URL => undef, JWT_ISSUER => 'me' }, '-T');
is($exit, 78, 'wrong: an issuer but no audience');
like("$out$err", qr/JWT_AUDIENCE|BETTER_AUTH_URL/, 'which is named');
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

# Any setting: valid UTF-8, and nothing that a reader might trim at its ends.
for my $name (qw(BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE)) {
	for my $edge (' ', "\n", "\x01", "\x7f", "\xc2\x85", "\xc2\xa0", "\xe3\x80\x80",
		"\xef\xbb\xbf")
	{
		my $hex = unpack 'H*', $edge;
		wrong($name, "$name with $hex before it", $name => "$edge$url");
		wrong($name, "$name with $hex after it", $name => "$url$edge");
	}
	wrong($name, "$name not in UTF-8", $name => "$url/\xff/");
	wrong($name, "$name with U+FFFD", $name => "$url/\xef\xbf\xbd/");
}

# Numbers, at both sides of their bounds.
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
    for ['no option file named', undef], ['no such file', '/nonexistent/todo.cnf'],
    ['a folder', '/tmp'], ['a file without our group', file('other.cnf', "[client]\nuser=x\n")];
right('an option file',
	TODO_DB_DEFAULTS_FILE => file('todo.cnf', "# ours\n[todo]\nuser=x\nsocket=/x\n"));
right("TODO_LOG $_", TODO_LOG => $_) for 'stderr', 'syslog', $program->dir . '/log';
wrong('TODO_LOG', "TODO_LOG $_", TODO_LOG => $_)
    for 'log', './log', '/nonexistent/log', 'stdout', $program->dir;

# Not only -t: a worker and a pool say the same, and end with the same.
my $worker = $program->worker(%right, BETTER_AUTH_SECRET => 'short');
is($worker->wait, 78, 'a worker with a wrong setting ends with 78');
like($worker->log, qr/BETTER_AUTH_SECRET/, 'and says so');
is(lines($worker->log), 1, 'on one line');
my $pool = $program->pool(master => 2, %right, JWT_LEEWAY => 'x');
is($pool->wait, 78, 'a pool with a wrong setting ends with 78');
like($pool->log, qr/JWT_LEEWAY/, 'and says so');

# Without a socket, with options there are not.
($exit, $out, $err) = $program->run(\%right);
ok($exit ne 0 && $exit !~ /signal/, 'with no socket it says so and ends') or diag($exit);
like("$out$err", qr/listening socket/, 'which is what is missing');
for my $option (['-x'], ['-w'], ['-w', '0'], ['-w', '-1'], ['-w', 'x'], ['-w', '2x'],
	['-w', '99999999999'], ['--nonsense'], ['-t', 'more'], ['more'])
{
	($exit, $out, $err) = $program->run(\%right, @$option);
	ok($exit ne 0 && $exit !~ /signal/, "the option @$option is refused") or diag($exit);
}
like(($program->run({}, '-V'))[1], qr/\A\S.*\d\.\d.*\n\z/, '-V says the version');
is(($program->run({}, '-R'))[0], 0, '-R needs no settings');

# What is set is obeyed ------------------------------------------------------

# The answer of a worker with `env` to a token with `claims`.
sub me ($worker, $claims = {}, %o) {
	my $client = $stack->fastcgi($worker);
	my $token = Token::sign(
		Token::b64u($o{header} // $Token::HEADER),
		Token::b64u(
			payload(claims(
				'alice', $o{issuer} // $url, $o{audience} // $o{issuer} // $url,
				%$claims))
		),
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
		token_issuer => 'and not as it is written')
	    if $set ne $origin;
}
$worker = $program->worker(%right, JWT_ISSUER => 'the issuer', JWT_AUDIENCE => 'the audience');
answers(me($worker, {}, issuer => 'the issuer', audience => 'the audience'), 200,
	'JWT_ISSUER and JWT_AUDIENCE override');
refuses(me($worker), token_issuer => 'and the URL is out');
$worker = $program->worker(%right, JWT_AUDIENCE => 'the audience');
answers(me($worker, {}, audience => 'the audience'), 200, 'JWT_AUDIENCE alone leaves the issuer');

my $now = time;
$worker = $program->worker(%right, JWT_LEEWAY => 300, JWT_MAX_LIFETIME => 60);
answers(me($worker, { iat => $now + 250, exp => $now + 260 }), 200, 'a leeway of 300');
refuses(me($worker, { iat => $now + 400, exp => $now + 410 }), token_invalid => 'has its end');
answers(me($worker, { iat => $now, exp => $now + 60 }), 200, 'a lifetime of 60');
refuses(me($worker, { iat => $now, exp => $now + 61 }), token_invalid => 'has its end');
refuses(me($worker, { iat => $now - 61, exp => $now - 1 }),
	token_expired => 'the leeway is no help to exp');
$worker = $program->worker(%right, JWT_LEEWAY => 0);
answers(me($worker, { iat => time }), 200, 'a leeway of 0');
refuses(me($worker, { iat => time + 5 }), token_invalid => 'is none');

# The key is the raw bytes: not decoded, not trimmed.
for my $key ('QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=', 'ab' x 20, "caf\xc3\xa9 " . 'z' x 40,
	'y' x 2000)
{
	$worker = $program->worker(%right, BETTER_AUTH_SECRET => $key);
	answers(me($worker, {}, key => $key), 200,
		'the key is ' . substr($key, 0, 20) . '... as it is');
}
$worker =
    $program->worker(%right, %in_file, BETTER_AUTH_SECRET_FILE => file('key', $secret . '.file'));
answers(me($worker, {}, key => "$secret.file"), 200, 'the key of a file');

# What an option file says for clients of another kind is no matter of ours.
for my $line ('default-character-set=latin1', "init-command=SET sql_mode = '', autocommit = 0") {
	$worker = $program->worker(TODO_DB_DEFAULTS_FILE =>
		    file('option.cnf', $stack->read('etc/todo.cnf') . "$line\n"));
	my $alice = $stack->user(client => $stack->fastcgi($worker));
	my $title = "\x{1F600}" x 200;
	my $made = $alice->post('/tasks', { title => $title });
	is_task($made, { title => $title }, "$line: a title is as long as ever");
	is_deeply(
		[
			$stack->sql(
				"SELECT CHAR_LENGTH(title) FROM todo.tasks WHERE user_id = '"
				    . $alice->id . "'")
		],
		[[200]],
		'and stored as that');
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
	}
	'its connection is cut';
	answers($alice->post('/tasks', { title => 'task 3' }), 201,
		'reconnect=1: a lost connection is ours to make anew, statements and all');
}

# The issuer of tokens reads the same file, and to the same effect. ----------

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
# It needs a URL, and has no part in these.
@shared = grep { $_->{env}{BETTER_AUTH_URL} && $_->{problem} !~ /\A(?:JWT_LEEWAY|TODO_)/ } @shared;
my $node = ($stack->frontend // "$root/frontend") . '/node';
my $pid = open2(my $from, my $to, $node, '--input-type=module', '-e', $read,
	"$root/frontend/issuer/settings.js");
print {$to} JSON::PP->new->encode(\@shared);
close $to;
my @said = JSON::PP->new->decode(join('', <$from>) || '[]')->@*;
waitpid $pid, 0;
is(scalar @said, scalar @shared, 'the issuer is asked about ' . @shared . ' of these');
for my $case (@shared) {
	my $said = shift @said // {};
	my $name = "the issuer: $case->{name}";
	# The reason why a file cannot be read is the system's.
	my ($wrong, $problem) =
	    map { s/: cannot be read: \K.*//sr } $said->{wrong}, $case->{problem};
	if ($problem) { is($wrong, $problem, "$name is wrong, in the same words") }
	elsif (!$case->{means}) { is($said->{wrong}, '', "$name is right") }
	else { is_deeply($said->{means}, $case->{means}, $name) }
	unlike($said->{wrong}, qr/s3cret|xxxxx/, 'and no secret is given away');
}
SKIP: {
	my $frontend = $stack->frontend;
	skip 'Better Auth is not here', 4 if !defined $frontend;
	my $log =
	    qx{cd "$frontend" && env -i PATH="\$PATH" BETTER_AUTH_SECRET=s3cret-short BETTER_AUTH_URL=$url ./node issuer/main.js 2>&1};
	is($? >> 8, 78, 'the issuer with a wrong setting ends with 78');
	is(lines($log), 1, 'and says so on one line') or diag($log);
	like($log, qr/BETTER_AUTH_SECRET/, 'which names it');
	unlike($log, qr/s3cret/, 'and holds no secret');
}

$stack->done;
