"""Agents of the navigation graphs that walk continuous episodes among places on the floor."""
