package Sql;

# What scripts do to the database beside the program: many rows at once, and the
# connections of an account.

use v5.36;
use Exporter qw(import);

our @EXPORT = qw(insert_tasks connections cut_connections);

# `count` tasks for each of the users. The values are SQL in which seq counts
# from 1: id, title, description, completed.
sub insert_tasks ($stack, $users, $count, %value) {
	my %sql = (id => "UNHEX(LPAD(HEX(seq), 32, '0'))", title => "'x'", description => 'NULL',
	    completed => '0', %value);
	my $ids = join ' UNION ALL ', map { "SELECT '@{[$_->id]}' AS user_id" } @$users;
	$stack->sql("INSERT INTO todo.tasks
	    (user_id, id, title, description, completed, revision, created_at, updated_at)
	    SELECT user_id, $sql{id}, $sql{title}, $sql{description}, $sql{completed}, 1,
	    NOW(6), NOW(6) FROM todo.seq_1_to_$count, ($ids) AS users");
}

# The ids of the connections that `account` has.
sub connections ($stack, $account = 'todo') {
	return map { $_->[0] } $stack->sql(
	    "SELECT id FROM information_schema.processlist WHERE user = '$account'");
}

# Ends the connections that `account` has, after the statements of `first`.
sub cut_connections ($stack, $account = 'todo', $first = 'DO 0') {
	$stack->sql(join '; ', $first, map { "KILL CONNECTION $_" } connections($stack, $account));
}

1;
