"""Commands: encoders and features."""
