"""Targets of the rows ahead, and splits in the order of time, for scikit-learn's `cv`."""

from sklstm._model_selection.horizon import make_horizon
from sklstm._model_selection.splits import PanelTimeSeriesSplit, PurgedTimeSeriesSplit

__all__ = ["PanelTimeSeriesSplit", "PurgedTimeSeriesSplit", "make_horizon"]
