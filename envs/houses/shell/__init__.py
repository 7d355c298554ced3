"""Walls, floors, stairs and facade, put together as a scene."""
