package Files;

# Whole files, read and written.

use v5.36;
use Exporter qw(import);

our @EXPORT = qw(slurp slurp_if_there spew);

sub slurp ($path) {
	open my $f, '<', $path or die "$path: $!";
	local $/;
	return <$f> // '';
}

# For files that may be gone, as those of a process are.
sub slurp_if_there ($path) {
	open my $f, '<', $path or return '';
	local $/;
	return <$f> // '';
}

# Through a rename, so that a reader sees the old text or the new one.
sub spew ($path, $text) {
	open my $f, '>', "$path.new" or die "$path.new: $!";
	print {$f} $text;
	close $f or die "$path.new: $!";
	rename "$path.new", $path or die "$path: $!";
	return $path;
}

1;
