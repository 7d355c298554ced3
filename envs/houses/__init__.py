"""The built-in world: procedurally generated houses with panoramas, graphs and instructions."""
