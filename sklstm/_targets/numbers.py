"""Numbers, one or several for each sample."""

from contextlib import nullcontext

import numpy as np
from sklearn.utils import assert_all_finite

from sklstm._cell_choice import check_cell
from sklstm._column_positions import called, refuse_known_targets, refuse_time_targets
from sklstm._dtypes import array_dtype
from sklstm._network.moments import window_moments
from sklstm._scaling import LARGEST_GROWTH, Moments, moments_of, quotient
from sklstm._seeds import n_networks
from sklstm._target_columns import check_target_column, warn_of_other_unit
from sklstm._targets.conformal import ConformalBands, corrected, refuse_bands
from sklstm._targets.contract import HeadChange
from sklstm._targets.groups import GroupedTargets, TargetsOfGroups
from sklstm._training.losses import LOSSES
from sklstm._validation import (
    check_numbers,
    check_quantiles,
    counted_entries,
    median_place,
    naming,
)
from sklstm._warn import warn_user

LOSS_NAMES = {
    "squared_error": "squared",
    "absolute_error": "absolute",
    "huber": "huber",
    "log_cosh": "log_cosh",
    "quantile": "quantile",
    "poisson": "poisson",
}
# Targets may be so many times closer than the square root of the largest number of the dtype: room for sums.
FAR = 1024.0
# Answers for targets of such a size may overflow.
HUGE_TARGET = 1e300
WAY_OUT = " For labels use a classifier, such as DeepRNNClassifier."
# Beyond so much growth, what was learnt before is next to nothing.
TOLD_GROWTH = 1000.0


class NumberTargets(ConformalBands, TargetsOfGroups):
    """Targets of a regressor: numbers, standardised (divided by their mean for the Poisson loss).

    Parameters
    ----------
    model : estimator
        Fitted or not.
    """

    def __init__(self, model):
        self._loss, self._quantile, self._huber_delta = model.loss, model.quantile, model.huber_delta
        self._window_norm, self._target_column, self._dtype = model.window_norm, model.target_column, model.dtype
        self._known_columns, self._decoder, self._cell = model.known_columns, model.decoder, model.cell
        # What was learnt: by what the targets are measured, and what the network was trained for.
        self._mean, self._scale = getattr(model, "target_mean_", None), getattr(model, "target_scale_", None)
        self._coding, self._correction = getattr(model, "_coding", None), getattr(model, "conformal_correction_", None)
        self._conformal = model.conformal
        self._is_continued, self._names, self.n_networks = self._coding is not None, None, n_networks(model)
        self._groups = GroupedTargets(model)

    def fitted(self):
        """Return what targets, groups and bands are measured and corrected by, and what the network was trained for."""
        learnt = {} if self._correction is None else {"conformal_correction_": self._correction}
        learnt |= self._groups.fitted(self._coding["shape"])
        return {"target_mean_": self._mean, "target_scale_": self._scale, "_coding": self._coding, **learnt}

    def check_sequence(self, y, name):
        """Return numbers of float64; missing ones are NaN."""
        if type(y) is np.ndarray and y.dtype.kind in "fiub":
            return y.astype(np.float64, copy=False)  # the full check costs more than a short sequence takes to train
        return check_numbers(y, name, dtype=np.float64, way_out=WAY_OUT)

    def check(self, y, name, present, title="row {}".format):
        """Return numbers of float64; entries that do not count become 0."""
        y = check_numbers(y, name, dtype=np.float64, way_out=WAY_OUT, n_axes=3)
        if self._decoder != "direct" and y.ndim == 1:
            raise ValueError(
                f"decoder={self._decoder!r} runs over a horizon: {name} has shape {y.shape}, expected (n_samples, "
                "horizon) or (n_samples, horizon, n_targets), the values of the rows after each row."
            )
        counts = counted_entries(present, y, name)
        with naming(name), np.errstate(invalid="ignore"):  # the sum of numbers near the largest
            assert_all_finite(y[counts], input_name=name)
        wrong = np.argwhere((y < 0) & counts) if self._loss == "poisson" else ()
        if len(wrong):
            raise ValueError(
                f"{name} holds {y[tuple(wrong[0])]:g} in {title(wrong[0, 0])}; loss='poisson' needs targets of at "
                "least 0."
            )
        return y if counts.all() else np.where(counts, y, 0.0)

    def horizon_of(self, y):
        """Return how many rows ahead targets reach, 0 where that is not known."""
        return y.shape[1] if self._decoder != "direct" or y.ndim == 3 else 0

    def start(self, part, names):
        """Learn the number of targets, and of which columns of X they are the future."""
        self._names, before = names, self._coding
        quantiles = check_quantiles(self._quantile)
        if self._conformal:
            refuse_bands(self._loss, quantiles)
        coding = {
            "loss": self._loss,
            "quantiles": quantiles if self._loss == "quantile" else None,
            "columns": None,
            "shape": part.y.shape[1:],
        }
        if self._is_continued:
            self._check_goes_on(coding)
            coding |= {name: before[name] for name in ("shape", "is_huge", "moments")}
        # What the network was trained for, whatever becomes of the constructor's parameters.
        self._coding = coding
        self._check_shape(part.y)
        self._groups.start(part, coding, before, names)
        n_features, unit_columns = part.sequences.table.shape[1], coding["unit_columns"] or []
        refuse_known_targets(unit_columns, self._known_columns, n_features, names)
        refuse_time_targets(unit_columns, check_cell(self._cell), n_features, names)
        if self._window_norm is None:
            return part
        if self._loss == "poisson":
            raise ValueError(
                f"loss='poisson' cannot be combined with window_norm={self._window_norm!r}: counts have no place "
                "from which the window could be subtracted."
            )
        coding["columns"] = check_target_column(self._target_column, self._window_norm, part.y, n_features, names)
        refuse_known_targets(coding["columns"], self._known_columns, n_features, names)
        if self._is_continued and before["columns"] not in (None, coding["columns"]):
            raise ValueError(
                f"training cannot go on with target_column={self._target_column!r}: the network was trained for the "
                f"columns {called(before['columns'], names)}. Set warm_start=False, or set target_column back."
            )
        return part

    def learn(self, part, inputs, *, running):
        """Learn mean and scale; in `partial_fit` those of all rows so far, where they were unknown or have grown."""
        if self._is_continued and not running:
            return None
        columns = self._coding["columns"] or self._coding["unit_columns"]
        if columns is not None and not self._is_continued:
            deviations = np.where(inputs.moments.deviation > 0, inputs.moments.deviation, 1.0)
            taken_by = "group_scaling" if self._window_norm is None else "window_norm"
            warn_of_other_unit(self._groups.numbers(part), part.weights, columns, deviations, self._names, taken_by)
        y = self._relative(part, inputs)
        moments = moments_of(y.reshape(len(y), -1), part.weights, part.exponent)
        if not self._is_continued:
            self._measure_by(moments, *self._scales(moments))
            return None
        seen_before = Moments(**self._coding["moments"])
        moments = seen_before.joined(moments)
        before = tuple(np.ravel(one) for one in (self._mean, self._scale))
        wanted = self._scales(moments)
        adopted = before[1] == 0
        if self._decoder == "direct":
            adopted |= wanted[1] > LARGEST_GROWTH * before[1]
        seen = seen_before.weight > 0
        mean, scale = (np.where(adopted, new, old) for new, old in zip(wanted, before, strict=True))
        warn_of_growth(y.reshape(len(y), -1), part, before, wanted[1], stays=self._decoder != "direct")
        self._measure_by(moments, mean, scale)
        if self._decoder != "direct":
            # One head answers for all turns: it cannot be changed for single outputs.
            return None
        changed = adopted & ((scale != before[1]) | (mean != before[0]))
        return self._head_change(*before, mean, scale, changed & seen) if changed.any() else None

    def _scales(self, moments):
        """Return what targets of such moments are measured by."""
        mean, scale = moments.mean, moments.deviation
        if self._loss == "poisson":
            # The exponential knows only factors; the scale of a constant stays 0.
            return np.where(scale > 0, 0.0, mean), np.where(scale > 0, mean, 0.0)
        return mean, scale

    def _measure_by(self, moments, mean, scale):
        shape = self._coding["shape"]
        self._mean, self._scale = mean.reshape(shape)[()], scale.reshape(shape)[()]
        self._coding["moments"] = dict(vars(moments))
        self._coding["is_huge"] = bool(max(np.abs(mean).max(), scale.max(), self._groups.largest()) > HUGE_TARGET)

    def _head_change(self, mean, scale, new_mean, new_scale, which):
        """Return the `HeadChange` by which the outputs `which`, measured anew, answer what they answered."""
        n = self._n_outputs_per_target
        divisor = np.where(new_scale > 0, new_scale, 1.0)
        if self._coding["loss"] == "poisson":
            # exp(z) of a constant 0 knows no z that would stay.
            which = which & (scale + mean > 0)
            factor, shift = np.where(scale > 0, 1.0, 0.0), np.log(np.where(which, (scale + mean) / divisor, 1.0))
        else:
            factor, shift = scale / divisor, quotient(mean, new_mean, divisor)
        return HeadChange(*(np.repeat(one, n) for one in (which, factor, shift)))

    def _check_goes_on(self, coding):
        """Raise if the outputs of the fitted network mean something else than is wanted now."""
        trained = self._coding["loss"]
        if (trained == "poisson") != (self._loss == "poisson"):
            raise ValueError(
                f"training cannot go on with loss={self._loss!r}: the network was trained with loss={trained!r}, and "
                "one of the two predicts exp(z) where the other predicts z. Set warm_start=False, or set loss back."
            )
        before, now = (one["quantiles"] or (None,) for one in (self._coding, coding))
        if len(before) != len(now):
            raise ValueError(
                f"training cannot go on with loss={self._loss!r} and quantile={self._quantile!r}: the network was "
                f"trained with {len(before)} outputs for each target, not {len(now)}. Set warm_start=False, or set "
                "both back."
            )

    def check_validation(self, part):
        """Check the number of targets."""
        self._check_shape(part.y, part.name)
        return part

    def encode(self, part, inputs):
        """Return standardised targets, one column for each output of the network."""
        y = self._relative(part, inputs)
        is_constant = np.asarray(self._scale == 0)
        targets = quotient(y, self._mean, np.where(is_constant, 1.0, self._scale))
        # What is constant has the code whose raw output is 0; whatever the network says, the answer is the constant.
        targets = np.where(is_constant, 1.0 if self._coding["loss"] == "poisson" else 0.0, targets).reshape(len(y), -1)
        weights = part.weights
        if weights.ndim == 2:
            weights = np.repeat(weights, self._n_outputs_per_target, axis=1)
        self._refuse_distant(targets, part)
        return np.repeat(targets, self._n_outputs_per_target, axis=1), weights

    @property
    def farthest(self):
        """Number of scales from the mean beyond which the loss of a target would not be a finite number."""
        largest = np.finfo(array_dtype(self._dtype)).max
        return float(np.sqrt(largest) if self._coding["loss"] == "squared_error" else largest) / FAR

    def _refuse_distant(self, targets, part):
        """Raise for targets so many scales from their mean that their loss would not be a finite number."""
        place = np.unravel_index(np.abs(targets).argmax(), targets.shape)
        if np.abs(targets[place]) <= self.farthest:
            return
        row, output = place
        mean, scale = (np.ravel(one)[output] for one in (self._mean, self._scale))
        relative = "" if self._groups.scales is None else " in the unit of their group"
        relative += "" if self._coding["columns"] is None else " after window_norm"
        raise ValueError(
            f"{part.name} holds {part.y.reshape(len(part), -1)[place]:g} in {part.title(row)}, which is "
            f"{abs(targets[place]):.2g} scales from the mean of the targets that were learnt{relative} (target_mean_="
            f"{mean:g}, target_scale_={scale:g}): its loss is beyond dtype={self._dtype!r}. Is it an error, or in "
            "another unit?"
        )

    def _check_shape(self, y, name="y"):
        """Raise unless y has the outputs of the targets that were learnt."""
        expected = self._coding["shape"]
        if y.shape[1:] != expected:
            raise ValueError(
                f"{name} has shape {y.shape}, but the targets of this model have shape "
                f"(n_samples,{','.join(f' {n}' for n in expected)})."
            )

    @property
    def horizon(self):
        """Rows ahead that the targets reach, where they have a horizon."""
        return self._coding["shape"][0] if self._coding["shape"] else 0

    @property
    def reference_columns(self):
        """Columns of X whose future the targets are, with `window_norm`, or None."""
        return self._coding["columns"]

    def _relative(self, part, inputs):
        """Return targets in the units of their groups, relative to the columns of X that they are the future of."""
        y, columns = self._groups.numbers(part), self._coding["columns"]
        if columns is not None:
            shift, deviation = window_moments(part.sequences, self._window_norm, columns, inputs.scale)
            y = quotient(y, shift.reshape(y.shape), deviation.reshape(y.shape))
        return self._groups.without_unit(part, y)

    @property
    def _n_outputs_per_target(self):
        return len(self._coding["quantiles"] or (None,))

    def check_fitted(self, n_features, window_norm):
        """Raise unless mean, scale and columns could have been learnt."""
        mean, scale, columns = self._mean, self._scale, self._coding["columns"]
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and np.min(scale) >= 0):
            raise ValueError(f"target_mean_={mean!r} and target_scale_={scale!r} are no mean and no deviation")
        self._check_correction()
        if (columns is None) != (window_norm is None) or (columns is not None and len(columns) != np.size(mean)):
            raise ValueError(f"{window_norm=} does not go with targets that are the future of columns {columns}")
        if columns is not None and not all(isinstance(k, int) and 0 <= k < n_features for k in columns):
            raise ValueError(f"the targets are the future of columns {columns}, but there are {n_features}")
        self._groups.check_fitted(n_features, np.size(mean))

    @property
    def n_outputs(self):
        """Number of outputs: one for each target, or for each of its quantiles."""
        return np.size(self._mean) * self._n_outputs_per_target

    def network_loss(self):
        """Return the loss that was trained with, and its quantiles or `huber_delta`."""
        name, parameter = self._coding["loss"], 0.0
        if name == "quantile":
            parameter = self._coding["quantiles"] * np.size(self._mean)
        elif name == "huber":
            parameter = float(self._huber_delta)
        return LOSS_NAMES[name], parameter

    def decode(self, z, method, out=None):
        """Return numbers in the unit of y, of quantiles the median or all of them."""
        mean, scale, quantiles = self._mean, self._scale, self._coding["quantiles"]
        n_targets = np.size(mean)
        # With `window_norm` and with units of groups, shifts and factors follow the raw outputs.
        z, reference = np.split(z, [self.n_networks * n_targets * self._n_outputs_per_target], axis=1)
        z = self._mean_of_networks(z)
        z = z.reshape(len(z), *np.shape(mean), *(() if quantiles is None else (len(quantiles),)))
        if quantiles is not None:
            if method == "predict":
                z = z[..., median_place(quantiles) if len(quantiles) > 1 else 0]
            else:
                z = z if self._correction is None else corrected(z, self._correction.reshape(z.shape[1:]))
                mean, scale = np.expand_dims(mean, -1), np.expand_dims(scale, -1)
        values = z
        out = np.empty(values.shape) if out is None else out
        out[...] = values
        is_huge = self._coding.get("is_huge", False)
        with np.errstate(over="ignore") if is_huge else nullcontext():
            out *= scale
            out += mean
            if reference.shape[1]:
                shape = (len(out), *np.shape(self._mean), *(1,) * (out.ndim - 1 - np.ndim(self._mean)))
                out *= reference[:, n_targets:].reshape(shape)
                out += reference[:, :n_targets].reshape(shape)
        if is_huge and not np.isfinite(out).all():
            raise ValueError(
                f"{method} goes beyond the largest float64: y had target_mean_={mean} and target_scale_={scale}. Fit "
                "on y in a larger unit."
            )
        return out

    def _mean_of_networks(self, z):
        """Return raw outputs, of a network or the mean of several, as numbers of scale 1: sorted, or after the link."""
        total = None
        for one in self._of_networks(z):
            values = one if self.n_networks == 1 else one.astype(np.float64)
            if self._coding["quantiles"] is not None:
                # Sorted, the quantiles of a target do not cross; nor do their means.
                n_quantiles = len(self._coding["quantiles"])
                values = np.sort(values.reshape(len(z), -1, n_quantiles), axis=2).reshape(values.shape)
            elif self._coding["loss"] == "poisson":
                values = LOSSES["poisson"].link(values)
            total = values if total is None else total + values
        return total if self.n_networks == 1 else total / self.n_networks

    def decode_one(self, method):
        """Return `decode` for one float, where there is one target and nothing to undo but its scale.

        Of groups with units of their own it answers in these.
        """
        several = np.ndim(self._mean) or self._n_outputs_per_target > 1 or self.n_networks > 1
        if several or method != "predict" or self._coding["columns"] is not None:
            return None
        mean, scale = float(self._mean), float(self._scale)
        if self._coding["loss"] == "poisson":
            return lambda z: mean + scale * float(LOSSES["poisson"].link(z))
        return lambda z: mean + scale * z


def warn_of_growth(y, part, before, scale, stays):
    """Warn where a block of `partial_fit` is so far off that the targets before it hardly differ beside it."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        growth = np.where(before[1] > 0, scale / before[1], 0.0)
    k = growth.argmax()
    if growth[k] <= TOLD_GROWTH:
        return
    weights = part.weights if part.weights.ndim == 1 else part.weights[:, k]
    row = np.where(weights > 0, np.abs(0.5 * y[:, k] - 0.5 * before[0][k]), 0.0).argmax()
    became = (
        f"target_scale_ grows from {before[1][k]:g} to {scale[k]:g}, and what was learnt is next to nothing beside it"
    )
    if stays:
        became = (
            f"their deviation is {scale[k]:g} now, but target_scale_ stays {before[1][k]:g}, since one head of a "
            "decoder answers for all turns"
        )
    warn_user(
        f"y holds {part.y.reshape(len(part), -1)[row, k]:g} in {part.title(row)}, far from the blocks before: "
        f"{became}. If it is an error, or in another unit, go on from a copy made before this block, without it."
    )
