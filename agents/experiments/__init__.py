"""Trained runs opened again, and comparisons of several runs."""
