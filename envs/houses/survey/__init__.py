"""What can be seen and walked in a house: visibility, landmarks, routes."""
