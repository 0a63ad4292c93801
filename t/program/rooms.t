# Goal: the tree shows what may call what. Each C file of the program is in a room,
# a room includes only rooms below it, and no chain of includes is a circle.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Files;
use Stack;

# Each room, and the rooms below it. db and http do not know each other.
my %BELOW = (
	base => [],
	db => [qw(base)],
	http => [qw(base)],
	auth => [qw(base db http)],
	task => [qw(base db http auth)],
	server => [qw(base db http auth task)],
);

# Headers that have all of their code in themselves.
my %INLINE = map { $_ => 1 } qw(base/array base/slice http/exchange);

my $root = Stack->root;
chomp(my @files = qx{cd '$root' && find app include t bench -name node_modules -prune -o \\
    -name '*.[ch]' -print});
ok(@files > 60, scalar(@files) . ' C files');

# The headers of the program that a file includes: path of the file => [ROOM/NAME.h ...].
my %includes;
for my $file (@files) {
	my @headers = slurp("$root/$file") =~ /^\s*#\s*include\s*"([^"]+)"/gm;
	$includes{$file} = \@headers;
}

# app/ROOM/x.c and include/ROOM/x.h are both the module ROOM/x.
sub module ($file) { return $file =~ m{\A(?:app/|include/)?(\w+/\w+)\.[ch]\z} ? $1 : undef }
sub room ($module) { return $module =~ s{/.*}{}r }

# What is wrong with a graph: file => [header ...].
sub faults ($graph) {
	my (@faults, %edges);
	for my $file (grep { m{\A(?:app|include)/} } sort keys %$graph) {
		my $from = module($file);
		if (!defined $from || !$BELOW{ room($from) }) {
			push @faults, "$file is in no room";
			next;
		}
		for my $header ($graph->{$file}->@*) {
			my $to = module($header) // 'nowhere/nothing';
			next if $to eq $from;
			push @faults, "$file includes $header, which is not below it"
			    if !grep { $_ eq room($to) } room($from), $BELOW{ room($from) }->@*;
			$edges{$from}{$to} = 1;
		}
	}
	return @faults, circles(\%edges);
}

# Each circle of *edges*, as the modules on the way round.
sub circles ($edges) {
	my (%state, @circles);
	my $walk = sub ($self, $module, @path) {
		my $state = $state{$module} // 'new';
		push @circles, 'circle: ' . join ' -> ', @path, $module if $state eq 'open';
		return if $state ne 'new';
		$state{$module} = 'open';
		$self->($self, $_, @path, $module) for sort keys $edges->{$module}->%*;
		$state{$module} = 'done';
	};
	$walk->($walk, $_) for sort keys %$edges;
	return @circles;
}

is_deeply([faults(\%includes)], [], 'no file looks upward, in a circle, or has no room');
is_deeply([grep { !defined module($_) || !-e "$root/include/$_" }
    grep { m{\A\w+/} } map { @$_ } values %includes],
    [], 'each header that is named by its room exists');
is_deeply([sort { $a cmp $b } grep { !-e "$root/app/$_.c" && !$INLINE{$_} }
    map { m{\Ainclude/(.*)\.h\z} } @files], [], 'each header has its file in the same room');

# Break each part of the rule, and see it fail.
for (['an upward include is a fault', { 'app/base/x.c' => ['db/db.h'] },
	'app/base/x.c includes db/db.h, which is not below it'],
    ['an include of db in http is a fault', { 'app/http/x.c' => ['db/db.h'] },
	'app/http/x.c includes db/db.h, which is not below it'],
    ['an include of http in db is a fault', { 'include/db/x.h' => ['http/fcgi.h'] },
	'include/db/x.h includes http/fcgi.h, which is not below it'],
    ['an include without a room is a fault', { 'app/base/x.c' => ['slice.h'] },
	'app/base/x.c includes slice.h, which is not below it'],
    ['a circle is a fault', { 'include/base/x.h' => ['base/y.h'], 'app/base/y.c' => ['base/x.h'] },
	'circle: base/x -> base/y -> base/x'],
    ['a file in no room is a fault', { 'app/x.c' => [] }, 'app/x.c is in no room'],
    ['a room that is not in the table is a fault', { 'app/attic/x.c' => [] },
	'app/attic/x.c is in no room']) {
	my ($fact, $graph, $fault) = @$_;
	is_deeply([faults($graph)], [$fault], $fact);
}

# Each header that *file* reaches through others, as its module.
sub reached ($file) {
	my %reached;
	my @todo = ($file);
	while (defined(my $next = shift @todo)) {
		my @new = grep { !$reached{$_}++ } map { module($_) } ($includes{$next} // [])->@*;
		push @todo, map { "include/$_.h" } @new;
	}
	return sort keys %reached;
}

# What a reader of input can reach, its type says.
for my $reader ('task/task_json', 'task/task_query', 'base/json', 'base/json_check',
    'http/request', 'http/media_type', 'http/entity_tag') {
	is_deeply([grep { m{\Adb/|\Aauth/|/crypto\z|\Aserver/} } reached("app/$reader.c")], [],
	    "$reader reaches no database and no secret");
}
my @store = reached('include/task/task_store.h');
ok(@store <= 8, 'task_store.h reaches at most 8 headers') or diag("@store");
is_deeply(
	[grep { !m{\Abase/|\Aserver/(?:notify|handoff|master)\z} } reached('app/server/master.c')],
	[], 'the master knows no request, no token and no database');
is_deeply(
	[grep { m{\Adb/|\Atask/|/fcgi\z} } reached('app/server/identity.c')], [],
	'identity is made of the token alone');

done_testing;
