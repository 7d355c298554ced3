"""Commands: the installation."""
