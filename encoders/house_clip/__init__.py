"""The small CLIP trained on the built-in houses, as an open_clip local directory."""
