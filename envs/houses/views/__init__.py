"""Facts about the 36 views of a house panorama, and captions that state them."""
