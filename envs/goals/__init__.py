"""Datasets whose goals are more than one place: a module each, with reader and scores."""
