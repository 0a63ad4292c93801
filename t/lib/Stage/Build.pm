package Stage::Build;

# The program and the page, built from copies of the sources, so that the checkout
# may be configured, read-only or somebody else's. Copies keep their dates: only
# what has changed is built.

use v5.36;
use File::Path qw(make_path remove_tree);
use Stage::Process qw(output);

my @FOLDERS = qw(app include nginx sql man systemd);

sub _copy ($folder, $from, $to, @files) {
	make_path($to);
	$folder->must('stage/copy.log', "$from could not be copied",
		['cp', '--parents', '--preserve=mode,timestamps', '-t', $to, '--', @files],
		cwd => $from);
}

# The program, in `build`. flags: of ./configure; targets: of make.
sub program ($folder, $top, $build, $flags, @targets) {
	my $src = $folder->file('src');
	$folder->progress('Building ' . ($flags ? "with $flags " : '') . "in $build");
	remove_tree(map { "$src/$_" } @FOLDERS, 't');
	make_path($build);
	my @folders = grep { -d "$top/$_" } @FOLDERS, qw(t/unit t/fuzz);
	my @files = split /\0/, output('find', (map { "$top/$_" } @folders), qw(-type f -printf),
		"%H/%P\\0");
	@files = grep { m{\A(?:nginx|sql|man|systemd)/} || /\.[ch]\z/ }
	    map { substr $_, 1 + length $top } @files;
	push @files, map { s{.*/}{}r } grep { -f && !/Makefile\.in\z/ }
	    glob "$top/*.{ac,am,in,conf,md,yaml} $top/LICENSE";
	_copy($folder, $top, $src, @files);
	my $make = sub (@step) {
		my ($in, @command) = @step;
		$folder->must('stage/build.log', 'it does not build', \@command, cwd => $in);
	};
	unlink $folder->file('stage/build.log');
	$make->($src, qw(autoreconf -i)) if !-e "$src/configure";
	$make->($build, "$src/configure", split ' ', $flags) if !-e "$build/Makefile";
	$make->($build, 'make', '-j' . output('nproc') =~ s/\n//r, @targets);
}

# The issuer's modules and the page, in `frontend`.
sub frontend ($folder, $top, $frontend) {
	remove_tree("$frontend/issuer", "$frontend/page");
	my @files = split /\0/, output('find', "$top/frontend", qw{( -name node_modules -o -name
		dist ) -prune -o -type f -printf %P\\0});
	_copy($folder, "$top/frontend", $frontend, @files);
	Stage::Packages::npm($folder, $frontend);
	my @page = sort split /\n/, output('find', "$frontend/page", '-type', 'f');
	my $spec = $folder->spec("$frontend/package-lock.json", "$frontend/vite.config.js", @page);
	my $built = "$frontend/page.spec";
	return if -e "$frontend/dist/index.html" && -e $built
	    && Stage::Folder::slurp($built) eq $spec;
	$folder->progress('Building the page');
	$folder->must('stage/page.log', 'the page does not build', [qw(npm run build)],
		cwd => $frontend);
	open my $f, '>', $built or die "$built: $!\n";
	print {$f} $spec;
	close $f or die "$built: $!\n";
}

1;
