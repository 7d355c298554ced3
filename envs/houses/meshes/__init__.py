"""Triangle meshes and the scene that they make up."""
