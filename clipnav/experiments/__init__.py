"""Experiments: the tables of the documentation, the commands that make them, and their records."""
