"""Base classes of the environments: one agent, a batch of agents, and what Gymnasium expects."""
