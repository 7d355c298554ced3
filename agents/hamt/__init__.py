"""HAMT: an agent with a transformer over its history."""
