"""Readers and writers of annotations and pictures of the tasks."""
