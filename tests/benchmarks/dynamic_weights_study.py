"""Measure dynamic weights of ensembles: ``python dynamic_weights_study.py [rules|prices]``.

"rules": errors of five forecasters are drawn row by row, and the weights move after each. Each number is the mean loss
relative to that of equal weights, in percent; below zero is better. "prices": five forecasters of generated day-ahead
prices whose quality changes half way (tests/ensemble/test_day_ahead.py), mean absolute error.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ensemble.test_day_ahead import FORECASTERS, errors_of

from sklstm._ensemble.dynamics import Settings, after_losses, moved, start_state, target_weights, usual_range

N_MEMBERS, N_ROWS, N_WARM = 5, 1600, 100
KINDS = {
    "alike": "equal variances, correlation .8",
    "different": "own variances .3 to 2.5 of .4",
    "reversed": "deviations .6 to 1.8, in the opposite order from the middle on",
    "one good": "deviations 1 and 3, another member is the good one in each quarter",
    "volatile": "reversed, and five times as large from the middle on",
    "tails": "reversed, Student's t with three degrees of freedom",
}
RULES = {
    "exponential": {},
    "exponential, select=3": {"select": 3},
    "best": {"rule": "best"},
    "best, select=3": {"rule": "best", "select": 3},
    "hedge": {"rule": "hedge"},
}


def draw_errors(kind, rng):
    """Return errors of all members, in the order of time."""
    common, own = rng.normal(size=(N_ROWS, 1)), rng.normal(size=(N_ROWS, N_MEMBERS))
    half = np.arange(N_ROWS)[:, None] < N_ROWS // 2
    deviations = np.where(half, np.linspace(0.6, 1.8, N_MEMBERS), np.linspace(1.8, 0.6, N_MEMBERS))
    if kind == "alike":
        return np.sqrt(0.8) * common + np.sqrt(0.2) * own
    if kind == "different":
        return np.sqrt(0.6) * common + np.sqrt(0.4 * np.linspace(0.3, 2.5, N_MEMBERS)) * own
    if kind == "one good":
        good = np.arange(N_ROWS)[:, None] * 4 // N_ROWS
        return np.where(np.arange(N_MEMBERS) == good, 1.0, 3.0) * own
    if kind == "volatile":
        return np.where(half, 1.0, 5.0) * deviations * (0.5 * common + own)
    if kind == "tails":
        common, own = rng.standard_t(3, size=(N_ROWS, 1)), rng.standard_t(3, size=(N_ROWS, N_MEMBERS))
    return 0.5 * common + deviations * own


def loss_of(errors, settings):
    """Return the mean squared error of the mixture after the first rows, updated after each row."""
    losses = errors**2
    state = start_state(N_MEMBERS, usual_range(losses[:N_WARM]))
    weights, found = np.full(N_MEMBERS, 1 / N_MEMBERS), np.empty(N_ROWS)
    for row in range(N_ROWS):
        found[row] = (errors[row] @ weights) ** 2
        state = after_losses(state, losses[row : row + 1], np.ones(1), settings.half_life)
        weights = moved(weights, target_weights(state, settings), settings.max_change)
    return found[N_WARM:].mean()


def study_rules(repeats):
    """Drawn errors."""
    print("| rule, half-life | " + " | ".join(KINDS) + " |\n" + "|---" * (1 + len(KINDS)) + "|")
    for name, changes in RULES.items():
        for half_life in (25.0,) if name == "hedge" else (25.0, 50.0, 100.0):
            settings = Settings("exponential", half_life, None, "auto", 0.2, 0.0)._replace(**changes)
            cells = []
            for kind in KINDS:
                draws = [draw_errors(kind, np.random.default_rng(seed)) for seed in range(repeats)]
                moving = np.mean([loss_of(errors, settings) for errors in draws])
                equal = np.mean([(errors.mean(axis=1)[N_WARM:] ** 2).mean() for errors in draws])
                cells.append(f"{100 * (moving / equal - 1):+.1f}")
            first = name if name == "hedge" else f"{name}, {half_life:g}"
            print(f"| {first} | " + " | ".join(cells) + " |", flush=True)


def study_prices(repeats):
    """Day-ahead prices."""
    names = ["dynamic", "auto", "equal", *(name for name, _ in FORECASTERS)]
    print("| draw | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|")
    for seed in range(repeats):
        errors = errors_of(seed)
        print(f"| {seed} | " + " | ".join(f"{errors[name]:.2f}" for name in names) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["rules", "prices"], help="default: both")
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    for part in [arguments.part] if arguments.part else ["rules", "prices"]:
        {"rules": study_rules, "prices": study_prices}[part](arguments.repeats)
