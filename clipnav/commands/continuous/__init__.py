"""Commands: agents without a navigation graph."""
