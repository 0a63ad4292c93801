package Faults;

# What the scripts in t/long share. Each has a short form, for the normal suite,
# and a long one, whose figures t/README.md tells: FAULTS=long.

use v5.36;
use Config;
use Cwd ();
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp ();
use Files;
use IO::Socket::UNIX;
use Test::More;

our @EXPORT = qw(long is_long figure compiled rebuilt sanitized median resident descriptors);
my $TOP = Cwd::abs_path(dirname(__FILE__) . '/../..');

sub is_long () { ($ENV{FAULTS} // '') eq 'long' }

# `short` in the short form, `long` in the long one.
sub long ($short, $long) { is_long() ? $long : $short }

# Prints the figure of a promise in the long form, also to the file $FAULTS_FIGURES.
sub figure ($promise, $text) {
	my $line = "$promise: $text";
	is_long() ? diag($line) : note($line);
	return if !is_long() || !defined $ENV{FAULTS_FIGURES};
	open my $f, '>>', $ENV{FAULTS_FIGURES} or die "$ENV{FAULTS_FIGURES}: $!";
	say {$f} $line;
}

# Does the build tree have sanitizers? They replace the allocator.
sub sanitized ($build) {
	open my $f, '<', "$build/Makefile" or return 0;
	return scalar grep { /^HARDEN_CFLAGS =.*-fsanitize/ } <$f>;
}

# The path of a compiled file.
my $made;
sub made ($name) {
	$made //= File::Temp->newdir('todo-made-XXXXXX', TMPDIR => 1);
	chmod 0755, $made;
	return "$made/$name";
}

# Compiles `out`. Returns its path, or undef if there is no compiler.
sub cc ($out, @arguments) {
	my @command =
	    ($ENV{CC} // 'cc', qw(-std=c11 -D_GNU_SOURCE -g), "-I$TOP/include", '-o', $out,
		@arguments);
	my $log = "$out.log";
	open my $saved, '>&', \*STDERR or die $!;
	open STDERR, '>', $log or die $!;
	my $status = system { $command[0] } @command;
	open STDERR, '>&', $saved or die $!;
	return $out if $status == 0;
	diag(slurp_if_there($log)) if $status > 0;
	return undef;
}

sub libraries (@names) { split ' ', qx(pkg-config --cflags --libs @names) }
my @LIBRARIES = qw(fcgi json-c libjwt libmariadb libcrypto);

# Compiles t/<source>. Returns the path of the result, or undef if there is no
# compiler. shared => 1: a library to preload; build => a build tree: linked with
# all of the program except main(); libraries => names for pkg-config.
sub compiled ($source, %o) {
	my $name = $source =~ s{.*/}{}r =~ s/\.c\z//r;
	return cc(
		made($o{shared} ? "$name.so" : $name), qw(-O2 -Wall -Wextra -Werror),
		"$TOP/t/$source",
		$o{shared} ? qw(-shared -fPIC -ldl) : (),
		$o{build} ? ("$o{build}/libtodo.a", libraries(@LIBRARIES)) : (),
		$o{libraries} ? libraries($o{libraries}) : ());
}

# Compiles the program with these flags.
sub rebuilt (@flags) {
	return cc(made('todo-fcgi'), qw(-O1 -fvisibility=hidden -DPACKAGE_VERSION="rebuilt"),
		@flags, glob("$TOP/app/*/*.c"), libraries(@LIBRARIES));
}

sub median (@n) { @n = sort { $a <=> $b } @n; return $n[$#n / 2] }

# KiB of private memory, and open descriptors, of a process.
sub resident ($pid) {
	my $rollup = slurp_if_there("/proc/$pid/smaps_rollup");
	my $sum = 0;
	$sum += $_ for $rollup =~ /^(?:Private_Clean|Private_Dirty|Swap):\s+(\d+)/mg;
	return $sum;
}
sub descriptors ($pid) { my @fd = glob "/proc/$pid/fd/*"; return scalar @fd }

1;
