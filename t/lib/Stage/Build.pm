package Stage::Build;

# The program and the page, built from copies of the sources, so that the checkout
# may be configured, read-only or somebody else's. Copies keep their dates: only
# what has changed is built.

use v5.36;
use File::Path qw(make_path remove_tree);
use Stage::Process qw(output);

my @FOLDERS = qw(app include nginx sql man systemd t/unit t/fuzz);

# The files below some folders, relative to `in`.
sub _files ($in, $folders, @find) {
	return map { substr $_, 1 + length $in }
	    split /\0/, output('find', (map { "$in/$_" } @$folders), @find, qw(-type f -print0));
}

sub _copy ($folder, $from, $to, @files) {
	make_path($to);
	$folder->must('stage/copy.log', "$from could not be copied",
		['cp', '--parents', '--preserve=mode,timestamps', '-t', $to, '--', @files],
		cwd => $from);
}

# The program, in `build`. flags: of ./configure; targets: of make
sub program ($folder, $top, $build, $flags, @targets) {
	my $src = $folder->file('src');
	$folder->progress('Building ' . ($flags ? "with $flags " : '') . "in $build");
	remove_tree(map { "$src/$_" } @FOLDERS);
	make_path($build);
	# Of the folders with C no more than that: what was built there would be found first.
	my @files = grep { /\.[ch]\z/ || !m{\A(?:app|include|t)/} }
	    _files($top, [grep { -d "$top/$_" } @FOLDERS]);
	push @files, map { s{.*/}{}r } grep { -f && !/Makefile\.in\z/ }
	    glob "$top/*.{ac,am,in,conf,md,yaml} $top/LICENSE";
	_copy($folder, $top, $src, @files);
	unlink $folder->file('stage/build.log');
	my $make = sub ($in, @command) {
		$folder->must('stage/build.log', 'it does not build', \@command, cwd => $in);
	};
	$make->($src, qw(autoreconf -i)) if !-e "$src/configure";
	$make->($build, "$src/configure", split ' ', $flags) if !-e "$build/Makefile";
	$make->($build, 'make', '-j' . output('nproc') =~ s/\n//r, @targets);
}

# The issuer's modules and the page, in `frontend`.
sub frontend ($folder, $top, $frontend) {
	remove_tree("$frontend/issuer", "$frontend/page");
	_copy($folder, "$top/frontend", $frontend, _files("$top/frontend", ['.'],
		qw{( -name node_modules -o -name dist ) -prune -o}));
	Stage::Packages::npm($folder, $frontend);
	my @parts = map { "$frontend/$_" } qw(package-lock.json vite.config.js),
	    sort(_files($frontend, ['page']));
	return if -e "$frontend/dist/index.html" && $folder->same_parts('page', @parts);
	$folder->progress('Building the page');
	$folder->must('stage/page.log', 'the page does not build', [qw(npm run build)],
		cwd => $frontend);
	$folder->remember_parts('page', @parts);
}

1;
