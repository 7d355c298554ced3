"""Training of a CLIP on pictures of the built-in houses."""
