"""What the viewer draws of a building: graphs, storeys, pictures."""
