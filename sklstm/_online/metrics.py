"""Counters, gauges and histograms of seconds of a learner, as a dict and as text for Prometheus."""

from array import array
from bisect import bisect_left
from math import inf, isnan, nan, sqrt

import numpy as np

# Upper bounds of the buckets, in seconds: 2 ** (k / 8), from a microsecond to a quarter of an hour. What takes longer
# is in one more bucket.
PER_OCTAVE, FIRST_OCTAVE, LAST_OCTAVE = 8, -20, 10
BOUNDS = tuple(2.0 ** (k / PER_OCTAVE) for k in range(PER_OCTAVE * FIRST_OCTAVE, PER_OCTAVE * LAST_OCTAVE + 1))
N_BUCKETS = len(BOUNDS) + 1
# A quantile is given as the middle of its bucket, in the logarithm: it is off by this factor at most.
LARGEST_FACTOR = 2.0 ** (1 / (2 * PER_OCTAVE))
QUANTILES = (0.5, 0.99)
# Buckets of the text: every octave, and infinity.
_SHOWN = range(0, len(BOUNDS), PER_OCTAVE)
_TINY = BOUNDS[0] / 2

COUNTERS = {
    "rows": "Rows that were taken.",
    "predictions": "Rows that were predicted.",
    "truths": "Rows whose truth came.",
    "updates": "Updates of the model by new rows.",
    "drifts": "Alarms of the drift detector.",
    "refits": "Full refits that ended.",
    "refit_failures": "Full refits that failed.",
    "versions": "Versions of the model that were written.",
    "promotions": "Challengers that took over.",
    "rejections": "Challengers that were dropped before they took a row.",
    "rollbacks": "Challengers that had taken rows and were dropped.",
}
GAUGES = {
    "loss": "Mean loss of the latest rows.",
    "loss_at_training": "Mean loss when the model was trained.",
    "version": "Number of the version that predicts.",
    "share": "Share of the rows that the challenger predicts.",
    "waiting": "Rows that wait for their truth.",
}
HISTOGRAMS = {
    "step": "Seconds that one step takes: a row in, its prediction out.",
    "update": "Seconds that one update takes.",
    "drift_check": "Seconds that one look at the drift detector takes.",
    "refit": "Seconds that one full refit takes.",
}
_KINDS = {"counter": COUNTERS, "gauge": GAUGES, "histogram": HISTOGRAMS}


class Histogram:
    """How many durations lie in buckets whose bounds grow by a constant factor.

    Attributes
    ----------
    counts : array of int
        Of each bucket.
    total, largest, smallest : float
        Sum, maximum and minimum in seconds.
    """

    __slots__ = ("counts", "largest", "smallest", "total")

    def __init__(self):
        self.counts = array("q", bytes(8 * N_BUCKETS))
        self.total, self.largest, self.smallest = 0.0, 0.0, inf

    def quantile(self, q):
        """Return a quantile in seconds, at most 4.5 % off; NaN while nothing was observed."""
        counts = np.array(self.counts)
        n = int(counts.sum())
        if not n:
            return nan
        # The smallest duration that at least a part q of all is not above.
        k = int(np.searchsorted(np.cumsum(counts), max(1, int(np.ceil(q * n)))))
        if k == N_BUCKETS - 1:
            return self.largest
        low = BOUNDS[k - 1] if k else _TINY
        return min(max(sqrt(low * BOUNDS[k]), self.smallest), self.largest)


class Metrics:
    """What a learner counts and measures.

    Counters only grow, gauges are what was set last, histograms hold how long something took. Names of
    `COUNTERS`, `GAUGES` and `HISTOGRAMS` are there from the start; others are added by their first use.

    Parameters
    ----------
    prefix : str, default="sklstm_online"
        Of the names in the text for Prometheus.

    Notes
    -----
    **Quantiles.** Buckets are a factor 2 ** (1/8) wide, from a microsecond to 1,024 s. A quantile is the geometric
    middle of the bucket that it lies in, within minimum and maximum: between these bounds it is off by a factor of at
    most 2 ** (1/16), which is 4.5 %, for any number of observations in 2 kB.

    **Threads.** There is no lock. One thread counts, that of the learner; others may read at any time, and then find a
    moment of their own in each number.

    Examples
    --------
    >>> from sklstm._online.metrics import Metrics
    >>> metrics = Metrics()
    >>> metrics.count("rows")
    >>> metrics.observe("step", 0.002)
    >>> metrics.snapshot()["rows"], metrics.snapshot()["step_p99"]
    (1, 0.002)
    """

    def __init__(self, prefix="sklstm_online"):
        self.prefix = prefix
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._gauges = dict.fromkeys(GAUGES, nan)
        self._histograms = {name: Histogram() for name in HISTOGRAMS}

    def count(self, name, n=1):
        """Add to a counter.

        Parameters
        ----------
        name : str
        n : int, default=1
            Not negative.
        """
        if n < 0:
            raise ValueError(f"n={n!r}: a counter ({name!r}) only grows.")
        try:
            self._counters[name] += n
        except KeyError:
            self._refuse(name, "counter")
            self._counters[name] = n

    @property
    def counters(self):
        """The counters by name, a copy; they can be put back."""
        return self._counters.copy()

    @counters.setter
    def counters(self, counters):  # numpydoc ignore=GL08
        self._counters = dict(counters)

    def gauge(self, name, value):
        """Set a gauge.

        Parameters
        ----------
        name : str
        value : float
        """
        if name not in self._gauges:
            self._refuse(name, "gauge")
        self._gauges[name] = float(value)

    def observe(self, name, seconds):
        """Add a duration to a histogram.

        Parameters
        ----------
        name : str
        seconds : float
            Not negative.
        """
        if not seconds >= 0.0:
            raise ValueError(f"seconds={seconds!r} ({name!r}), expected a number that is not negative.")
        try:
            histogram = self._histograms[name]
        except KeyError:
            self._refuse(name, "histogram")
            histogram = self._histograms[name] = Histogram()
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1
        histogram.total += seconds
        if seconds > histogram.largest:  # noqa: PLR1730  # a call of `max` takes as long as all of this
            histogram.largest = seconds
        if seconds < histogram.smallest:  # noqa: PLR1730
            histogram.smallest = seconds

    def _refuse(self, name, kind):
        """Raise unless a name is new, and can be the name of a metric."""
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise ValueError(f"name={name!r}, expected letters, digits and underscores.")
        for other, known in (("counter", self._counters), ("gauge", self._gauges), ("histogram", self._histograms)):
            if name in known:
                raise ValueError(f"{name!r} is a {other}, and can be no {kind}.")

    def snapshot(self):
        """Return all numbers by name.

        Returns
        -------
        dict of str to int or float
            Counters and gauges (NaN where not set) by their names; of a histogram ``step`` in seconds ``step_p50``,
            ``step_p99``, ``step_mean``, ``step_max`` (NaN without observations), and ``step_count``.
        """
        found = {**self._counters, **self._gauges}
        for name, one in self._histograms.items():
            n = sum(one.counts)
            for q in QUANTILES:
                found[f"{name}_p{q * 100:g}"] = one.quantile(q)
            found[f"{name}_mean"] = one.total / n if n else nan
            found[f"{name}_max"] = one.largest if n else nan
            found[f"{name}_count"] = n
        return found

    def prometheus(self):
        """Return all numbers in the text format of Prometheus, version 0.0.4.

        Returns
        -------
        str
            Counters end in ``_total``, histograms in ``_seconds``, with a bucket for each power of two. Gauges that
            were never set are left out.
        """
        lines = []
        for name, value in self._counters.items():
            lines += self._head(f"{name}_total", "counter", name)
            lines.append(f"{self.prefix}_{name}_total {value}")
        for name, value in self._gauges.items():
            if not isnan(value):
                lines += self._head(name, "gauge", name)
                lines.append(f"{self.prefix}_{name} {_number(value)}")
        for name, one in self._histograms.items():
            own = f"{self.prefix}_{name}_seconds"
            lines += self._head(f"{name}_seconds", "histogram", name)
            sums = np.cumsum(np.array(one.counts))
            lines += [f'{own}_bucket{{le="{_number(BOUNDS[k])}"}} {sums[k]}' for k in _SHOWN]
            lines.append(f'{own}_bucket{{le="+Inf"}} {sums[-1]}')
            lines += [f"{own}_sum {_number(one.total)}", f"{own}_count {sums[-1]}"]
        return "\n".join(lines) + "\n"

    def _head(self, full, kind, name):
        text = _KINDS[kind].get(name, f"{name.replace('_', ' ').capitalize()}.")
        return [f"# HELP {self.prefix}_{full} {text}", f"# TYPE {self.prefix}_{full} {kind}"]

    def state(self):
        """Return the numbers as nested dicts of plain numbers and arrays, for `from_state`."""
        return {
            "prefix": self.prefix,
            "counters": dict(self._counters),
            "gauges": dict(self._gauges),
            "histograms": {
                name: {
                    "counts": np.array(one.counts, np.int64),
                    "sum_max_min": np.array([one.total, one.largest, one.smallest]),
                }
                for name, one in self._histograms.items()
            },
        }

    @classmethod
    def from_state(cls, state):
        """Return metrics that go on from a state.

        Raises
        ------
        ValueError
            If it is none, or has other buckets.
        """
        made = cls(state["prefix"])
        made._counters.update(state["counters"])
        made._gauges.update(state["gauges"])
        for name, saved in state["histograms"].items():
            one = made._histograms.setdefault(name, Histogram())
            counts = np.asarray(saved["counts"], np.int64)
            if counts.shape != (N_BUCKETS,) or (counts < 0).any():
                raise ValueError(f"histogram {name!r} has counts of shape {counts.shape}, expected ({N_BUCKETS},).")
            one.counts = array("q", counts.tobytes())
            one.total, one.largest, one.smallest = map(float, saved["sum_max_min"])
        return made


def _number(value):
    """Return a number as Prometheus writes it."""
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
