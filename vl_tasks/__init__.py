"""Vision-and-language tasks on the same CLIP encoder as the navigation agents."""
