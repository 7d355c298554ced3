"""Agent with a history of its steps (HAMT, Chen et al., arXiv 2110.13309)."""
