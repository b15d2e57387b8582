"""A challenger takes over from a champion, share by share, or goes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Literal, Self

import numpy as np

_PARAMETERS = ("shares", "margin", "rows_per_stage", "error_budget", "salt")
_NUMBERS = ("stage", "outcome", "n_rows", "champion_sum", "challenger_sum", "excess", "champion_total", "n_total")


class Rollout:
    """How a challenger takes over from a champion.

    Both predict all rows, and the losses of both are observed. At first the challenger is in the shadow: the answers
    are those of the champion. After `rows_per_stage` rows in which it was better by `margin` it takes the first of
    `shares`, then the next, and after the last it is promoted.

    Parameters
    ----------
    shares : sequence of float, default=(0.01, 0.1, 0.5, 1.0)
        Shares of the rows that the challenger answers, in increasing order; the last is 1.
    margin : float, default=0.02
        By how much of the champion's mean loss the challenger's must be lower.
    rows_per_stage : int, default=500
        Rows of a stage, the shadow being the first.
    error_budget : float, default=0.1
        What the challenger may lose more than the champion once it answers rows, as a part of what the champion loses
        in a stage.
    salt : str or int, default=""
        Changes which rows the challenger takes, for instance the number of its version; with the same one, the same
        keys are always the first.

    Attributes
    ----------
    stage : int
        -1 in the shadow, then the index of the share.
    outcome : {None, "promote", "reject", "rollback"}
        How it has ended.
    share : float

    Notes
    -----
    **Better** means that the mean loss of the challenger over the stage is below that of the champion, less `margin`
    times its size. At the end of a stage a challenger that is not better is dropped: "reject" in the shadow, "rollback"
    later.

    **Error budget.** While the challenger answers rows, its loss minus that of the champion is summed, and the sum
    never falls below 0, so that a good beginning pays for nothing. Above ``error_budget * rows_per_stage`` times the
    size of the champion's mean loss over the rollout, it is rolled back at once. A loss of the challenger that is not
    finite drops it at once.

    **Keys.** A row is the challenger's if the BLAKE2b hash of salt and key, as a number between 0 and 1, is below the
    share: for everybody who asks, and with a larger share for those of a smaller one too.

    Examples
    --------
    >>> from sklstm.online import Rollout
    >>> rollout = Rollout(shares=(0.1, 1.0), rows_per_stage=2)
    >>> rollout.share, rollout.takes("row 5")
    (0.0, False)
    >>> [rollout.observe(1.0, 0.9) for _ in range(6)]
    [None, 'advance', None, 'advance', None, 'promote']
    """

    stage: int
    outcome: Literal["promote", "reject", "rollback"] | None

    def __init__(
        self,
        shares: Sequence[float] = (0.01, 0.1, 0.5, 1.0),
        margin: float = 0.02,
        rows_per_stage: int = 500,
        error_budget: float = 0.1,
        salt: str | int = "",
    ) -> None:
        given, shares = shares, tuple(float(one) for one in shares)
        rising = all(a < b for a, b in zip((0.0, *shares), shares, strict=False))
        if not shares or not rising or shares[-1] != 1.0:
            raise ValueError(f"shares={given!r}, expected numbers above 0 in increasing order, of which the last is 1.")
        if isinstance(rows_per_stage, bool) or not isinstance(rows_per_stage, (int, np.integer)) or rows_per_stage < 1:
            raise ValueError(f"rows_per_stage={rows_per_stage!r}, expected an integer of at least 1.")
        for name, value in (("margin", margin), ("error_budget", error_budget)):
            if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}, expected a number that is not negative.")
        self.shares, self.margin, self.rows_per_stage = shares, float(margin), int(rows_per_stage)
        self.error_budget, self.salt = float(error_budget), salt
        self._hash_key = hashlib.blake2b(_bytes_of(salt)).digest()
        self.stage, self.outcome = -1, None
        self.champion_total, self.n_total = 0.0, 0
        self._begin_stage()

    def _begin_stage(self):
        self.n_rows, self.champion_sum, self.challenger_sum, self.excess = 0, 0.0, 0.0, 0.0

    @property
    def share(self) -> float:  # numpydoc ignore=RT01
        """Share of the rows that the challenger answers."""
        if self.outcome is not None:
            return 1.0 if self.outcome == "promote" else 0.0
        return self.shares[self.stage] if self.stage >= 0 else 0.0

    def takes(self, key: Any) -> bool:
        """Return whether the challenger answers a row.

        Parameters
        ----------
        key : str, bytes, int, float, datetime, numpy scalar, or tuple of these
            Of the row. Equal keys are the same row, such as 3 and ``numpy.int64(3)``.

        Returns
        -------
        bool
            True for the challenger.

        Raises
        ------
        TypeError
            If the key is none of these.
        """
        return self._hash_of(key) < int(self.share * (1 << 64))

    def _hash_of(self, key):
        """Return 64 bits that depend on salt and key alone."""
        return int.from_bytes(hashlib.blake2b(_bytes_of(key), digest_size=8, key=self._hash_key).digest(), "big")

    def observe(
        self, champion_loss: float, challenger_loss: float, n: int = 1
    ) -> Literal["advance", "promote", "reject", "rollback"] | None:
        """Take the losses of the next rows.

        Parameters
        ----------
        champion_loss, challenger_loss : float
            Mean losses of the same rows.
        n : int, default=1
            How many rows.

        Returns
        -------
        {None, "advance", "promote", "reject", "rollback"}
            What happens now. After the last three the rollout has ended.

        Raises
        ------
        ValueError
            If the loss of the champion is not finite, or the rollout has ended.
        """
        if self.outcome is not None:
            raise ValueError(f"the rollout has ended ({self.outcome!r}); begin a new one.")
        champion_loss, challenger_loss = float(champion_loss), float(challenger_loss)
        if not isfinite(champion_loss):
            raise ValueError(f"champion_loss={champion_loss!r}, expected a finite number.")
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"n={n!r}, expected an integer of at least 1.")
        if not isfinite(challenger_loss):
            return self._drop()
        n = int(n)
        self.n_rows += n
        self.n_total += n
        self.champion_sum += n * champion_loss
        self.challenger_sum += n * challenger_loss
        self.champion_total += n * champion_loss
        if self.stage >= 0:
            self.excess = max(0.0, self.excess + n * (challenger_loss - champion_loss))
            if self.excess > self.error_budget * self.rows_per_stage * abs(self.champion_total) / self.n_total:
                return self._drop()
        if self.n_rows < self.rows_per_stage:
            return None
        if not self.challenger_sum < self.champion_sum - self.margin * abs(self.champion_sum):
            return self._drop()
        if self.stage == len(self.shares) - 1:
            self.outcome = "promote"
            return self.outcome
        self.stage += 1
        self._begin_stage()
        return "advance"

    def _drop(self):
        self.outcome = "rollback" if self.stage >= 0 else "reject"
        return self.outcome

    def state(self) -> dict[str, Any]:
        """Return what goes on, for `from_state`.

        Returns
        -------
        dict
            Parameters and numbers, as nested dicts of plain numbers, texts and lists.
        """
        parameters = {name: getattr(self, name) for name in _PARAMETERS}
        return {
            "parameters": {**parameters, "shares": list(self.shares)},
            "numbers": {name: getattr(self, name) for name in _NUMBERS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a rollout that goes on from a state.

        Parameters
        ----------
        state : dict
            Of `state`.

        Returns
        -------
        Rollout
            At the same stage, with the same numbers.
        """
        made = cls(**state["parameters"])
        for name in _NUMBERS:
            setattr(made, name, state["numbers"][name])
        return made


def _bytes_of(key):
    """Return a key as bytes, the same for equal keys, others for others."""
    if isinstance(key, bytes):
        return b"b" + key
    if isinstance(key, str):
        return b"s" + key.encode("utf-8", "surrogatepass")
    if isinstance(key, (bool, int, np.bool_, np.integer)):
        return b"i" + str(int(key)).encode()
    if isinstance(key, (float, np.floating)) and isfinite(key):
        key = float(key)
        return _bytes_of(int(key)) if key.is_integer() else b"f" + key.hex().encode()
    if isinstance(key, (dt.date, np.datetime64)):
        return b"t" + str(_nanoseconds(key)).encode()
    if isinstance(key, tuple):
        parts = [_bytes_of(one) for one in key]
        return b"u" + b"".join(str(len(one)).encode() + b":" + one for one in parts)
    raise TypeError(
        f"key={key!r} of type {type(key).__name__}, expected a text, bytes, a finite number, a time, or a tuple."
    )


def _nanoseconds(key):
    """Return a time as nanoseconds since 1970, those of UTC if it has a zone."""
    if key != key:  # noqa: PLR0124  # NaT
        raise TypeError(f"key={key!r}, expected a time.")
    if isinstance(key, dt.date):
        zone = getattr(key, "tzinfo", None)
        nanosecond = getattr(key, "nanosecond", 0)  # of pandas
        if zone is not None:
            key = key.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(key, dt.datetime):
            key = dt.datetime(*key.timetuple()[:6], key.microsecond)
        unit = np.datetime64(key, "us").astype(np.int64)
        return int(unit) * 1000 + nanosecond
    unit, n = np.datetime_data(key.dtype)
    per_second = {"ns": 1, "us": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "D": 86400 * 10**9}
    if unit not in per_second:
        try:
            key, unit, n = key.astype("datetime64[s]"), "s", 1
        except OverflowError:  # NumPy 2.5; before, the conversion wraps around
            raise ValueError(f"key={key!r} lies too far off to be counted in seconds.") from None
    return int(key.astype(np.int64)) * n * per_second[unit]
