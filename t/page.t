# Goal: the page works in a real Chromium. Each of t/page/*.mjs has a goal of its
# own; all run on one private stack.
#
# PAGE_SCENE=conflict t/staging check t/page.t runs the scenes of that name.
# Screenshots of the main states go to the folder "screenshots" of the shared
# stack; PAGE_README=1 also replaces the two that the README shows.

use v5.36;
use File::Copy qw(copy);
use File::Path qw(make_path);
use FindBin;
use IPC::Open2;
use JSON::PP ();
use lib "$FindBin::Bin/lib";
use Test::More;
use Files;
use Stack;

my $shared = $ENV{STAGING_DIR};
my $stack = Stack->new(private => 1, issuer => 1);
my $root = Stack->root;
my $shots = ($shared // $stack->dir) . '/screenshots';
make_path($shots);
unlink glob "$shots/*.png";

# Restarts the issuer so that its tokens live for this many seconds.
my $lifetime = 86400;
sub tokens ($seconds) {
	return if $seconds == $lifetime;
	open my $settings, '>>', $stack->file('etc/settings.env') or die $!;
	print {$settings} 'TOKEN_LIFETIME=', $lifetime = $seconds, "\n";
	close $settings;
	$stack->staging('issuer-stop');
	$stack->staging('issuer-start');
}

# The address that t/staging prints at the end.
my ($address) = $stack->staging('up') =~ m{browser.*:\n\n +(https://\S+)\n};
is($address, $stack->url . '/', 't/staging up names the address of the page');

# What a script may ask for, and what is then done.
my %do = (
	'database stop' => sub { $stack->staging('db-stop') },
	'database start' => sub { $stack->staging('db-start') },
	tokens => \&tokens,
	sql => sub ($statement) { $stack->sql($statement) },
);

sub obey ($wish) {
	return $do{$wish}->() if $do{$wish};
	my ($what, $how) = split / /, $wish, 2;
	$do{$what}->($how);
}

my $frontend = $stack->frontend;
sub play ($script) {
	my $pid = open2(my $from, my $to, "$frontend/node", $script);
	$to->autoflush(1);
	while (my $line = <$from>) {
		chomp $line;
		if ($line =~ /\A(not )?ok - (.*)/) { ok(!$1, $2) }
		elsif ($line =~ /\A# ?(.*)/) {
			(Test::More->builder->is_passing ? \&note : \&diag)->($1)
		}
		elsif ($line =~ /\Ado: (.*)/) { obey($1); say {$to} 'done' }
		else { diag($line) }
	}
	waitpid $pid, 0;
	return $?;
}

$ENV{STAGING_URL} = $address // die;
$ENV{STAGING_CA} = $ENV{NODE_EXTRA_CA_CERTS} = $stack->file('etc/ca.pem');
$ENV{PAGE_SCREENSHOTS} = $shots;

for my $script (sort glob "$root/t/page/*.mjs") {
	my $name = $script =~ s{.*/}{}r;
	next if $name eq 'browser.mjs';
	note($name);
	is(play($script), 0, "$name runs to its end");
}

# The types are right, and the file that others copy needs no other file.
my $types = qx{cd "$frontend" && npm run --silent check 2>&1};
is($?, 0, 'tsc finds no wrong type') or diag($types);
unlike(slurp("$root/frontend/page/src/auth-fetch.ts"), qr/^(?:import|export .* from)\b/m,
	'auth-fetch.ts imports nothing');

# Versions are locked, whichever registry serves them.
my $package = JSON::PP->new->decode(slurp("$root/frontend/package.json"));
my %wish = map { ($package->{$_} // {})->%* } grep { /dependencies/i } keys %$package;
is_deeply([grep { $wish{$_} !~ /\A[0-9.]+\z/ } sort keys %wish], [],
	'package.json names one version of each package');
unlike(slurp("$root/frontend/package-lock.json"), qr{"resolved":},
	'package-lock.json names no registry');

# The pictures of the main states, and the two that the README shows.
my @readme = slurp("$root/README.md") =~ m{"frontend/screenshots/([\w-]+)\.png"}g;
is(scalar @readme, 2, "the README shows @readme");
SKIP: {
	skip 'only some scenes', 1 if $ENV{PAGE_SCENE};
	my @missing = grep { !-s "$shots/$_.png" } @readme, qw(sign-in no-tasks edit
	    tasks tasks-dark phone phone-dark undo conflict offline unavailable
	    session-ended);
	is_deeply(\@missing, [], "pictures of the main states are in $shots");
}
if ($ENV{PAGE_README}) {
	make_path("$root/frontend/screenshots");
	copy("$shots/$_.png", "$root/frontend/screenshots/$_.png") or die "$_: $!"
	    for @readme;
}
ok(-s "$root/frontend/screenshots/$_.png", "the README's picture $_ exists") for @readme;

# No log holds a token, a password, a session or an address.
for my $log (glob $stack->file('log/*.log')) {
	my $name = $log =~ s{.*/}{}r;
	my @lines = $stack->log_lines($name);
	next if !@lines;
	my @bad = grep { /eyJ[\w-]+\.|correct horse|session_token|\@example\.org/ } @lines;
	ok(!@bad, "$name holds no token, password or address") or diag($bad[0]);
}

# The scripts stop the database, delete sessions and break tokens.
$stack->expect_log(qr/level=warning|status=503|event=database/,
    qr/nginx-error\.log: .*(?:upstream|todo-fcgi)/);
$stack->done;
