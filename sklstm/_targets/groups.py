"""Groups of a table as the targets of a regressor know them: their units, and the weight of each."""

from dataclasses import replace

import numpy as np

from sklstm._group_scales import FEWEST_ROWS, CallScales, GroupScales, StreamScales, measure
from sklstm._network.moments import window_moments
from sklstm._scaling import quotient, row_weights
from sklstm._target_columns import check_target_column
from sklstm._targets.contract import Targets
from sklstm._training.sample_weights import in_unit_range
from sklstm._warn import warn_user

ANSWER_WITHOUT_UNIT = {
    None: "the mean of its training rows",
    "last": "the last row of its target_column",
    "standard": "the mean of its target_column over the window",
}
GROUP_ATTRIBUTES = ("group_labels_", "group_means_", "group_scales_")


class GroupedTargets:
    """What `group_scaling` and `group_weight` make of the targets; nothing without either.

    Parameters
    ----------
    model : estimator
        Fitted or not.
    """

    def __init__(self, model):
        self._scaling, self._weight, self._window_norm = model.group_scaling, model.group_weight, model.window_norm
        self._target_column, self._tables = model.target_column, {}
        self.scales = None
        coding = getattr(model, "_coding", None)
        if coding is not None and coding.get("group_scaling") is not None:
            labels, means, units = (getattr(model, name, np.empty(0)) for name in GROUP_ATTRIBUTES)
            means, units = (one.reshape(len(one), int(np.prod(one.shape[1:]))) for one in (means, units))
            self.scales = GroupScales(coding["group_scaling"], labels, means, units, coding["unit_columns"])

    def fitted(self, shape):
        """Return the fitted attributes, of targets of such a shape."""
        if self.scales is None:
            return {}
        means, units = (np.reshape(one, (-1, *shape)) for one in (self.scales.means, self.scales.units))
        means.flags.writeable = units.flags.writeable = False
        return {"group_labels_": self.scales.labels, "group_means_": means, "group_scales_": units}

    def start(self, part, coding, before, names):
        """Check that there are groups, and write down which columns of X are measured with the targets."""
        for name, value in (("group_scaling", self._scaling), ("group_weight", self._weight)):
            if value is not None and part.groups is None:
                sets = " Sets of sequences have no groups." if part.is_set else ""
                raise ValueError(
                    f"{name}={value!r} needs groups, a label for each row of a table X that says which series it "
                    f"belongs to.{sets}"
                )
        coding["group_scaling"], coding["unit_columns"] = self._scaling, None
        if self._scaling is not None and coding["loss"] == "poisson":
            raise ValueError(
                f"loss='poisson' cannot be combined with group_scaling={self._scaling!r}: counts have no place that "
                "they could be centred at."
            )
        if self._scaling is not None and (self._window_norm is not None or self._target_column is not None):
            n_features = part.sequences.table.shape[1]
            norm = self._window_norm or "last"
            coding["unit_columns"] = check_target_column(self._target_column, norm, part.y, n_features, names)
        for name, given in (("group_scaling", self._scaling), ("target_column", self._target_column)):
            key = "unit_columns" if name == "target_column" else name
            if before is not None and before.get(key) != coding[key]:
                raise ValueError(
                    f"training cannot go on with {name}={given!r}: the groups were measured by group_scaling="
                    f"{before.get('group_scaling')!r} of the columns {before.get('unit_columns')}. Set "
                    f"warm_start=False, or set {name} back."
                )

    def learn(self, part, coding):
        """Learn the units of groups that are new, or had none so far, from the training part."""
        if self._scaling is None:
            return
        if self.scales is None:
            nothing = np.empty((0, int(np.prod(coding["shape"]))))
            self.scales = GroupScales(self._scaling, part.groups.labels[:0], nothing, nothing, coding["unit_columns"])
        blocks = np.unique(part.groups.of_rows(part.ends))
        labels = part.groups.labels[blocks]
        places, found = self.scales.places(labels), self._measure(part, blocks)
        new = places < 0
        means, units = self.scales.means.copy(), self.scales.units.copy()
        adopted = (units[places[~new]] == 0) & (found[1][~new] > 0)
        for stored, measured in zip((means, units), found, strict=True):
            stored[places[~new]] = np.where(adopted, measured[~new], stored[places[~new]])
        self.scales = replace(self.scales, means=means, units=units).extended(labels[new], *(one[new] for one in found))

    def _measure(self, part, blocks):
        """Return means and units (n_blocks, n_targets) of some blocks of the training part."""
        found, without = np.zeros((2, len(blocks), self.scales.means.shape[1])), []
        for targets, values, columns, weights, rows in self._columns(part):
            edges = np.searchsorted(rows, part.groups.bounds)
            # Targets that go on the same column are measured once.
            wanted, places = np.unique(columns, return_inverse=True)
            for k, block in enumerate(blocks.tolist()):
                inside = slice(edges[block], edges[block + 1])
                present = weights[inside] > 0
                if not present.any():
                    self._refuse_unknown(part, block, targets[0])
                numbers, counts = values[inside][present][:, wanted], weights[inside][present]
                measured = measure(numbers, counts, rows[inside][present], self._scaling)
                found[:, k, targets] = np.array(measured)[:, places]
                if self._is_lost(part, block, targets[found[1, k, targets] == 0], len(numbers)):
                    without.append(block)
        self._warn_of(part.groups.labels[np.unique(without).astype(np.intp)])
        return found

    def _columns(self, part):
        """Yield targets with weights in common, a table of numbers, their columns there, weights and rows."""
        columns, n_targets = self.scales.columns, self.scales.means.shape[1]
        targets, y = np.arange(n_targets), part.y.reshape(len(part), -1)
        if columns is not None:
            table = part.sequences.table
            yield targets, table, columns, row_weights(part.sequences, part.sample_weights), np.arange(len(table))
        elif part.weights.ndim == 1:
            yield targets, y, targets, part.weights, part.ends
        else:
            weights = part.weights.reshape(len(part), -1)
            for target in targets:
                yield targets[[target]], y, [target], weights[:, target], part.ends

    def _refuse_unknown(self, part, block, target):
        label = part.groups.labels.tolist()[block]
        raise ValueError(
            f"group {label!r} has no training row with a target of positive weight in column {target} of {part.name}, "
            f"so its unit (group_scaling={self._scaling!r}) cannot be learnt. Leave its rows out, or name by "
            "target_column the column of X that y goes on."
        )

    def _is_lost(self, part, block, targets, n_rows):
        """Return whether some targets of a group, those without a unit, may vary all the same."""
        if not len(targets):
            return False
        if n_rows < FEWEST_ROWS:
            return True
        own = part.y.reshape(len(part), -1)[part.groups.of_rows(part.ends) == block][:, targets]
        return self.scales.columns is not None and (own != own[0]).any()

    def _warn_of(self, labels):
        if not len(labels):
            return
        which = f"{labels.tolist()[0]!r}" + f" and {len(labels) - 1} more" * (len(labels) > 1)
        warn_user(
            f"group_scaling={self._scaling!r} finds no unit for group {which}: the training part has one row of it, or "
            f"equal ones. The prediction for such a group is {ANSWER_WITHOUT_UNIT[self._window_norm]}."
        )

    def by_group(self, part):
        """Return a part whose table is in the units of its groups and whose weights are balanced over them."""
        if self._weight == "equal":
            part = balanced(part)
        if self.scales is None:
            return part
        self._places(part)
        given = part.sequences.table
        # Training part and validation part share a table.
        if self._tables.get("given") is not given:
            self._tables = {"given": given, "own": self.scales.table(given, part.groups)}
        return replace(part, sequences=replace(part.sequences, table=self._tables["own"]), given=given)

    def _places(self, part):
        """Return the place of the group of each sample among those that are known."""
        of_blocks = self.scales.places(part.groups.labels)
        blocks = part.groups.of_rows(part.ends)
        places = of_blocks[blocks]
        if (places < 0).any():
            label = part.groups.labels.tolist()[blocks[places.argmin()]]
            raise ValueError(
                f"groups_val: {label!r} is no group of the training part, so its unit "
                f"(group_scaling={self._scaling!r}) is not known. Leave its rows out of X_val, or give earlier rows of "
                "the group in X."
            )
        return places

    def numbers(self, part):
        """Return the targets of a part, each in the unit of its group; 0 where that has none."""
        if self.scales is None:
            return part.y
        places = self._places(part)
        means, units = self.scales.of(places)
        with np.errstate(over="ignore"):  # what is too far off is refused by its distance
            numbers = quotient(part.y.reshape(len(part), -1), means, units)
        return np.where(self.scales.units[places] > 0, numbers, 0.0).reshape(part.y.shape)

    def without_unit(self, part, codes):
        """Return codes of a part, 0 where the group has no unit: what the network says there does not count."""
        if self.scales is None or (self.scales.units > 0).all():
            return codes
        has_unit = self.scales.units[self._places(part)] > 0
        return np.where(has_unit.reshape(codes.shape), codes, 0.0)

    def moments(self, part, moments):
        """Return shifts and factors of the samples of a part in the unit of y, given those of windows, if any."""
        if self.scales is None:
            return moments
        n_moments = 2 * self.scales.means.shape[1] if len(moments) else 0
        outputs = np.hstack(moments) if n_moments else np.empty((len(part), 0))
        return np.split(self.scales.moments(outputs, self._places(part), n_moments), 2, axis=1)

    def call_scales(self):
        """Return the units of one call of `predict` and the like, or None."""
        return None if self.scales is None else CallScales(self.scales)

    def largest(self):
        """Return the largest mean or unit."""
        if self.scales is None or not len(self.scales.labels):
            return 0.0
        return max(np.abs(self.scales.means).max(), self.scales.units.max())

    def check_fitted(self, n_features, n_targets):
        """Raise unless the units could have been learnt."""
        if self.scales is None:
            return
        labels, means, units, columns = self.scales.labels, self.scales.means, self.scales.units, self.scales.columns
        if not (np.isfinite(means).all() and np.isfinite(units).all() and np.min(units, initial=0.0) >= 0):
            raise ValueError("group_means_ and group_scales_ are no means and no units")
        if not means.shape == units.shape == (len(labels), n_targets):
            raise ValueError(f"group_scales_ has shape {units.shape} for {len(labels)} groups and {n_targets} targets")
        if columns is not None and not all(isinstance(k, int) and 0 <= k < n_features for k in columns):
            raise ValueError(f"the groups were measured by columns {columns}, but there are {n_features}")


class TargetsOfGroups(Targets):
    """The part of the contract of targets that is about groups, by a `GroupedTargets` in `_groups`."""

    def learn_groups(self, part):
        """Learn the unit of each group that has none so far."""
        self._groups.learn(part, self._coding)

    def by_group(self, part):
        """Return a part with the columns that targets go on in the units of its groups."""
        return self._groups.by_group(part)

    def call_scales(self):
        """Return the units of the groups for one call, or None."""
        return self._groups.call_scales()

    def stream_scales(self, n_features, group, n_streams, context):
        """Return the units of the groups of streams, or None."""
        if self._groups.scales is None:
            return super().stream_scales(n_features, group, n_streams, context)
        return StreamScales.of_groups(self._groups.scales, n_features, group, n_streams, context)

    def moments(self, part, input_scale):
        """Return shifts and factors by which answers are mapped back, of windows, of groups or of both."""
        columns = self._coding["columns"]
        of_windows = ()
        if columns is not None:
            of_windows = window_moments(part.sequences, self._window_norm, columns, input_scale)
        return self._groups.moments(part, of_windows)

    @property
    def n_moments(self):
        """Number of columns that stand beside the raw outputs, for `decode`."""
        return 2 * np.size(self._mean) if self._coding["columns"] or self._groups.scales else 0


def balanced(part):
    """Return a part in which the weights of each group have the same sum."""
    blocks = part.groups.of_rows(part.ends)
    sums = np.bincount(blocks, part.sample_weights)
    present = sums > 0
    factors = np.divide(sums.sum() / present.sum(), sums, out=np.zeros_like(sums), where=present)[blocks]
    weights, exponent = in_unit_range(part.weights * factors.reshape(-1, *(1,) * (part.weights.ndim - 1)))
    return replace(part, weights=weights, exponent=part.exponent + exponent)
