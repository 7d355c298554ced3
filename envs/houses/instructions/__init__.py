"""Episodes of the built-in houses: paths, instructions and annotation files."""
