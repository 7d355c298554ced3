"""The built-in world: furnished houses generated from seeds, with images, graphs, instructions."""
