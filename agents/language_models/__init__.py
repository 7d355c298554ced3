"""Agents that ask a vision-language model for each action, on navigation graphs."""
