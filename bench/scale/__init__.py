"""`make bench-scale`: what grows, and whether anything becomes slower by it; docs/scaling.md says how."""
