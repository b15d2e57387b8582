"""How the study of the weight decay pairs losses, chooses rules and makes series to tasks, on data made here."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("scipy.io")  # of the music
sys.path.append(str(Path(__file__).parent))  # the study is a script beside its modules

from study_decay_report import Curves, auto, chosen, constants, of_numbers
from study_decay_tasks import levels


def curves(**losses):
    """Tasks a to d of two files, two seeds each; the second is harder by the same."""
    lines, cases = [], {}
    for name, by_decay in losses.items():
        for (decay, loss), seed in ((item, seed) for item in by_decay.items() for seed in (0, 1)):
            line = {"task": name, "setting": [decay, 1e-3, 0.0], "split": 0, "seed": seed, "n_weights": 1000}
            lines.append({**line, "loss": 2 * loss + 0.2 * seed, "wrong": None, "trivial": 2.0})
        kind = {"n_samples": 4000, "settings": {}, "is_classifier": name == "d"}
        cases[name] = SimpleNamespace(family="one" if name in "ab" else "other", **kind)
    return Curves(lines, cases)


def test_changes_are_paired_and_between_decays_lie_on_a_line():
    found = curves(a={0.01: 1.0, 1.0: 0.8})
    assert found.present("a") == pytest.approx(1.05)  # relative to 2, the mean of both seeds
    assert found.change("a", 1.0) == pytest.approx((-0.2, 0.0, 2))
    assert found.change("a", 3.0)[2] == 0
    assert found.at("a", 0.1) == pytest.approx(1.05 - 0.1)  # half way in the logarithm
    assert found.size("a") == (4000, 4.0, 32, "numbers")


def test_a_rule_is_chosen_on_all_tasks_or_on_those_of_other_files():
    steep, flat = {0.01: 1.0, 3.0: 0.5}, {0.01: 1.0, 3.0: 1.1}
    found = curves(a=steep, b=steep, c=flat)
    for other, expected in ((False, [0.55, 0.55, 1.15]), (True, [1.05, 1.05, 1.15])):
        losses = chosen(found, constants, on_other_files=other)
        assert [losses[name] for name in "abc"] == pytest.approx(expected)


def test_classes_can_keep_the_constant():
    found = curves(a={0.01: 1.0, 3.0: 0.5}, d={0.01: 1.0, 3.0: 0.9})
    assert chosen(found, of_numbers(constants), on_other_files=False)["d"] == pytest.approx(found.present("d"))
    assert [auto(*found.size(name)) for name in "ad"] == [1.0, 0.01]


def test_the_future_of_a_row_lies_in_its_part():
    series = [np.arange(100.0), 10 * np.arange(100.0)]
    case = levels("name", series, 3, 8, (60, 80, 100), 20, {"patch_length": 2}, "file")
    (train, val), (both, test) = case.task.selection[0], case.task.final
    assert case.task.X[train, 0].tolist() == [*range(40, 57), *range(400, 570, 10)]
    assert (val[0], val[16], test[0], test[16]) == (60, 76, 80, 96)
    assert len(both) == 2 * 37
    assert case.task.y[train[0]].tolist() == [41, 42, 43]
    assert case.reference[val[0]].tolist() == [60, 60, 60]
    assert case.settings == {"window_norm": "last", "linear_skip": 8, "patch_length": 2}
