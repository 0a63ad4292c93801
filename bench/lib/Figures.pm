package Figures;

# Numbers out of several rounds.

use v5.36;
use Exporter qw(import);

our @EXPORT = qw(median rounded spread);

sub median (@numbers) {
	my @sorted = sort { $a <=> $b } @numbers;
	my $middle = int(@sorted / 2);
	return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

sub rounded ($number, $digits = 1) { 0 + sprintf "%.${digits}f", $number }

# Median, least and most.
sub spread ($digits, @numbers) {
	my @sorted = sort { $a <=> $b } @numbers;
	return {
		median => rounded(median(@numbers), $digits),
		min => rounded($sorted[0], $digits), max => rounded($sorted[-1], $digits),
	};
}

1;
