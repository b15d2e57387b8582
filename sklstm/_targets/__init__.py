"""What the targets of an estimator are: their checks, their coding for the network, answers made of its raw output."""

from sklstm._targets.contract import HeadChange, Targets
from sklstm._targets.labels import LabelTargets
from sklstm._targets.numbers import LOSS_NAMES, NumberTargets

__all__ = ["LOSS_NAMES", "HeadChange", "LabelTargets", "NumberTargets", "Targets"]
