"""Commands: vision-and-language tasks."""
