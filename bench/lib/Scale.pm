package Scale;
use v5.36;
1;
