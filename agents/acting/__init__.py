"""Agents that walk: rollouts, followers, baselines and search, and their evaluation."""
