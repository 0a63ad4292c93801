# Goal: the promises that the source makes by its shape: one library, one file;
# no query without a guard; every statement on tasks names its tenant.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use JSON::PP ();
use Test::More;
use Stack;

my $root = Stack->root;
sub slurp ($path) { open my $f, '<', $path or die "$path: $!"; local $/; return <$f> }
my %source = map { s{\Q$root\E/}{}r => slurp($_) } glob "$root/app/*/*.c $root/include/*/*.h";
ok(keys %source > 30, 'the source is there');
# Comments say what they like.
s{/\*.*?\*/}{ }gs for values %source;

# One third-party library, one file.
my %home = (
	'fcgiapp.h' => 'app/http/fcgi.c', 'fastcgi.h' => 'app/http/fcgi_record.c',
	'fcgi_config.h' => undef, 'fcgios.h' => undef, 'fcgi_stdio.h' => undef,
	'jwt.h' => 'app/auth/token.c', 'jansson.h' => undef,
	'mysql.h' => 'app/db/db.c', 'mysql/mysql.h' => undef,
	'mysqld_error.h' => 'app/db/db_error.c', 'errmsg.h' => 'app/db/db_error.c',
	'json-c/json.h' => 'app/base/json.c',
);
my %own = map { s{\Ainclude/}{}r => 1 } grep { /\.h\z/ } keys %source;
my %libc =
    map { $_ => 1 }
    map { "$_.h" }
    qw(arpa/inet assert ctype endian errno fcntl grp inttypes limits poll pwd sched signal stdalign stdarg stdbool stddef stdint stdio stdlib
    stdnoreturn getopt string strings sysexits syslog time unistd),
    map { "sys/$_" }
    qw(epoll prctl random resource signalfd socket stat sysmacros time types un uio wait file mman);
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
	is_deeply(\@files, [$home // 'nowhere'], "<$header> is included in one file");
}
ok($at{$_}, "$_ is in use") for qw(fcgiapp.h jwt.h mysql.h);

# What the libraries declare is used nowhere else, not even without their headers.
for (['FCGX_|FCGI_(?:Accept|printf)', 'app/http/fcgi.c'], ['jwt_', 'app/auth/token.c'],
	['mysql_', 'app/db/db.c'], ['json_(?:object|tokener)_', 'app/base/json.c'],
	['EVP_|HMAC\(|SHA256\(|RAND_', 'app/base/crypto.c'])
{
	my ($prefix, $home) = @$_;
	is_deeply(
		[grep { $_ ne $home && $source{$_} =~ /\b(?:$prefix)\w*\s*\(/ } sort keys %source],
		[], "$prefix... are called in $home alone");
}

my $SQL = qr/\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b/;
is_deeply([grep { $source{$_} =~ $SQL } sort keys %source],
	['app/db/schema.c', 'app/task/task_sql.c'],
	'SQL is in task_sql.c, and in what asks for the schema');

# struct tenant is tenant.c's alone, and only tenant_guard() makes one.
is_deeply([grep { $source{$_} =~ /struct\s+tenant\s*\{/ } sort keys %source],
	['app/auth/tenant.c'], 'struct tenant is defined in tenant.c alone');
my %takes = map { $source{$_} =~ /\b(task_(?:store|sql)_\w+)\s*\(([^;]*)\)/gs }
    'include/task/task_store.h', 'include/task/task_sql.h';
delete @takes{qw(task_sql_read_task task_sql_read_digest)}; # read a row
ok(keys %takes >= 11, 'the store and its statements have their functions');
is_deeply([grep { $takes{$_} !~ /const\s+struct\s+tenant\s*\*/ } sort keys %takes], [],
	'each asks for a tenant');

# Every statement on tasks binds user_id, as the program itself prints them.
my $stack = Stack->new;
my $build = $stack->{build} // '/nonexistent';
my $statements = "$build/t/unit/statements";
SKIP: {
	skip "no $statements: make check builds it", 4 if !-x $statements;
	my @statement = map { chomp; [split /\t/] } qx{"$statements"};
	ok(@statement > 10, scalar(@statement) . ' statements');
	my (@no_tenant, @no_bind, @text);
	for (@statement) {
		my ($name, $sql) = @$_;
		# Each read or write of the table, on its own.
		my $places = () = $sql =~ /\b(?:FROM|INTO|UPDATE)\s+tasks\b/g;
		my $named = () = $sql =~ /\bWHERE\s+user_id\s*=\s*\?/g;
		my $made = () = $sql =~ /\AINSERT INTO tasks \(user_id, [^)]*\) VALUES \(\?, /g;
		push @no_tenant, $name if !$places || $named + $made != $places;
		push @text, $name if $sql =~ /['"]/ || $sql =~ /\bOR\b/;
	}
	is_deeply(\@no_tenant, [], 'each of them names user_id wherever it names tasks');
	is_deeply(\@text, [], 'none holds a text, or an OR that could widen it');
	my %name = map { $_->[0] => 1 } @statement;
	is(scalar keys %name, scalar @statement, 'each under its own name');
}

# The dynamic linker looks for a library's names in the program first: none of ours
# may be there for it to find. (libjansson, too, has a json_string().)
SKIP: {
	my $program = "$build/todo-fcgi";
	my @ours = map { (split)[-1] }
	    grep { / [TDBRVW] / } qx{nm -D --defined-only "$program" 2>/dev/null};
	skip 'no nm', 1 if $?;
	skip 'sanitizers export their own', 1 if grep { /\A__asan/ } @ours;
	is_deeply(
		[
			grep { !/\A(?:_.*|environ|std(?:in|out|err)(?:@.*)?|data_start)\z/ && !/@/ }
			    @ours
		],
		[],
		'the program exports no name');
}

# What must not compile does not; what must, does.
my $dir = File::Temp->newdir;
sub compiles ($code) {
	open my $f, '>', "$dir/x.c" or die $!;
	print {$f} qq(#include "auth/auth.h"\n#include "auth/tenant.h"\n#include "base/arena.h"\n#include "db/db.h"\n#include "task/task_store.h"\n$code\n);
	close $f;
	my $cc = $ENV{CC} // 'cc';
	my $out =
	    qx{$cc -std=c11 -D_GNU_SOURCE -fsyntax-only -Werror=incompatible-pointer-types -Werror=int-conversion -Werror=implicit-function-declaration -I"$root/include" "$dir/x.c" 2>&1};
	return $? == 0 ? '' : $out;
}
my ($find) =
    $source{'include/task/task_store.h'} =~ /(enum\s+status\s+task_store_find\s*\([^;]*\))/s;
ok($find, 'there is task_store_find()');
my $head =
    'enum status f(struct db *db, struct arena *arena, const struct current_user *user, const struct tenant *tenant, const char *text, const struct uuid *id, struct task *task);'
    . ' enum status f(struct db *db, struct arena *arena, const struct current_user *user, const struct tenant *tenant, const char *text, const struct uuid *id, struct task *task) { (void)user; (void)text; (void)tenant; return task_store_find(db, arena, %s, id, task); }';
is(compiles(sprintf $head, 'tenant'), '', 'a query with a tenant compiles');
like(compiles(sprintf $head, $_->[0]), $_->[1], "a query with $_->[2] does not")
    for ['user', qr/incompatible pointer/, 'a user for a tenant'],
    ['text', qr/incompatible pointer/, 'a name for a tenant'],
    ['"alice"', qr/incompatible pointer/, 'a literal for a tenant'],
    ['&user->claims.user_id', qr/incompatible pointer/, 'a claim for a tenant'],
    ['&(struct tenant) { 0 }', qr/incomplete type|undefined/, 'a tenant of one\'s own making'],
    ['1', qr/without a cast|incompatible/, 'a number for a tenant'];
like(compiles('struct tenant mine;'), qr/storage size|incomplete type/,
	'nobody else can have a struct tenant');
like(compiles('unsigned long n = sizeof(struct tenant);'), qr/incomplete type/,
	'nor know its size');

# A route is open, personal or guarded by the type of its handler.
sub compiles_route ($code) {
	compiles(
		qq(#include "server/router.h"\n#include "server/health.h"\n#include "server/identity.h"\n#include "task/tasks.h"\n$code)
	)
}
is(compiles_route('const struct route r = { .guarded = tasks_list };'), '',
	'a guarded handler in a guarded route');
like(compiles_route("const struct route r = { .$_->[0] = $_->[1] };"), qr/incompatible pointer/,
	"$_->[1] in .$_->[0] does not compile")
    for [open => 'tasks_list'], [personal => 'tasks_list'], [guarded => 'health_live'],
    [guarded => 'identity_read'], [open => 'identity_read'];

# Whatever a token is refused for, the README says what to do about it.
my ($table) = slurp("$root/README.md") =~ /^### Why was this a 401\?\n(.*?)^###/ms;
my @known = map { my $re = quotemeta; $re =~ s/(?:\\\.){3}\z/.*/; qr/\A$re\z/ }
    grep { /: / } map { /\A\| ([^|]*) \|/ ? $1 =~ /`([^`]+)`/g : () } split /\n/, $table;
my @reasons = $source{'app/auth/token.c'} =~ /\binvalid\(v,\s*"([^"]+)"/g;
ok(@known > 8 && @reasons > 20, 'there are reasons, and a table of them');
is_deeply(
	[
		grep {
			my $reason = $_;
			!grep { $reason =~ $_ } @known
		} @reasons
	],
	[],
	'each reason for token_invalid is in it');

# npm leaves out, without a word, an optional package that is for a newer Node.js
# than it runs under itself, which is Debian's 18; and what is optional there the
# page may not be built without, as the native part of a bundler.
for my $folder ('frontend', 't/tools') {
	my $lock = JSON::PP->new->decode(slurp("$root/$folder/package-lock.json"))->{packages};
	my @too_new = grep {
		my $for = $lock->{$_}{engines}{node} // '';
		$lock->{$_}{optional}
		    && $for =~ /(?:\^|>=|~|\A)\s*(?:19|[2-9]\d)\b/
		    && $for !~ />=\s*(?:\d|1[0-8])\b/
	} sort keys %$lock;
	is_deeply(\@too_new, [],
		"$folder/package-lock.json: no optional package asks for a newer Node.js than Debian's"
	);
}

# No flags over the builder's own, no access flag in a route.
my $makefile = slurp("$root/Makefile.am") . slurp("$root/configure.ac");
unlike($makefile, qr/^\s*(?:AM_)?CFLAGS\s*\+?=.*-O\d/m, 'the builder\'s CFLAGS are the builder\'s');

$stack->done;
