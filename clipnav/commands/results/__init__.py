"""Commands: results of the documentation."""
