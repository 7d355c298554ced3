"""clipnav: vision-and-language navigation through CLIP."""
