"""Plots, and logs for the rerun viewer."""
