"""What each of the 36 views of a house shows."""
