"""The training loop, its settings, checkpoints, run folders, optimisers, devices and processes."""
