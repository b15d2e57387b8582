"""What a picture of a forecast shows: predictions, truth, bands and times, checked."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import is_set_of_sequences

# Units of dates that say how exact they are, and nothing of the distance of rows.
FINE_UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Predictions:
    """Answers of an estimator.

    Attributes
    ----------
    values : ndarray of shape (n_samples, ...)
    bands : ndarray of shape (n_samples, ..., n_quantiles) or None
    quantiles : ndarray of shape (n_quantiles,) or None
    """

    values: np.ndarray
    bands: np.ndarray | None
    quantiles: np.ndarray | None


def predicted(estimator, X, given):
    """Return the `Predictions` of an estimator for a table, with the quantiles that it predicts, if any."""
    if not hasattr(estimator, "predict") or hasattr(estimator, "classes_"):
        raise TypeError(f"estimator is a {type(estimator).__name__}, expected a regressor: a forecast is a number.")
    check_is_fitted(estimator)
    if is_set_of_sequences(X):
        raise ValueError("X is a set of sequences, which have no common time: draw their answers by from_predictions.")
    values, bands, quantiles = np.asarray(estimator.predict(X, **given)), None, None
    coding = getattr(estimator, "_coding", None) or {}
    if len(coding.get("quantiles") or ()) > 1:
        bands, quantiles = estimator.predict_quantiles(X, **given), np.asarray(coding["quantiles"])
    return Predictions(values, bands, quantiles)


def as_times(times, X):
    """Return the time of each row of X, and what it is called."""
    n = len(X)
    if times is not None:
        return check_series(times, "times", n, None), "Time" if np.asarray(times).dtype.kind == "M" else "Row"
    index = getattr(X, "index", None)
    if index is None or callable(index):
        return np.arange(n), "Row"
    times = np.asarray(index)
    name = getattr(index, "name", None)
    if times.dtype.kind not in "Mfiu":
        return np.arange(n), "Row"
    return times, str(name) if name is not None else "Time" if times.dtype.kind == "M" else "Row"


def check_series(values, name, n=None, dtype=np.float64):
    """Return one number for each time as an array, or raise."""
    found = np.asarray(values) if dtype is None else np.asarray(values, dtype)
    if found.ndim != 1 or not len(found) or (n is not None and len(found) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise ValueError(f"{name} has shape {found.shape}, expected {expected}.")
    if dtype is None and found.dtype.kind not in "Mfiu":
        raise ValueError(f"{name} holds {found.dtype}, expected numbers or dates (datetime64).")
    return found


def check_bands(bands, quantiles, n):
    """Return bands of shape (n, n_quantiles) and their quantiles, or None and None."""
    if (bands is None) != (quantiles is None):
        raise ValueError("bands and quantiles go together: the predicted quantiles, and which they are.")
    if bands is None:
        return None, None
    bands, quantiles = np.asarray(bands, np.float64), np.asarray(quantiles, np.float64)
    increases = quantiles.ndim == 1 and len(quantiles) > 1 and (np.diff(quantiles) > 0).all()
    if not increases or quantiles[0] <= 0 or quantiles[-1] >= 1:
        raise ValueError(f"quantiles={quantiles.tolist()}, expected two or more that increase, between 0 and 1.")
    if bands.shape != (n, len(quantiles)):
        raise ValueError(f"bands has shape {bands.shape}, expected ({n}, {len(quantiles)}).")
    return bands, quantiles


def forecast_of_rows(answers, y, times, output, group, groups):
    """Return what is drawn of one prediction for each row.

    Parameters
    ----------
    answers : Predictions
    y : array-like or None
    times : ndarray of shape (n_samples,)
    output : int or None
    group : object
    groups : array-like or None

    Returns
    -------
    dict
        Arguments of `ForecastDisplay`.
    """
    values, bands = answers.values, answers.bands
    truth = _truth(y, values)
    if values.ndim > 2:
        raise ValueError(
            f"the predictions have shape {values.shape}, those of a horizon: choose the row where it begins by `row`."
        )
    if values.ndim == 2:
        place = _check_output(output, values.shape[1], "; or choose a row by `row`, if they are a horizon")
        values, truth = values[:, place], None if truth is None else truth[:, place]
        bands = None if bands is None else bands[:, place]
    elif output is not None:
        raise ValueError(f"output={output!r}, but there is a single target.")
    rows = _rows_of_group(group, groups, len(values))
    return {
        "y_pred": values[rows],
        "y_true": None if truth is None else truth[rows],
        "times": times[rows],
        "bands": None if bands is None else bands[rows],
    }


def forecast_of_row(answers, y, times, row, output, n_history, groups, index=None, before=None):
    """Return what is drawn of the horizon that is predicted at one row, see `forecast_of_rows`.

    `index` is that of X, whose frequency tells the times of rows behind the last, and `before` that of its context.
    """
    values, bands, n = answers.values, answers.bands, len(answers.values)
    if values.ndim < 2:
        raise ValueError("row goes with targets of a horizon, (n_samples, horizon); here each row has one prediction.")
    if isinstance(row, bool) or not isinstance(row, (int, np.integer)) or not -n <= row < n:
        raise ValueError(f"row={row!r}, expected the number of one of the {n} rows of X.")
    row, truth = int(row) % n, _truth(y, values)
    if values.ndim == 3:
        place = _check_output(output, values.shape[2], "")
        values, truth = values[:, :, place], None if truth is None else truth[:, :, place]
        bands = None if bands is None else bands[:, :, place]
    elif output is not None:
        raise ValueError(f"output={output!r}, but there is a single target.")
    horizon = values.shape[1]
    if n_history is None:
        n_history = 2 * horizon
    elif isinstance(n_history, bool) or not isinstance(n_history, (int, np.integer)) or n_history < 0:
        raise ValueError(f"n_history={n_history!r}, expected an integer of at least 0.")
    history = history_times = None
    if truth is not None and n_history:
        # The first value of each target is that of the next row.
        begin = max(_first_of_group(groups, row), row - n_history)
        history, history_times = truth[begin:row, 0], times[begin + 1 : row + 1]
    found = {"y_pred": values[row], "y_true": None if truth is None else truth[row]}
    found |= {"bands": None if bands is None else bands[row]}
    own = slice(_first_of_group(groups, row), _end_of_group(groups, row, n))
    found["times"] = _after(times[own], row - own.start, horizon, index if own.stop == n else None, before)
    if found["times"] is None:  # of a single date nothing tells when the next rows come
        found |= {"times": np.arange(1, horizon + 1), "time_name": "Rows ahead"}
    if history is not None and len(history):
        found |= {"history": history, "history_times": history_times}
    return found


def _truth(y, values):
    """Return y as numbers in the shape of the predictions, or None."""
    if y is None:
        return None
    truth = np.asarray(y, np.float64)
    if truth.shape != values.shape:
        raise ValueError(f"y has shape {truth.shape}, but the predictions have shape {values.shape}.")
    return truth


def _check_output(output, n, more):
    if output is None and n == 1:
        return 0
    if isinstance(output, bool) or not isinstance(output, (int, np.integer)) or not -n <= output < n:
        raise ValueError(f"output={output!r}, expected the position of one of {n} targets{more}.")
    return int(output)


def _rows_of_group(group, groups, n):
    """Return the rows of one group, of the only one if there is one."""
    if groups is None:
        return slice(None)
    labels = np.asarray(groups).tolist()
    known = list(dict.fromkeys(labels))
    if group is None and len(known) == 1:
        return slice(None)
    if group not in known:
        some = ", ".join(map(repr, known[:5])) + (", ..." if len(known) > 5 else "")
        raise ValueError(f"group={group!r}, expected the label of one of the {len(known)} groups: {some}.")
    return np.flatnonzero([label == group for label in labels])


def _first_of_group(groups, row):
    """Return the first row of the group of a row."""
    if groups is None:
        return 0
    labels = np.asarray(groups).tolist()
    return labels.index(labels[row])


def _end_of_group(groups, row, n):
    """Return the row behind the group of a row."""
    if groups is None:
        return n
    labels = np.asarray(groups).tolist()
    return n - labels[::-1].index(labels[row])


def _after(times, row, horizon, index, before):
    """Return the times of the rows after one of a group: those it has, then others at their usual distance, or None."""
    known = times[row + 1 : row + 1 + horizon]
    more = np.arange(1, horizon - len(known) + 1)
    if not len(more):
        return known
    frequency = getattr(index, "freq", None)
    if frequency is not None and np.array_equal(np.asarray(index)[-len(times) :], times):  # months, business days
        return np.concatenate([known, np.array([index[-1] + k * frequency for k in more.tolist()], times.dtype)])
    if len(times) == 1 and before is not None and np.asarray(before).dtype.kind == times.dtype.kind:
        times = np.append(np.asarray(before).astype(times.dtype)[-horizon:], times)
    if len(times) > 1:
        steps = np.diff(times)
        step = np.sort(steps)[len(steps) // 2]
    elif times.dtype.kind == "M" and np.datetime_data(times.dtype)[0] in FINE_UNITS:
        return None
    else:
        step = 1
    return np.concatenate([known, times[-1] + step * more])
