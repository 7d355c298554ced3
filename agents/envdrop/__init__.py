"""The EnvDrop family of networks, one per file."""
