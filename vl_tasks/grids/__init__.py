"""Grid features of pictures, encoded once and cached."""
