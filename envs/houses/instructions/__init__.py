"""Annotation files of a set of houses: paths and instructions."""
