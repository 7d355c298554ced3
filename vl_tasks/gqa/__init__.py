"""GQA: questions about scenes, with the official scores."""
