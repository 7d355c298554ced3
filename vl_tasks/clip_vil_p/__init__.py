"""CLIP-ViL_p: a CLIP image tower and a BERT in a single stream, pre-trained together."""
