"""CLEAR: representations of instructions and views that carry over between languages and houses."""
