"""What the naive chain and the loop have in common: a plain schema and row-by-row SQL; only the engines differ."""
