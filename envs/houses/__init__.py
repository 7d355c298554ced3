"""The built-in world: furnished houses made from seeds, with pictures, graphs and instructions."""
