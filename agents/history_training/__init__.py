"""Training of HAMT."""
