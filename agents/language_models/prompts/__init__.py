"""Contents of prompts: known places, options in words, pictures, and the parsing of answers."""
