"""Where CLIP weights come from: open_clip names, folders, and OpenAI's and transformers' files."""
