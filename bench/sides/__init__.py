"""The three sides, each on servers of its own in a folder of its own."""
