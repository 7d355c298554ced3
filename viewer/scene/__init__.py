"""Data that the viewer draws of a building: graph, storeys and panoramas."""
