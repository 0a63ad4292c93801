# Goal: the page, in a real Chromium: t/page/*.mjs, each with its own goal, on a
# stack of their own.
#
# PAGE_SCENE=conflict t/staging check t/page.t runs the scenes of that name.
# Screenshots of the main states go to the folder "screenshots" of the stack
# that everybody shares; with PAGE_README=1 the README's two are made anew.

use v5.36;
use File::Copy qw(copy);
use File::Path qw(make_path);
use FindBin;
use IPC::Open2;
use lib "$FindBin::Bin/lib";
use Test::More;
use Stack;

my $shared = $ENV{STAGING_DIR};
my $stack = Stack->new(private => 1, issuer => 1);
my $root = Stack->root;
my $shots = ($shared // $stack->dir) . '/screenshots';
make_path($shots);

# The staging script, on the stack of this script.
sub staging (@verb) {
	local $ENV{STAGING_DIR} = $stack->dir;
	system("$root/t/staging @verb >/dev/null") == 0 or die "t/staging @verb";
}

# Has the issuer make tokens that live so many seconds.
my $lifetime = 86400;
sub tokens ($seconds) {
	return if $seconds == $lifetime;
	open my $settings, '>>', $stack->file('etc/settings.env') or die $!;
	print {$settings} 'TOKEN_LIFETIME=', $lifetime = $seconds, "\n";
	close $settings;
	staging('issuer-stop');
	staging('issuer-start');
}

# What a script may ask for, and how it is done.
my %do = (
	'database stop' => sub { staging('db-stop') },
	'database start' => sub { staging('db-start') },
	tokens => \&tokens,
	sql => sub ($statement) { $stack->sql($statement) },
);

sub obey ($wish) {
	return $do{$wish}->() if $do{$wish};
	my ($what, $how) = split / /, $wish, 2;
	$do{$what}->($how);
}

sub play ($script) {
	my $pid = open2(my $from, my $to, $stack->frontend . '/node', $script);
	$to->autoflush(1);
	while (my $line = <$from>) {
		chomp $line;
		if ($line =~ /\A(not )?ok - (.*)/) { ok(!$1, $2) }
		elsif ($line =~ /\A# ?(.*)/) { (Test::More->builder->is_passing ? \&note : \&diag)->($1) }
		elsif ($line =~ /\Ado: (.*)/) { obey($1); say {$to} 'done' }
		else { diag($line) }
	}
	waitpid $pid, 0;
	return $?;
}

$ENV{STAGING_URL} = $stack->url;
$ENV{STAGING_CA} = $ENV{NODE_EXTRA_CA_CERTS} = $stack->file('etc/ca.pem');
$ENV{PAGE_SCREENSHOTS} = $shots;

for my $script (sort glob "$root/t/page/*.mjs") {
	my $name = $script =~ s{.*/}{}r;
	next if $name eq 'browser.mjs';
	note($name);
	is(play($script), 0, "$name goes to its end");
}

if ($ENV{PAGE_README}) {
	make_path("$root/frontend/screenshots");
	copy("$shots/$_.png", "$root/frontend/screenshots/$_.png") or die "$_: $!"
	    for qw(tasks phone-dark);
}

# The scripts stop the database, delete sessions and spoil tokens.
$stack->expect_log(qr/level=warning|status=503|event=database/,
    qr/nginx-error\.log: .*(?:upstream|todo-fcgi)/);
$stack->done;
