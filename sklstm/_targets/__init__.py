"""Targets of an estimator: their checks, their coding for the network, and predictions from its raw output."""

from sklstm._targets.contract import HeadChange, Targets
from sklstm._targets.labels import LabelTargets
from sklstm._targets.numbers import LOSS_NAMES, NumberTargets

__all__ = ["LOSS_NAMES", "HeadChange", "LabelTargets", "NumberTargets", "Targets"]
