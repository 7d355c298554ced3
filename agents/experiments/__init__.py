"""Evaluation of trained runs, and comparisons of several runs."""
