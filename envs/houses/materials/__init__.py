"""Colours, textures and pictures of surfaces."""
