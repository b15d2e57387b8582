"""Tests of the targets of the rows ahead, and of the splits in time."""
