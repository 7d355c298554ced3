"""Triangle meshes and scenes."""
