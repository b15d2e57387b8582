"""Targets of the rows ahead, and splits in the order of time."""
