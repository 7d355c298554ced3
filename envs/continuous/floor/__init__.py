"""The floor of a house for agents that move freely: movement, collisions and distances."""
