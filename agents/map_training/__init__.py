"""Training of map agents: behaviour cloning, DAgger and pre-training."""
