"""The pipeline's steps: each reads what its batch needs, lets the pure rules decide, and writes set by set."""
