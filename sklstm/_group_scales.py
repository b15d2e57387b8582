"""Units of the groups of a table: by these, targets and the columns of X that they go on are measured."""

from dataclasses import dataclass

import numpy as np

from sklstm._scaling import CONSTANT, HUGE, column_scales, quotient

# Differences of consecutive rows, and deviations, need so many rows.
FEWEST_ROWS = 2


def measure(values, weights, rows, group_scaling):
    """Return the weighted means of some columns, and their units: 0 if all numbers are alike, or fewer than two.

    Parameters
    ----------
    values : ndarray of shape (n, n_columns)
    weights : ndarray of shape (n,)
        All positive.
    rows : ndarray of shape (n,)
        The row of each in its table, in order.
    group_scaling : "mean_absolute_difference" or "standard"
        The unit is the standard deviation, or the mean distance of numbers in consecutive rows, with the weight of the
        later one. Where no two rows are consecutive, any two that follow each other count.
    """
    means, deviations = column_scales(np.ascontiguousarray(values), weights)
    if group_scaling == "standard" or not deviations.any():
        return means, deviations
    neighbours = np.diff(rows) == 1
    neighbours |= not neighbours.any()
    values = values.astype(np.float64)
    exponents = np.maximum(np.frexp(np.abs(values).max(axis=0))[1] - 1000, 0)  # the differences must not overflow
    distances = np.abs(np.diff(np.ldexp(values, -exponents), axis=0))[neighbours]
    units = np.ldexp(np.average(distances, axis=0, weights=weights[1:][neighbours]), exponents)
    return means, np.where((deviations > 0) & (units > CONSTANT * np.abs(means)), units, 0.0)


@dataclass(frozen=True)
class GroupScales:
    """What the targets of each group, and the columns of X that they go on, are measured by: (number - mean) / unit.

    A group whose numbers were all alike has unit 0: it is read in a unit of 1, and its answers do not vary.

    Attributes
    ----------
    group_scaling : "mean_absolute_difference" or "standard"
    labels : ndarray of shape (n_groups,)
    means, units : ndarray of shape (n_groups, n_targets)
    columns : list of int or None
        The column of X that each target goes on; None where units were learnt from the targets.
    """

    group_scaling: str
    labels: np.ndarray
    means: np.ndarray
    units: np.ndarray
    columns: list | None

    def places(self, labels):
        """Return the places of some labels among those that are known, -1 for others."""
        known = {label: place for place, label in enumerate(self.labels.tolist())}
        return np.array([known.get(label, -1) for label in np.asarray(labels).tolist()], np.intp)

    def extended(self, labels, means, units):
        """Return the same with more groups."""
        if len(labels) == 0:
            return self
        pair = [self.labels, labels] if len(self.labels) else [labels]
        if len({one.dtype.kind for one in pair}) > 1:  # numbers would become strings
            pair = [one.astype(object) for one in pair]
        joined = np.concatenate(pair), np.concatenate([self.means, means]), np.concatenate([self.units, units])
        return GroupScales(self.group_scaling, *joined, self.columns)

    def of(self, places):
        """Return means and the units that numbers are read in, of the groups at some places; 0 and 1 for others."""
        means, units = self.means[places], self.units[places]
        known = (places >= 0)[:, np.newaxis]
        return np.where(known, means, 0.0), np.where(known & (units > 0), units, 1.0)

    def table(self, table, groups):
        """Return a table of float64 with the columns of each group in its unit; the same where there are none.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_features)
        groups : RowGroups
        """
        if self.columns is None:
            return table
        table, n_rows = np.array(table, np.float64, order="C"), np.diff(groups.bounds)
        means, units = self.of(self.places(groups.labels))
        for target, column in self.columns_of_table():
            mean, unit = (np.repeat(one[:, target], n_rows) for one in (means, units))
            with np.errstate(over="ignore"):  # what is beyond the network is refused by name
                table[:, column] = quotient(table[:, column], mean, unit)
        return table

    def columns_of_table(self):
        """Return a target for each column that is measured, and the column."""
        columns = self.columns or []
        return [(columns.index(column), column) for column in sorted(set(columns))]

    def moments(self, outputs, places, n_moments):
        """Return raw outputs beside which stands what maps them back to the unit of y: shifts, then factors.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs + n_moments)
            The last columns are the moments of windows in the units of their groups, if there are any.
        places : ndarray of shape (n_samples,)
        n_moments : int
        """
        means, units = self.of(places)
        shift, factor = means, np.where(self.units[places] > 0, units, 0.0)
        if n_moments:
            outputs, window_shift, deviation = np.split(outputs, [-n_moments, -n_moments // 2], axis=1)
            shift, factor = window_shift * units + means, deviation * factor
        return np.hstack([outputs, shift, factor])


class CallScales:
    """The units of the rows of one call, those of groups that came after the fit measured by their rows of context.

    Parameters
    ----------
    scales : GroupScales
        Of the fit.
    """

    def __init__(self, scales):
        self._scales, self._context, self._places = scales, None, None

    def check(self, groups):
        """Raise if there are no groups."""
        if groups is None:
            raise ValueError(
                f"groups is missing: with group_scaling={self._scales.group_scaling!r} each group has a unit of its "
                "own. Give the label of each row of X, by groups."
            )

    def after(self, table, groups):
        """Take the rows before X, a table and its `RowGroups`."""
        self._context = table, groups

    def read(self, table, groups):
        """Return the rows of X in the units of their groups, and those before them."""
        labels, scales = groups.labels, self._scales
        unknown = np.flatnonzero(scales.places(labels) < 0)
        if len(unknown):
            measured = [self._measure(label) for label in labels[unknown].tolist()]
            scales = scales.extended(labels[unknown], *np.swapaxes(measured, 0, 1))
        self._scales = scales
        self._places = np.repeat(scales.places(labels), np.diff(groups.bounds))
        before = None if self._context is None else scales.table(*self._context)
        return scales.table(table, groups), before

    def _measure(self, label):
        """Return means and units of a group that is not known, learnt from its rows of context."""
        scales, rows = self._scales, None
        if scales.columns is not None and self._context is not None:
            table, groups = self._context
            rows = groups.rows_of(label, table)
        return measure_rows(scales, label, rows)

    def moments(self, outputs, n_moments):
        """Return `GroupScales.moments` of the rows of X."""
        return self._scales.moments(outputs, self._places, n_moments)

    def of_rows(self):
        """Return the `GroupScales` of this call, and the place there of the group of each row of X."""
        return self._scales, self._places


def measure_rows(scales, label, rows):
    """Return means and units (n_targets,) of a group by the rows before what is asked, or raise.

    Parameters
    ----------
    scales : GroupScales
    label : object
        What the group is called.
    rows : ndarray of shape (n_rows, n_features) or None
    """
    known = f"{label!r} is no group of the fit, so its unit (group_scaling={scales.group_scaling!r}) is not known."
    if scales.columns is None:
        raise ValueError(
            f"{known} It was learnt from y of each group, which the rows before X do not hold: fit with the group "
            "among the others, or with target_column, the column of X that y goes on."
        )
    if rows is None or len(rows) < FEWEST_ROWS:
        raise ValueError(
            f"{known} Give the rows of the group that come before, {FEWEST_ROWS} or more, as context (with "
            f"context_groups of each row, in predict); found {0 if rows is None else len(rows)}. The unit is learnt "
            "from all of them."
        )
    return np.array(measure(rows[:, scales.columns], np.ones(len(rows)), np.arange(len(rows)), scales.group_scaling))


class StreamScales:
    """The units of some streams, each of which is one group: rows in, answers out.

    Parameters
    ----------
    scales : GroupScales
        The group of each stream, in their order.
    n_features : int
    is_one : bool
        Whether rows of the only stream have no axis of streams.
    """

    def __init__(self, scales, n_features, *, is_one):
        self.scales, self._n_features, self._is_one = scales, n_features, is_one
        self._places = np.arange(len(scales.labels))
        means, units = scales.of(self._places)
        self._columns = [(k, means[:, target], units[:, target]) for target, k in scales.columns_of_table()]
        # Of a single stream as floats, which are read faster than arrays.
        self._numbers = [(column, mean.item(), unit.item()) for column, mean, unit in self._columns if is_one]
        self._is_huge = any(abs(mean) > HUGE for _, mean, _ in self._numbers)

    @classmethod
    def of_groups(cls, scales, n_features, group, n_streams, context):
        """Make those of the groups of streams, or raise.

        Parameters
        ----------
        scales : GroupScales
            Of the fit.
        n_features : int
        group : object
            The label of the group, or with `n_streams` a label for each stream.
        n_streams : int or None
        context : ndarray of shape (n_rows, n_features) or (n_streams, n_rows, n_features), or None
            The rows before.
        """
        labels = np.asarray(group)
        if group is None or labels.shape != (() if n_streams is None else (n_streams,)):
            wanted = "the label of its group" if n_streams is None else f"a list of labels, one for each of {n_streams}"
            raise ValueError(
                f"group must be {wanted}, as group_scaling={scales.group_scaling!r} gives each group a unit of its "
                f"own; found {group!r}."
            )
        labels, units = labels.reshape(-1), []
        for stream, (label, place) in enumerate(zip(labels.tolist(), scales.places(labels).tolist(), strict=True)):
            if place >= 0:
                units.append((scales.means[place], scales.units[place]))
            else:
                rows = context if context is None or n_streams is None else context[stream]
                units.append(measure_rows(scales, label, rows))
        means, units = np.swapaxes(units, 0, 1)
        own = GroupScales(scales.group_scaling, labels, means, units, scales.columns)
        return cls(own, n_features, is_one=n_streams is None)

    def read(self, rows):
        """Return a row of each stream, or several, (n_streams, ..., n_features), in the units of their groups."""
        rows = np.array(rows, np.float64, order="C")
        own = rows[np.newaxis] if self._is_one else rows
        for column, mean, unit in self._columns:
            shape = (-1, *(1,) * (own.ndim - 2))
            with np.errstate(over="ignore"):  # what is beyond the network is refused by name
                own[..., column] = quotient(own[..., column], mean.reshape(shape), unit.reshape(shape))
        return rows

    def carried(self, rows, labels):
        """Return for each stream those of some rows that have the label of its group, in its unit.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
        labels : ndarray of shape (n_rows,)
        """
        tables, labels = [], labels.tolist()
        for stream, own in enumerate(self.scales.labels.tolist()):
            table = rows[[k for k, label in enumerate(labels) if label == own]].astype(np.float64)
            for column, mean, unit in self._columns:
                with np.errstate(over="ignore"):
                    table[:, column] = quotient(table[:, column], mean[stream], unit[stream])
            tables.append(table)
        return tables

    def step_value(self, step, x):
        """Return what ``step`` makes of the row of a single stream, or None for a row that needs more than floats."""
        if self._is_huge or x.dtype.char not in "fd" or x.shape != (self._n_features,):
            return None
        row = np.array(x, np.float64)
        for column, mean, unit in self._numbers:
            number = row.item(column)
            if abs(number) > HUGE:
                return None
            row[column] = (number - mean) / unit
        return step(row)

    def moments(self, outputs, n_moments):
        """Return raw outputs of each stream with what maps them back, see `GroupScales.moments`."""
        return self.scales.moments(outputs, self._places, n_moments)

    def decode_one(self, decode):
        """Return ``decode`` of a single raw output of a single stream, mapped back to the unit of y."""
        shift, factor = self.scales.means.item(), self.scales.units.item()
        return lambda z: decode(z) * factor + shift
