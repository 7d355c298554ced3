"""Viewpoints and edges of a house."""
