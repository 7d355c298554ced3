"""Floor plans: rooms, openings and storeys."""
