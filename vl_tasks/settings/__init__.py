"""Settings of the tasks and their presets."""
