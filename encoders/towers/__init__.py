"""Image towers of CLIP models behind one interface: grids, dense and pooled features."""
