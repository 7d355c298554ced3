"""Ground truth of a house for its instructions: visibility, landmarks and routes."""
