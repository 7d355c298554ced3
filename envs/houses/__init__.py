"""The built-in world: furnished houses generated from seeds, with panoramas and instructions."""
