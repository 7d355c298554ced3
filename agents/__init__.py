"""Vision-and-language navigation agents."""
