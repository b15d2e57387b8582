"""Least squares on the windows of a table."""
