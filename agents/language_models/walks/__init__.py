"""Walks of agents that ask a model for each action."""
