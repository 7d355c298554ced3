"""Commands: demonstrations."""
