"""3D models of buildings: triangles, textures and named objects, and their GLB files."""
