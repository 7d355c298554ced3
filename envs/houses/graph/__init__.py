"""Navigation graphs of houses: viewpoints and edges."""
