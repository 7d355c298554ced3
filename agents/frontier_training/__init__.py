"""Training of frontier agents: imitation (DAgger) and reinforcement."""
