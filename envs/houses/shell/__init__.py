"""Walls, floors, stairs and facade of a house, and its assembly into a scene."""
