"""Checks of the input of streams: rows, their names and their order, output arrays, states."""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from sklstm._validation import NEGATIVE_GAP, beyond_range, naming, refuse_masked
from sklstm._warn import warn_user
from sklstm.exceptions import TimeOrderWarning


def refuse_what_is_no_row(x):
    """Raise for containers that NumPy would turn into a 0-d array or whose mask it would drop."""
    refuse_masked(x, "x")
    if isinstance(x, Mapping):
        raise TypeError(
            "x is a dict; expected one row: a list or array of its values in the order of fit, or a pandas Series, "
            "whose names are compared."
        )
    if hasattr(x, "collect_schema") and hasattr(x, "collect"):
        raise TypeError("x is a LazyFrame; expected the rows themselves: x.collect().")


class RowChecks:
    """Checks of the rows of some streams.

    Parameters
    ----------
    model : estimator
        Fitted.
    network : Network
        Of the model.
    n_streams : int or None
        None for one stream without an axis.
    """

    def __init__(self, model, network, n_streams):
        self._model, self._network, self._n_streams = model, network, n_streams
        self.shape = (model.n_features_in_,) if n_streams is None else (n_streams, model.n_features_in_)

    def row(self, x):
        """Return any accepted kind of x as an array of the right shape and dtype."""
        refuse_what_is_no_row(x)
        self._check_names(x)
        with naming("x"):
            row = np.asarray(x)
            if row.dtype.kind == "c":
                raise ValueError("Complex data not supported: x must hold real numbers.")
            if row.dtype.kind not in "biufO":
                raise ValueError(f"x must hold numbers, found dtype {row.dtype}.")
            if row.shape != self.shape and not (self._n_streams is None and row.shape == (1, *self.shape)):
                n_features = self.shape[-1]
                each = "" if self._n_streams is None else f" for each of {self._n_streams} streams"
                raise ValueError(
                    f"x has shape {row.shape}, expected {self.shape}: one row of the {n_features} features that "
                    f"this {type(self._model).__name__} was fitted on{each}."
                )
            # A value too large becomes infinity, which is refused.
            with np.errstate(over="ignore"):
                return np.ascontiguousarray(row.reshape(self.shape), np.float64)

    def _check_names(self, x):
        """Raise if the feature names of x differ from those of `fit`; names on one side alone are ignored."""
        names = getattr(x, "column_names", None)  # of pyarrow, whose columns are the values
        if names is None:
            names = getattr(x, "columns", x.index if hasattr(x, "iloc") else None)
        expected = getattr(self._model, "feature_names_in_", None)
        if names is None or expected is None or len(names) != len(expected):
            return
        for i, (found, name) in enumerate(zip(names, expected, strict=True)):
            if isinstance(found, str) and found != name:
                raise ValueError(
                    f"feature {i} of x is named {found!r}, expected {name!r}: names and their order are those of fit."
                )

    def not_finite(self, x):
        """Return the error that locates NaN, infinity or too large a number in x."""
        rows, dtype = np.reshape(x, (-1, self.shape[-1])).astype(np.float64), self._network.dtype_name
        wrong = np.argwhere(~np.isfinite(rows)).tolist()
        stream, feature = wrong[0] if wrong else self._network.first_beyond_range(rows) or (0, None)
        if feature is None and (negative := self._network.first_negative_gap(rows)):
            stream, feature = negative
        if feature is None:
            return ValueError(f"x is too far from the rows before it for dtype={dtype!r}.")
        place = f"feature {feature}" if self._n_streams is None else f"feature {feature} of stream {stream}"
        if not wrong and rows[stream, feature] < 0 and feature == self._network.architecture.time_column:
            return ValueError(f"x contains {rows[stream, feature]:g} at {place}, {NEGATIVE_GAP}.")
        if not wrong:
            why = beyond_range(self._network, rows, (stream, feature))
            return ValueError(f"x contains {rows[stream, feature]:g} at {place}, {why}")
        return ValueError(f"x contains {'NaN' if np.isnan(rows[stream, feature]) else 'infinity'} at {place}.")


class RowOrder:
    """Checks that the labels of the rows of one stream increase.

    The label of a pandas Series is its name, that of a table of one row its index.

    Parameters
    ----------
    context : array-like or None, default=None
        The rows before.
    last : label or None, default=None
        Of the row before, where there is no `context`.

    Attributes
    ----------
    last : label or None
        Of the last row that had one.
    """

    def __init__(self, context=None, last=None):
        self.last = _label(context.iloc[-1:]) if hasattr(context, "iloc") and len(context) else last

    def look(self, x):
        """Warn if x does not come after the row before it; return its label for `follow`."""
        label, last = _label(x), self.last
        if label is not None and last is not None and _goes_back(label, last):
            warn_user(
                f"x does not come after the row before it: it is {label}, that one {last}. A stream takes rows in the "
                "order of time; reset() it for rows of another series.",
                TimeOrderWarning,
            )
        return label

    def follow(self, label):
        """Remember the label of a row that has been processed."""
        if label is not None:
            self.last = label

    def forget(self):
        """Forget the last label."""
        self.last = None


def _label(x):
    """Return the number, date, period or time difference that names a row; None for any other name."""
    if not hasattr(x, "iloc"):
        return None
    label = x.name if x.ndim == 1 else x.index[0] if len(x) == 1 else None
    is_time = isinstance(label, Real) or hasattr(label, "year") or hasattr(label, "total_seconds")
    return label if is_time else None


def _goes_back(label, last):
    if isinstance(label, Real) and isinstance(last, Real):
        # Rows that are just numbered from 0 on may be any.
        return 0 < label < last
    if type(label) is not type(last):
        return False
    try:
        return bool(label <= last)
    except TypeError:  # one with a time zone, one without
        return False


def check_out(out, shape, dtype):
    """Raise unless `out` can take an answer."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be a NumPy array, found {type(out)}.")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}, expected {shape} and {dtype}.")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected an array that can be written to.")


def check_state(name, value, expected):
    """Return one entry of a state as an array like the expected one."""
    title = f"state[{name!r}]"
    refuse_masked(value, title)
    with naming(title):
        array = np.asarray(value)
    if array.shape != expected.shape:
        raise ValueError(f"{title} has shape {array.shape}, expected {expected.shape}.")
    if name == "n_rows":
        if array.dtype.kind not in "iu":
            raise ValueError(f"{title} has dtype {array.dtype}, expected integers.")
        return array
    if array.dtype.newbyteorder("=") != expected.dtype:
        raise ValueError(f"{title} has dtype {array.dtype}, expected {expected.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{title} contains NaN or infinity.")
    return array
