"""Synthetic customers and operators: a world made from a seed, sent over HTTP as providers and people would."""
