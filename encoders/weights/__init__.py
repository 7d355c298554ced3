"""Sources of CLIP weights: open_clip names, folders, and files of OpenAI and transformers."""
