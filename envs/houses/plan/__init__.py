"""Floor plans: rooms, openings, storeys."""
