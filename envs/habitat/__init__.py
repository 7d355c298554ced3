"""habitat-sim in a process of its own, under another Python."""
