"""Layers of networks that several agents share."""
