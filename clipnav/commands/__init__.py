"""Bodies of the commands in `scripts/`."""
