"""Commands: navigation agents."""
