"""Drift of a model: detectors of a change in its loss, and the loss in a unit that does not depend on the target's."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal, Self

import numpy as np

MODES = ("up", "down", "both")


class PageHinkley:
    """Page-Hinkley test: whether the mean of a stream has changed.

    It sums by how much the values exceed their mean so far, less `delta`, and never lets the sum fall below 0. An alarm
    is a sum above `threshold`; with the next value everything begins anew [1]_, [2]_.

    Parameters
    ----------
    min_instances : int, default=30
        Values before the first alarm.
    delta : float, default=0.2
        Change of the mean that is tolerated.
    threshold : float, default=50.0
        Sum that is an alarm.
    mode : {"up", "down", "both"}, default="up"
        Which changes are reported; "up" are increases, for a loss those to the worse.

    Attributes
    ----------
    drift_detected : bool
        Whether the last value raised an alarm.
    n_seen : int
        Values since the beginning, or the last alarm.
    mean : float
        Of these values.

    Notes
    -----
    **Defaults** are for losses relative to those of training, whose mean is about 1 and whose standard deviation about
    1.4 (squared errors of a normal distribution). There a doubled loss is reported after 53 rows, one half as large
    again after 142 and one 30 % larger after 348 (medians); without a change an alarm comes once in about 100,000 rows.
    A change `d` of the mean takes about ``threshold / (d - delta)`` values, and one below `delta` is not reported.

    **Beside river's** class of the same name this one reports only increases unless told otherwise, and does not fade
    its sum. River multiplies it by ``alpha=0.9999``, but not its minimum: so it swings around ``-delta / (1 - alpha)``,
    and is by `threshold` above its lowest swing again and again, without any change of the stream.

    References
    ----------
    .. [1] E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.
    .. [2] D. V. Hinkley, "Inference about the change-point from cumulative sum tests", Biometrika 58, 1971.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.online import PageHinkley
    >>> losses = np.random.default_rng(0).chisquare(1, size=2000)
    >>> losses[1000:] *= 3
    >>> detector = PageHinkley()
    >>> for row, loss in enumerate(losses):
    ...     detector.update(loss)
    ...     if detector.drift_detected:
    ...         break
    >>> row
    1026
    """

    n_seen: int
    mean: float
    drift_detected: bool
    _NUMBERS = ("n_seen", "mean", "_above", "_below", "drift_detected")

    def __init__(
        self,
        min_instances: int = 30,
        delta: float = 0.2,
        threshold: float = 50.0,
        mode: Literal["up", "down", "both"] = "up",
    ) -> None:
        if isinstance(min_instances, bool) or not isinstance(min_instances, (int, np.integer)) or min_instances < 1:
            raise ValueError(f"min_instances={min_instances!r}, expected an integer of at least 1.")
        if not _is_number(delta) or delta < 0:
            raise ValueError(f"delta={delta!r}, expected a number that is not negative.")
        if not _is_number(threshold) or threshold <= 0:
            raise ValueError(f"threshold={threshold!r}, expected a number above 0.")
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}, expected one of {MODES}.")
        self.min_instances, self.delta, self.threshold, self.mode = min_instances, delta, threshold, mode
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.n_seen, self.mean, self._above, self._below, self.drift_detected = 0, 0.0, 0.0, 0.0, False

    def update(self, x: float) -> None:
        """Take the next value.

        Parameters
        ----------
        x : float
            Finite.

        Raises
        ------
        ValueError
            If it is not finite.
        """
        x = float(x)
        if not isfinite(x):
            raise ValueError(f"x={x!r}, expected a finite number.")
        if self.drift_detected:
            self.reset()
        self.n_seen += 1
        self.mean += (x - self.mean) / self.n_seen
        deviation = x - self.mean
        above, below = self._above + deviation - self.delta, self._below - deviation - self.delta
        self._above = above if above > 0.0 else 0.0
        self._below = below if below > 0.0 else 0.0
        if self.n_seen >= self.min_instances:
            self.drift_detected = (self._above > self.threshold and self.mode != "down") or (
                self._below > self.threshold and self.mode != "up"
            )

    def state(self) -> dict[str, Any]:
        """Return what goes on, for `from_state`.

        Returns
        -------
        dict
            Parameters and numbers, as nested dicts of plain numbers and texts.
        """
        names = ("min_instances", "delta", "threshold", "mode")
        return {
            "parameters": {name: getattr(self, name) for name in names},
            "numbers": {name: getattr(self, name) for name in self._NUMBERS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a detector that goes on from a state.

        Parameters
        ----------
        state : dict
            Of `state`.

        Returns
        -------
        PageHinkley
            With the same numbers.
        """
        made = cls(**state["parameters"])
        for name in cls._NUMBERS:
            setattr(made, name, state["numbers"][name])
        return made


class LossNormaliser:
    """Loss in multiples of a reference loss.

    Detectors compare with numbers that do not know the unit of the target: river's ADWIN never reports losses that are
    a hundredth of what it expects.

    Parameters
    ----------
    scale : float, default=None
        Mean loss that is the unit, for instance that of training; None for the mean of the first `warm_up` losses,
        for which there is no answer yet.
    warm_up : int, default=100
        Losses for the scale if none is given.
    clip : float, default=10.0
        Largest multiple that is returned, so that one row alone raises no alarm; None for no bound.
    """

    def __init__(self, scale=None, *, warm_up=100, clip=10.0):
        if isinstance(warm_up, bool) or not isinstance(warm_up, (int, np.integer)) or warm_up < 1:
            raise ValueError(f"warm_up={warm_up!r}, expected an integer of at least 1.")
        if clip is not None and (not _is_number(clip) or clip <= 1):
            raise ValueError(f"clip={clip!r}, expected a number above 1, or None.")
        self.warm_up, self.clip = warm_up, clip
        self.reset(scale)

    def reset(self, scale=None):
        """Begin anew, as after a model was replaced.

        Parameters
        ----------
        scale : float, default=None
            As in the constructor.
        """
        if scale is not None and (not _is_number(scale) or scale <= 0):
            raise ValueError(f"scale={scale!r}, expected a number above 0, or None.")
        self.scale = None if scale is None else float(scale)
        self._sum, self._n_seen = 0.0, 0

    def __call__(self, loss):
        """Return a loss as a multiple of the scale; None while the scale is not known.

        Parameters
        ----------
        loss : float
            Finite and not negative.
        """
        loss = float(loss)
        if not (isfinite(loss) and loss >= 0.0):
            raise ValueError(f"loss={loss!r}, expected a finite number that is not negative.")
        if self.scale is None:
            self._sum += loss
            self._n_seen += 1
            # Losses that are all 0 have no scale.
            if self._n_seen >= self.warm_up and self._sum > 0.0:
                self.scale = self._sum / self._n_seen
            return None
        relative = loss / self.scale
        return relative if self.clip is None or relative < self.clip else self.clip

    def state(self):
        """Return the numbers as a dict, for `from_state`."""
        names = ("scale", "warm_up", "clip", "_sum", "_n_seen")
        return {name.lstrip("_"): getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, state):
        """Return a normaliser that goes on from a state."""
        made = cls(state["scale"], warm_up=state["warm_up"], clip=state["clip"])
        made._sum, made._n_seen = state["sum"], state["n_seen"]
        return made


class DriftWatch:
    """A detector that watches losses.

    Parameters
    ----------
    detector : object
        With a method ``update(x)`` and an attribute ``drift_detected``, such as `PageHinkley` or those of river;
        nothing else of it is read, as river's ADWIN has forgotten its window and its count one value after an alarm.
    normaliser : LossNormaliser, default=None
        None for one of the default settings.

    Notes
    -----
    An alarm that lasts over several values is one alarm.

    **State.** That of a detector which has ``state()`` and a class method ``from_state(state)``, as `PageHinkley` does,
    is plain data. Other detectors can be copied and pickled with what holds them; in a checkpoint their state would be
    a pickle, and reading one runs code. So `state` refuses them, and a pickle is written and read with ``trust=True``
    only.
    """

    def __init__(self, detector, normaliser=None):
        if isinstance(detector, type) or not callable(getattr(detector, "update", None)):
            raise TypeError(f"detector={detector!r}, expected an object with a method update(x).")
        if not hasattr(detector, "drift_detected"):
            raise TypeError(f"detector={detector!r}, expected an object with an attribute drift_detected.")
        self.detector, self.normaliser = detector, LossNormaliser() if normaliser is None else normaliser
        self._alarmed = False

    def update(self, loss):
        """Take the loss of the next row; return whether it raised an alarm.

        Parameters
        ----------
        loss : float
            Finite and not negative.

        Returns
        -------
        bool
        """
        relative = self.normaliser(loss)
        if relative is None:
            return False
        self.detector.update(relative)
        before, self._alarmed = self._alarmed, bool(self.detector.drift_detected)
        return self._alarmed and not before

    @property
    def parts(self):
        """Objects of this package whose attributes an update changes."""
        return [self, self.normaliser, *([self.detector] if type(self.detector) is PageHinkley else [])]

    def state(self, trust=False):
        """Return what goes on, for `from_state`.

        Parameters
        ----------
        trust : bool, default=False
            Whether a detector that has no plain state is pickled.

        Raises
        ------
        TypeError
            If it has none, and is not to be pickled.
        """
        if _is_plain(type(self.detector)):
            own = {"plain": self.detector.state()}
        elif trust:
            own = {"pickle": np.frombuffer(pickle.dumps(self.detector), np.uint8)}
        else:
            raise TypeError(
                f"the state of {_name_of(self.detector)} is no plain data, and a checkpoint is read without running "
                "code. Give the detector methods state() and from_state(state), use PageHinkley, or allow its pickle "
                "by trust=True."
            )
        return {
            "class": _name_of(self.detector),
            "detector": own,
            "normaliser": self.normaliser.state(),
            "alarmed": self._alarmed,
        }

    @classmethod
    def from_state(cls, state, detector=None, *, trust=False):
        """Return a watch that goes on from a state.

        Parameters
        ----------
        state : dict
        detector : object, default=None
            Any detector of the same class, as no class is looked up by its name; None for `PageHinkley`.
        trust : bool, default=False
            Whether a pickle may be read: it runs what it says.

        Raises
        ------
        ValueError
            If the state is that of another class, or a pickle that is not trusted.
        """
        kind = PageHinkley if detector is None else type(detector)
        if state["class"] != _name_of(kind):
            raise ValueError(f"the state is that of a {state['class']}, the detector is a {_name_of(kind)}.")
        saved = state["detector"]
        if "plain" in saved:
            if not _is_plain(kind):
                raise ValueError(f"{_name_of(kind)} has no from_state(state) to read its state.")
            made = kind.from_state(saved["plain"])
        elif trust:
            made = pickle.loads(saved["pickle"].tobytes())
        else:
            raise ValueError(f"the state of {state['class']} is a pickle, which runs code: allow it by trust=True.")
        watch = cls(made, LossNormaliser.from_state(state["normaliser"]))
        watch._alarmed = bool(state["alarmed"])
        return watch


def _is_plain(kind):
    return callable(getattr(kind, "state", None)) and callable(getattr(kind, "from_state", None))


def _name_of(one):
    kind = one if isinstance(one, type) else type(one)
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and isfinite(value)
