"""Commands: datasets."""
