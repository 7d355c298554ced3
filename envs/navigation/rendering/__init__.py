"""Frames that show an episode, and the fonts of their text."""
