# Goal: the source keeps its promises: one file includes each library; no query
# without a guard; every statement on tasks names its tenant.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use JSON::PP ();
use Test::More;
use Files;
use Stack;

my $root = Stack->root;
my %source = map { s{\Q$root\E/}{}r => slurp($_) } glob "$root/app/*/*.c $root/include/*/*.h";
ok(keys %source > 30, 'there are more than 30 source files');
# Without comments.
s{/\*.*?\*/}{ }gs for values %source;

# Each third-party header is included by one file: header => file.
my %home = (
	'fcgiapp.h' => 'app/http/fcgi.c', 'fastcgi.h' => 'app/http/fcgi_record.c',
	'fcgi_config.h' => undef, 'fcgios.h' => undef, 'fcgi_stdio.h' => undef,
	'jwt.h' => 'app/auth/token.c', 'jansson.h' => undef,
	'mysql.h' => 'app/db/db.c', 'mysql/mysql.h' => undef,
	'mysqld_error.h' => 'app/db/db_error.c',
	'errmsg.h' => 'app/db/db_error.c',
	'json-c/json.h' => 'app/base/json.c',
);
my %own = map { s{\Ainclude/}{}r => 1 } grep { /\.h\z/ } keys %source;
my %libc = map { ("$_.h" => 1) } qw(arpa/inet assert ctype endian errno fcntl getopt grp
    inttypes limits poll pwd sched signal stdalign stdarg stdbool stddef stdint stdio stdlib
    stdnoreturn string strings sysexits syslog time unistd), map { "sys/$_" } qw(epoll file mman
    prctl random resource signalfd socket stat sysmacros time types uio un wait);
my %at;
for my $file (sort keys %source) {
	for my $header ($source{$file} =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm) {
		push $at{$header}->@*, $file
		    if !$own{$header} && !$libc{$header} && $header ne 'config.h';
	}
}
for my $header (sort keys %at) {
	my @files = $at{$header}->@*;
	my $library = $header =~ m{\A(openssl|json-c)/} ? $1 : $header;
	my $home =
	      $library eq 'openssl' ? 'app/base/crypto.c'
	    : $library eq 'json-c' ? 'app/base/json.c'
	    : $home{$header};
	is_deeply(\@files, [$home // 'nowhere'], "<$header> is included by one file");
}
ok($at{$_}, "<$_> is included") for qw(fcgiapp.h jwt.h mysql.h);

# Functions of the libraries are called by one file, with or without their headers.
for (['FCGX_|FCGI_(?:Accept|printf)', 'app/http/fcgi.c'], ['jwt_', 'app/auth/token.c'],
	['mysql_', 'app/db/db.c'], ['json_(?:object|tokener)_', 'app/base/json.c'],
	['EVP_|HMAC\(|SHA256\(|RAND_', 'app/base/crypto.c'])
{
	my ($prefix, $home) = @$_;
	is_deeply(
		[grep { $_ ne $home && $source{$_} =~ /\b(?:$prefix)\w*\s*\(/ } sort keys %source],
		[], "functions $prefix... are called by $home alone");
}

my $SQL = qr/\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b/;
is_deeply([grep { $source{$_} =~ $SQL } sort keys %source],
    ['app/db/schema.c', 'app/task/task_sql.c'], 'SQL is in task_sql.c and schema.c alone');

# struct tenant is defined in tenant.c alone, and every function of the store asks for one.
is_deeply([grep { $source{$_} =~ /struct\s+tenant\s*\{/ } sort keys %source],
	['app/auth/tenant.c'], 'struct tenant is defined in tenant.c alone');
my %takes = map { $source{$_} =~ /\b(task_(?:store|sql)_\w+)\s*\(([^;]*)\)/gs }
    'include/task/task_store.h', 'include/task/task_sql.h';
delete @takes{qw(task_sql_read_task task_sql_read_digest)}; # read a row
ok(keys %takes >= 11, 'task_store.h and task_sql.h have at least 11 functions');
is_deeply([grep { $takes{$_} !~ /const\s+struct\s+tenant\s*\*/ } sort keys %takes], [],
	'each function of task_store.h and task_sql.h asks for a tenant');

# Every statement on tasks binds user_id; a unit test program prints the statements.
my $stack = Stack->new;
my $build = $stack->{build} // '/nonexistent';
my $statements = "$build/t/unit/statements";
SKIP: {
	skip "no $statements: make check builds it", 4 if !-x $statements;
	my @statement = map { chomp; [split /\t/] } qx{"$statements"};
	ok(@statement > 10, 'there are ' . @statement . ' statements');
	my (@no_tenant, @text);
	for (@statement) {
		my ($name, $sql) = @$_;
		# Each place that reads or writes the table.
		my $places = () = $sql =~ /\b(?:FROM|INTO|UPDATE)\s+tasks\b/g;
		my $named = () = $sql =~ /\bWHERE\s+user_id\s*=\s*\?/g;
		my $made = () = $sql =~ /\AINSERT INTO tasks \(user_id, [^)]*\) VALUES \(\?, /g;
		push @no_tenant, $name if !$places || $named + $made != $places;
		push @text, $name if $sql =~ /['"]/ || $sql =~ /\bOR\b/;
	}
	is_deeply(\@no_tenant, [], 'each statement names user_id wherever it names tasks');
	is_deeply(\@text, [], 'no statement has a literal text, or an OR that could widen it');
	my %name = map { $_->[0] => 1 } @statement;
	is(scalar keys %name, scalar @statement, 'each statement has a name of its own');
}

# The dynamic linker looks for the names of a library in the program first, so the program
# must export none. (libjansson, for example, has a json_string().)
SKIP: {
	my $program = "$build/todo-fcgi";
	my @ours = map { (split)[-1] }
	    grep { / [TDBRVW] / } qx{nm -D --defined-only "$program" 2>/dev/null};
	skip 'no nm', 1 if $?;
	skip 'sanitizers export their own', 1 if grep { /\A__asan/ } @ours;
	my $usual = qr/\A(?:_.*|environ|std(?:in|out|err)(?:@.*)?|data_start)\z/;
	is_deeply([grep { $_ !~ $usual && !/@/ } @ours], [], 'the program exports no name');
}

# A query without a tenant does not compile.
my $dir = File::Temp->newdir;
sub compiles ($code) {
	open my $f, '>', "$dir/x.c" or die $!;
	my @headers = qw(auth/auth auth/tenant base/arena db/db task/task_store);
	print {$f} (map { qq(#include "$_.h"\n) } @headers), "$code\n";
	close $f;
	my $cc = ($ENV{CC} // 'cc') . ' -std=c11 -D_GNU_SOURCE -fsyntax-only ' . join ' ',
	    map { "-Werror=$_" }
	    qw(incompatible-pointer-types int-conversion implicit-function-declaration);
	my $out = qx{$cc -I"$root/include" "$dir/x.c" 2>&1};
	return $? == 0 ? '' : $out;
}
my ($find) =
    $source{'include/task/task_store.h'} =~ /(enum\s+status\s+task_store_find\s*\([^;]*\))/s;
ok($find, 'task_store.h has task_store_find()');
my $parameters = 'struct db *db, struct arena *arena, const struct current_user *user,'
    . ' const struct tenant *tenant, const char *text, const struct uuid *id, struct task *task';
my $head = "enum status f($parameters); enum status f($parameters)"
    . ' { (void)user; (void)text; (void)tenant;'
    . ' return task_store_find(db, arena, %s, id, task); }';
is(compiles(sprintf $head, 'tenant'), '', 'a query with a tenant compiles');
like(compiles(sprintf $head, $_->[0]), $_->[1], "a query does not compile with $_->[2]")
    for ['user', qr/incompatible pointer/, 'a user as its tenant'],
    ['text', qr/incompatible pointer/, 'a text as its tenant'],
    ['"alice"', qr/incompatible pointer/, 'a literal as its tenant'],
    ['&user->claims.user_id', qr/incompatible pointer/, 'a claim as its tenant'],
    ['&(struct tenant) { 0 }', qr/incomplete type|undefined/, 'a tenant built in place'],
    ['1', qr/without a cast|incompatible/, 'a number as its tenant'];
like(compiles('struct tenant mine;'), qr/storage size|incomplete type/,
	'a variable of struct tenant does not compile');
like(compiles('unsigned long n = sizeof(struct tenant);'), qr/incomplete type/,
	'sizeof(struct tenant) does not compile');

# A route is open, personal or guarded by the type of its handler.
sub compiles_route ($code) {
	my @headers = qw(server/router server/health server/identity task/tasks);
	return compiles(join '', (map { qq(#include "$_.h"\n) } @headers), $code);
}
is(compiles_route('const struct route r = { .guarded = tasks_list };'), '',
	'a guarded handler in .guarded compiles');
like(compiles_route("const struct route r = { .$_->[0] = $_->[1] };"), qr/incompatible pointer/,
	"$_->[1] in .$_->[0] does not compile")
    for [open => 'tasks_list'], [personal => 'tasks_list'], [guarded => 'health_live'],
    [guarded => 'identity_read'], [open => 'identity_read'];

# The README has each reason for which a token is refused.
my ($table) = slurp("$root/README.md") =~ /^### Why was this a 401\?\n(.*?)^###/ms;
my @known = map { my $re = quotemeta; $re =~ s/(?:\\\.){3}\z/.*/; qr/\A$re\z/ }
    grep { /: / } map { /\A\| ([^|]*) \|/ ? $1 =~ /`([^`]+)`/g : () } split /\n/, $table;
my @reasons = $source{'app/auth/token.c'} =~ /\binvalid\(v,\s*"([^"]+)"/g;
ok(@known > 8 && @reasons > 20, 'token.c has more than 20 reasons, and the README more than 8');
sub is_known ($reason) { scalar grep { $reason =~ $_ } @known }
is_deeply([grep { !is_known($_) } @reasons], [], 'the README has each reason for token_invalid');

# npm silently skips an optional package that needs a newer Node.js than npm runs on, which
# is 18 in Debian. The build of the page needs some of these, such as native parts of its
# bundler.
for my $folder ('frontend', 't/tools') {
	my $lock = JSON::PP->new->decode(slurp("$root/$folder/package-lock.json"))->{packages};
	my @too_new = grep {
		my $for = $lock->{$_}{engines}{node} // '';
		$lock->{$_}{optional}
		    && $for =~ /(?:\^|>=|~|\A)\s*(?:19|[2-9]\d)\b/
		    && $for !~ />=\s*(?:\d|1[0-8])\b/
	} sort keys %$lock;
	is_deeply(\@too_new, [],
		"$folder/package-lock.json: no optional package needs a newer Node.js than 18"
	);
}

# No optimisation flags over those of the builder.
my $makefile = slurp("$root/Makefile.am") . slurp("$root/configure.ac");
unlike($makefile, qr/^\s*(?:AM_)?CFLAGS\s*\+?=.*-O\d/m, 'the build files do not set -O in CFLAGS');

$stack->done;
