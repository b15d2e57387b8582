"""Model files: their bytes, values in them, checks of what is read."""
