"""Commands: the viewer and plots."""
