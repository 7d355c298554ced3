"""A house, and a set of houses, as objects and files."""
