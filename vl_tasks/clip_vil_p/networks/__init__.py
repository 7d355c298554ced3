"""Networks of CLIP-ViL_p: trunk, single stream and heads."""
