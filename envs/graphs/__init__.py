"""Navigation graphs, and what is computed on them once: shortest paths, candidates."""
