"""Visual question answering in several languages."""
