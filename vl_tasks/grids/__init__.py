"""Grid features of images, encoded once and cached."""
