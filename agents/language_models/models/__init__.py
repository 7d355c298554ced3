"""Models that answer prompts: servers with OpenAI's interface, and local transformers models."""
