"""Agent with a map: the dual-scale graph transformer (DUET, Chen et al., arXiv 2202.11742)."""
