"""DUET: an agent with a map and a transformer over it."""
