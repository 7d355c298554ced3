"""Bodies of the commands, grouped as in `clipnav --help-all`."""
