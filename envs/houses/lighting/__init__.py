"""Lamps and baked light."""
