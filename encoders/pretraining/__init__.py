"""Pre-training of a CLIP on views of the built-in houses."""
