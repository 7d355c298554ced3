"""Commands: sharing of runs."""
