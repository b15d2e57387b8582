"""Callbacks for networks in training: progress, checkpoints, pruning, curves.

They are set on the network, by `set_callbacks`, and follow the `FitCallback` protocol of scikit-learn 1.9, as any
other may: `setup`, `on_fit_task_begin`, `on_fit_task_end`, `teardown`. A fit has a task named "epoch" for each epoch
(with `n_seeds`, below one named "network" for each network), whose context has the attribute `epoch`, an
`EpochRecord`, in `on_fit_task_end`. A callback that returns True there ends the training, as early stopping does.
"""

from sklstm._callbacks.checkpoint import Checkpoint
from sklstm._callbacks.learning_curve import LearningCurve
from sklstm._callbacks.progress_bar import ProgressBar
from sklstm._callbacks.pruning import OptunaPruning
from sklstm._callbacks.records import EpochRecord

__all__ = ["Checkpoint", "EpochRecord", "LearningCurve", "OptunaPruning", "ProgressBar"]
