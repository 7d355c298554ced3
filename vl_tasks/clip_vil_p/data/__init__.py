"""Data of CLIP-ViL_p: pairs on disk, word pieces, images and batches."""
