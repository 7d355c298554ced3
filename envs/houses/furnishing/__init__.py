"""Which piece of furniture stands where."""
