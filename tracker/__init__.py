"""The rules of the product, pure: values in, decisions out. No I/O, no clock, no settings, no chance."""
