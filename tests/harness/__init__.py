"""Harnesses that more than one test drives."""
