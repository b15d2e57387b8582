"""Small real data sets for examples and tests; nothing is downloaded."""

from sklstm.datasets._etth1 import load_etth1

__all__ = ["load_etth1"]
