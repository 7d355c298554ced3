"""Frontier agents: followers that choose among all viewpoints that they have seen."""
