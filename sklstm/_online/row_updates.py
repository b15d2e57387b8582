"""Updates by a single row, with the bits of all others.

All that is the same for each row is prepared once. A row for which more than parameters may change, or that cannot be
learnt, is left to the way of the others, which says why.
"""

from math import isfinite, ldexp

import numpy as np

from sklstm._kernels.columns._column_statistics import joined_moments
from sklstm._network.one_row import OneRow
from sklstm._scaling import CONSTANT, HUGE, LARGEST_GROWTH, column_scales
from sklstm._targets.numbers import NumberTargets
from sklstm._training.clipping import global_norm
from sklstm._training.loop import TrainingSchedule
from sklstm._training.sample_weights import MeanWeight

# The weight of a row is WEIGHT * 2**EXPONENT.
WEIGHT, EXPONENT = 0.5, 1


class RowUpdates:
    """What updates by one row of a `Session` have in common.

    Parameters
    ----------
    network : Network
        With the parameters, and the rows' scales.
    model : estimator
    targets : Targets
        Of the model.
    settings : Settings
        Of an update by one row.
    """

    def __init__(self, network, model, targets, settings):
        self._network, self._settings = network, settings
        neighbours = settings.training == "windows" and settings.shuffle is not True
        self._rows = OneRow(network, settings.loss, settings.loss_parameter, neighbours)
        self._mean, self._scale = (
            np.ravel(one).astype(np.float64) for one in (model.target_mean_, model.target_scale_)
        )
        # Of a single target as numbers: NumPy takes microseconds for each operation.
        self._one = (float(self._mean[0]), float(self._scale[0])) if len(self._mean) == 1 else None
        self._farthest = targets.farthest
        self._n_repeats = network.layout.n_outputs // len(self._mean)  # outputs of a target
        self._weight = np.full(1, WEIGHT, network.dtype)

    @staticmethod
    def suit(network, model, targets, settings):
        """Return whether a model can be updated so."""
        noise = settings.dropout, settings.recurrent_dropout, settings.weight_dropout, network.architecture.zoneout
        return (
            settings.training in ("stateful", "windows")
            and type(targets) is NumberTargets
            and model.loss != "poisson"
            and not any(noise)
            and settings.recurrent_bound is None
            and bool(np.all(model.target_scale_ > 0))
        )

    def learn_scales(self, model, table, y):
        """Return what moments become with a row, as fitted attributes; None where a scale may change.

        Parameters
        ----------
        model : estimator
        table : ndarray of shape (n_rows, n_features)
            Its window, or the row alone.
        y : ndarray of shape (n_targets,)
        """
        inputs, coding = model._input_moments, model._coding
        fitted = {"_input_moments": inputs}
        if min(inputs["exponent"], coding["moments"]["exponent"]) < EXPONENT:
            return None  # weights are counted in a smaller unit
        if model.input_scaling is not None:
            mean, deviation = (table[0], None) if len(table) == 1 else column_scales(table, np.ones(len(table)))
            fitted["_input_moments"], is_steady = _joined(inputs, float(len(table)), mean, deviation)
            if not is_steady:
                return None
        moments, _ = _joined(coding["moments"], WEIGHT, y, None)
        if self._one is None:
            is_steady = (moments["deviation"] <= LARGEST_GROWTH * self._scale).all()
        else:
            is_steady = moments["deviation"].item() <= LARGEST_GROWTH * self._one[1]
        if not is_steady:
            return None
        fitted["_coding"] = {**coding, "moments": moments}
        return fitted

    def encoded(self, y):
        """Return a target as the network learns it, of shape (1, n_outputs); None for one that is far off."""
        if self._one is not None:
            (mean, scale), number = self._one, y.item()
            code = (number - mean) / scale
            if not (max(abs(number), abs(mean)) <= HUGE and abs(code) <= self._farthest):
                return None
            return np.full((1, self._n_repeats), code, self._network.dtype)
        if not max(np.abs(y).max(), np.abs(self._mean).max()) <= HUGE:
            return None
        target = (y - self._mean) / self._scale
        if not np.abs(target).max() <= self._farthest:
            return None
        target = target.astype(self._network.dtype)
        return np.repeat(target, self._n_repeats)[np.newaxis] if self._n_repeats > 1 else target[np.newaxis]

    def train(self, session, table, target, states):
        """Train on a row; return what is to be taken over, None where the loss or what follows is not finite."""
        network, settings = self._network, self._settings
        mean_weight = MeanWeight(session.mean_weight.state)
        mean = mean_weight.include_mean(WEIGHT, 1, EXPONENT)
        loss, gradient, states = self._rows.loss_and_gradient(table, states, target, self._weight, 1.0 / mean)
        norm = global_norm(gradient, network.n_threads)
        if not (isfinite(loss) and isfinite(norm)):
            return None
        schedule = TrainingSchedule(settings, 1, session.loop)
        rate = settings.learning_rate * schedule.schedule.factor(0)
        reported = mean / WEIGHT * loss
        session.keep()
        try:
            session.optimizer.step(network.weights, gradient, rate, schedule.clipping.factor(norm))
            schedule.schedule.observe(reported)
            is_finite = session.is_surely_finite or session.is_finite_behind(table)
        except BaseException:
            session.put_back()
            raise
        if not is_finite:
            session.put_back()
            return None
        return {
            "mean_weight": mean_weight,
            "loop": {**session.loop, **schedule.state},
            "loss": reported,
            "norm": norm,
            "states": states,
        }


def _joined(moments, weight, mean, deviation):
    """Return the moments of columns with more rows, and whether all have varied and weigh much less than before."""
    exponent = moments["exponent"]
    own = (moments[name] for name in ("weight", "mean", "deviation"))
    weight = ldexp(weight, max(EXPONENT - exponent, -2000))
    *joined, is_steady = joined_moments(*own, weight, mean, deviation, CONSTANT, 1.0 + LARGEST_GROWTH)
    return {"weight": joined[0], "exponent": exponent, "mean": joined[1], "deviation": joined[2]}, is_steady
