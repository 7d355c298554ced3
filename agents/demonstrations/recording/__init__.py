"""Recorded walks: settings, walks of teachers and policies, their pictures, and shards of them."""
