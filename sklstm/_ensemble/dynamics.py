"""Weights that follow the recent losses of the members: a registry of rules, and the state that they read.

A rule makes target weights of the losses so far; the weights move towards these by a bounded step. State and weights
are plain arrays and numbers.
"""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np

# A share of the equal weight 1 / n_members that "auto" keeps for every member.
FLOOR = 0.05
# Time steps after which the mean losses count half: those of a few rows say little about the members.
PATIENCE = 5.0
# Power of the recent loss in the weights of "exponential".
POWER = 2.0
# Share of the losses of a typical member that lie within the range that Hedge divides by.
INSIDE = 0.95
LARGEST = 1e290  # a loss counts no more, so that sums stay finite
# So many times the usual loss is the most that a loss counts: one wrong row must not decide for thousands of steps.
WILD = 1000.0


class State(TypedDict):
    """Losses of the members up to now.

    `recent` and `count` are sums in which every time step counts less by a constant factor than the one after it;
    `total` and `rounds` are those of losses scaled to the range from `low` to `high`, in which all count alike.
    """

    recent: np.ndarray
    count: float
    total: np.ndarray
    rounds: float
    low: float
    high: float


class Settings(NamedTuple):
    """Parameters of an ensemble that say how its weights move; `shrinkage` is a number."""

    rule: str
    half_life: float
    select: int | None
    min_weight: float | str
    max_change: float
    shrinkage: float


def settings_of(ensemble):
    """Return the parameters of an ensemble that say how its weights move."""
    shrinkage = 0.0 if ensemble.shrinkage == "auto" else float(ensemble.shrinkage)
    names = ("update_rule", "half_life", "select", "min_weight", "max_change")
    return Settings(*(getattr(ensemble, name) for name in names), shrinkage)


def check_settings(settings, n_members):
    """Raise a ValueError unless the settings are possible for so many members."""
    if settings.select is not None and settings.select > n_members:
        raise ValueError(f"select={settings.select}, expected at most the number of members, {n_members}.")
    if settings.min_weight != "auto" and settings.min_weight * n_members > 1.0:
        raise ValueError(
            f"min_weight={settings.min_weight} for each of {n_members} members is more than 1; expected at most "
            f"{1.0 / n_members:.4g}, or 'auto'."
        )


def start_state(n_members, loss_range=(0.0, np.inf)):
    """Return the state before the first losses; a range without end is not known."""
    return State(
        recent=np.zeros(n_members),
        count=0.0,
        total=np.zeros(n_members),
        rounds=0.0,
        low=loss_range[0],
        high=loss_range[1],
    )


def usual_range(losses):
    """Return the range of losses that Hedge divides by.

    Parameters
    ----------
    losses : ndarray of shape (n_steps, n_members)

    Returns
    -------
    low, high : float
        0, or the smallest loss if there are negative ones, and the 95 % quantile of the losses of the median member:
        one member that is far off, or one row, does not make all others look alike.
    """
    low = min(0.0, float(losses.min()))
    high = float(np.quantile(np.median(losses, axis=1), INSIDE))
    return low, high if high > low else low + 1.0


def most_that_counts(state):
    """Return the largest loss that the next time step counts; infinity where the usual ones are not known.

    That is `WILD` times the end of the range, or the recent loss of the median member where it has grown beyond.
    """
    if not np.isfinite(state["high"]):
        return np.inf
    recent = np.median(state["recent"]) / state["count"] if state["count"] > 0.0 else 0.0
    return min(WILD * max(abs(state["high"]), float(recent)), LARGEST)


def after_losses(state, losses, shares, half_life, as_given=None):
    """Return the state after some more time steps.

    Parameters
    ----------
    state : State
    losses : ndarray of shape (n_steps, n_members)
        Finite, in the order of time.
    shares : ndarray of shape (n_steps,)
        What each time step counts beside the others, 1 on average.
    half_life : float
        Number of time steps after which a loss counts half.
    as_given : ndarray of shape (n_members,), dtype bool, default=None
        Members whose losses count whatever they are, as the user has given them; None for none.

    Returns
    -------
    State
        The same for steps that come one by one and for all at once.
    """
    decay = 0.5 ** (1.0 / half_life)
    losses = np.clip(losses, -LARGEST, LARGEST)
    recent, count = state["recent"], state["count"]
    total, rounds, low, high = state["total"], state["rounds"], state["low"], state["high"]
    known = np.isfinite(high)
    scaled = np.clip((losses - low) / (high - low), 0.0, 1.0) if known else losses
    for loss, one, share in zip(losses, scaled, shares, strict=True):
        most = most_that_counts(State(recent=recent, count=count, total=total, rounds=rounds, low=low, high=high))
        loss = np.minimum(loss, most if as_given is None else np.where(as_given, LARGEST, most))
        recent, count = decay * recent + share * loss, decay * count + share
        if known:
            total, rounds = total + share * one, rounds + share
    return State(recent=recent, count=float(count), total=total, rounds=float(rounds), low=low, high=high)


def recent_losses(state):
    """Return the exponentially weighted mean loss of each member, NaN before the first one."""
    return state["recent"] / state["count"] if state["count"] > 0.0 else np.full(len(state["recent"]), np.nan)


def _exponential(state, select):
    """Weights in proportion to an inverse power of the recent losses."""
    losses = recent_losses(state)
    if losses.min() < 0.0:
        raise ValueError(
            f"update_rule='exponential' needs losses that are not negative; the members have {losses}. Use 'hedge' or "
            "'best', or another weights_loss."
        )
    if losses.min() == 0.0:
        weights = (losses == 0.0).astype(np.float64)
    else:
        power = POWER * state["count"] / (state["count"] + PATIENCE)
        weights = (losses.min() / losses) ** power
    return weights * _chosen(losses, select)


def _hedge(state, select):
    """Exponential weights of the sums of losses, with the learning rate that holds at any time."""
    if not np.isfinite(state["high"]):
        raise ValueError(
            "update_rule='hedge' needs a range of the losses, which is not known for a callable weights_loss without "
            "out-of-fold losses. Fit with initial_weights='out_of_fold', or use another rule."
        )
    rate = np.sqrt(8.0 * np.log(len(state["total"])) / (state["rounds"] + 1.0))
    weights = np.exp(-rate * (state["total"] - state["total"].min()))
    return weights * _chosen(state["total"], select)


def _best(state, select):
    """Equal weights of the members with the smallest recent losses."""
    return _chosen(recent_losses(state), 1 if select is None else select).astype(np.float64)


def _chosen(losses, select):
    """Return which members have the `select` smallest losses, of equal ones the first; all for None."""
    if select is None:
        return np.ones(len(losses), bool)
    chosen = np.zeros(len(losses), bool)
    chosen[np.argsort(losses, kind="stable")[:select]] = True
    return chosen


#: What makes target weights, of any sum, of a state with losses and the number of members to choose.
RULES: dict[str, Callable] = {"exponential": _exponential, "hedge": _hedge, "best": _best}


def target_weights(state, settings):
    """Return the weights that the losses so far ask for, with a floor for every member.

    Parameters
    ----------
    state : State
    settings : Settings

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Of sum 1, none smaller than the floor.
    """
    n_members = len(state["recent"])
    equal = np.full(n_members, 1.0 / n_members)
    if state["count"] == 0.0:
        return equal
    weights = RULES[settings.rule](state, settings.select)
    weights = weights / weights.sum()
    weights = (1.0 - settings.shrinkage) * weights + settings.shrinkage * equal
    floor = FLOOR / n_members if settings.min_weight == "auto" else settings.min_weight
    return floor + (1.0 - n_members * floor) * weights / weights.sum()


def moved(weights, target, max_change):
    """Return weights moved towards others, so far that at most `max_change` of the sum of 1 changes hands."""
    change = np.maximum(target - weights, 0.0).sum()
    if change <= max_change:
        return target
    return weights + (max_change / change) * (target - weights)
