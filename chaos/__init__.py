"""Proof by chaos: the real processes under load, killed and cut at seeded moments, and then held against the truth."""
