"""The ablation ladder of the examples: its data are what they are said to be, its budget is counted right, it runs."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("ladder_tasks")


@pytest.fixture
def ladder(tasks):
    return importlib.import_module("ablation_ladder")


@pytest.fixture
def report(tasks):
    return importlib.import_module("ladder_report")


def draw(make, n=30):
    return make(np.random.default_rng(1), n, Path())[0]


# Data


def test_adding_problem(tasks):
    X, y = draw(tasks.adding_problem(20))
    assert X.shape == (30, 20, 2)
    assert_array_equal(X[:, :10, 1].sum(axis=1), 1)
    assert_array_equal(X[:, 10:, 1].sum(axis=1), 1)
    assert_allclose(y, (X[:, :, 0] * X[:, :, 1]).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", ["copy_memory", "selective_copying"])
def test_letters_are_asked_in_order(tasks, name):
    X, y = draw(getattr(tasks, name)(12))
    assert_array_equal(X.sum(axis=2), 1)
    is_letter = X[:, :, : tasks.ALPHABET].any(axis=2)
    assert_array_equal(is_letter.sum(axis=1), tasks.LETTERS)
    given = X.argmax(axis=2)[is_letter].reshape(30, tasks.LETTERS)
    assert_array_equal(y[:, -tasks.LETTERS :], given)
    assert np.isnan(y[:, : -tasks.LETTERS]).all()
    # No letter stands at a step that is asked, and the mark that calls for them comes before these.
    assert not is_letter[:, -tasks.LETTERS :].any()
    assert_array_equal(X.argmax(axis=2)[:, -tasks.LETTERS - 1], tasks.ALPHABET + 1)


def test_letters_to_copy_stand_at_the_beginning_or_anywhere(tasks):
    first = [
        draw(make(12))[0][:, :, : tasks.ALPHABET].any(axis=2) for make in (tasks.copy_memory, tasks.selective_copying)
    ]
    assert first[0][:, : tasks.LETTERS].all()
    assert first[1].any(axis=0)[:12].all()


def test_delayed_recall(tasks):
    X, y = draw(tasks.delayed_recall(20, 5))
    letters, marks = X[:, :, :-1], X[:, :, -1]
    assert_array_equal(letters.sum(axis=2), 1)
    assert_array_equal(marks[:, :5].sum(axis=1), 1)
    assert not marks[:, 5:].any()
    assert_array_equal(y, letters.argmax(axis=2)[np.arange(30), marks.argmax(axis=1)])


@pytest.mark.parametrize("modulus", [2, 5])
def test_sums_modulo(tasks, modulus):
    X, y = draw(tasks.sum_modulo(modulus, 15))
    state = np.zeros(30, int)
    for t in range(15):
        state = (state + X[:, t].argmax(axis=1)) % modulus
        assert_array_equal(y[:, t], state)


def test_digits_are_split_and_permuted_alike(tasks):
    ordered, permuted, rows = (
        draw(make, 1000) for make in (tasks.digits(True), tasks.digits(True, True), tasks.digits(False))
    )
    assert_array_equal(ordered[0].reshape(-1, 8, 8), rows[0])
    assert_array_equal(permuted[1], ordered[1])
    assert not np.array_equal(permuted[0], ordered[0])
    assert_array_equal(np.sort(permuted[0], axis=1), np.sort(ordered[0], axis=1))
    permutation = np.random.default_rng(0).permutation(64)
    assert_array_equal(permuted[0], ordered[0][:, permutation])


def test_sequences_cut_from_a_table_ask_each_row_once(tasks):
    table = np.arange(40.0)
    X, y = tasks.cut(table[:, np.newaxis], table, slice(3, 40), 12, 5)
    assert_array_equal(y[0], [np.nan] * 7 + [10, 11, 12, 13, 14])
    assert_array_equal(X[:, 1:] - X[:, :-1], 1)
    asked = y[~np.isnan(y)]
    assert_array_equal(asked, np.arange(10, 40))
    assert_array_equal(X[..., 0][~np.isnan(y)], asked)


def test_each_task_without_a_file_makes_what_it_says(tasks):
    for task in tasks.TASKS:
        if task.file:
            assert not task.is_available(None)
            continue
        task = replace(task, size=(120, 1))
        parts = task.data(0)
        again, other = task.data(0), task.data(1)
        for (X, y), (X_again, y_again) in zip(parts, again, strict=True):
            assert np.shape(X)[2] == task.n_columns
            assert np.ndim(y) == 1 + task.per_step
            assert_array_equal(X, X_again)
            assert_array_equal(y, y_again)
        assert len(parts[0][0]) <= task.size[0]
        if task.group != "Real data":
            assert not np.array_equal(parts[0][0], other[0][0])
            assert not np.array_equal(parts[0][0][:100], parts[2][0][:100])


# The budget


def test_multiplications_are_counted(ladder):
    # Two layers of 3 units on 5 columns: gates of x and of h, two for each number of h and c; h alone for Elman.
    assert ladder.multiplications("LSTM", 3, 5) == 12 * (5 + 3) + 12 * (3 + 3) + 2 * 2 * 6
    assert ladder.multiplications("Elman", 3, 5) == 3 * (5 + 3) + 3 * (3 + 3) + 2 * 6
    assert ladder.multiplications("MinGRU", 3, 5) == 6 * 5 + 6 * 3 + 2 * 6


@pytest.mark.parametrize("cell", ["GRU", "IndRNN"])
def test_no_multiple_of_eight_units_is_nearer_to_the_budget(ladder, cell):
    units, count, budget = ladder.units_within(cell, 2)
    assert budget == ladder.multiplications("LSTM", ladder.UNITS, 2)
    assert count == ladder.multiplications(cell, units, 2)
    assert units % 8 == 0
    others = [ladder.multiplications(cell, n, 2) for n in range(8, 160, 8)]
    assert abs(count - budget) == min(abs(other - budget) for other in others)


# Differences and runs


def test_paired_differences_are_those_of_a_t_test(report):
    from scipy import stats

    first, second = np.random.default_rng(0).normal(size=(2, 6))
    found = report.paired_difference(dict(enumerate(first)), dict(enumerate(second)) | {9: 0.0})
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert_allclose([found[0] - found[1], found[0] + found[1]], [interval.low, interval.high])
    assert np.isnan(report.paired_difference({0: 1.0}, {0: 2.0})[1])
    assert np.isnan(report.paired_difference({0: 1.0}, {1: 2.0})[0])


def test_entries_of_the_table(report, tasks):
    task = next(task for task in tasks.TASKS if task.name == "parity")
    scores = {"LSTM": [0.5, 0.6, 0.55], "GRU": [0.96, 1.0, 0.98], "Elman": [0.4, 0.97, 0.5]}
    records = [
        {"task": "parity", "cell": cell, "seed": seed, "test": score}
        for cell, of_cell in scores.items()
        for seed, score in enumerate(of_cell)
    ] + [{"task": "parity", "cell": "MGU", "seed": 0, "error": "ValueError"}]
    assert report.entry(records, task, "LSTM") == "0.550"
    difference, half = report.paired_difference(*(dict(enumerate(scores[cell])) for cell in ("GRU", "LSTM")))
    assert report.entry(records, task, "GRU") == f"**0.980**<br>{difference:+.3f} ± {half:.3f} ▲"
    assert report.entry(records, task, "Elman").startswith("0.623 (1 of 3)<br>+0.073 ± ")
    assert "▲" not in report.entry(records, task, "Elman")
    assert report.entry(records, task, "MGU") == "failed"
    assert report.entry(records, task, "Delta") == ""
    assert report.ordered(records, [task]) == ["GRU", "Elman", "LSTM", "MGU"]


def test_tables_take_the_place_between_the_marks_of_a_page(tmp_path, ladder):
    page = tmp_path / "page.md"
    assert ladder.within(page, "new\n") == "new\n"
    page.write_text("no marks")
    assert ladder.within(page, "new\n") == "new\n"
    for old in ("", "old\n", "\n\nnew\n\n"):
        page.write_text(f"# Page\n{ladder.BEGIN}{old}{ladder.END}\nmore\n")
        assert ladder.within(page, "new\n") == f"# Page\n{ladder.BEGIN}\n\nnew\n\n{ladder.END}\nmore\n"


def test_a_quick_run_goes_on_where_it_stopped(tmp_path, ladder, tasks):
    task = next(task for task in tasks.TASKS if task.name == "digits rows")
    record = {"task": "digits rows", "cell": "LSTM", "seed": 0, "units": 32, "multiplications": 9, "budget": 9}
    record |= {"recipe": ladder.recipe_of(ladder.smaller(task, ladder.QUICK), {}), "seconds": 1.0, "megabytes": 1.0}
    other = record | {"recipe": ladder.recipe_of(task, {}), "test": 0.111}
    stored = [json.dumps(other), json.dumps(record | {"validation": 0.9, "test": 0.777}), '{"task": "digits ro']
    (tmp_path / "ladder.jsonl").write_text("\n".join(stored) + "\n")
    # Where `make test` runs, the folder of a script is not on the path by itself.
    paths = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
    printed = subprocess.run(
        [sys.executable, str(EXAMPLES / "ablation_ladder.py"), "--quick", "--cells", "LSTM", "MinGRU"]
        + ["--tasks", "digits rows", "ETTh1", "JSB"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "3 fits to run, 2 in ladder.jsonl" in printed
    assert "JSB is left out: it needs jsb_chorales/JSB_Chorales.mat" in printed
    assert "decide nothing" in printed
    new = [json.loads(line) for line in (tmp_path / "ladder.jsonl").read_text().splitlines()[3:]]
    assert {(r["task"], r["cell"]) for r in new} == {("digits rows", "MinGRU"), ("ETTh1", "LSTM"), ("ETTh1", "MinGRU")}
    for record in new:
        assert 0.1 < record["test"] < 20
        assert record["seconds"] > 0
        assert abs(record["multiplications"] / record["budget"] - 1) < 0.2
    table = (tmp_path / "ladder_table.md").read_text(encoding="utf-8")
    assert "decide nothing" in table
    assert "| `LSTM` | 0.777 |" in table
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")


# Simple models


def test_rows_and_characters_that_simple_models_read(tasks):
    baselines = importlib.import_module("ladder_baselines")
    X = np.arange(24.0).reshape(2, 6, 2)
    y = np.array([[np.nan, np.nan, 1, np.nan, np.nan, 2], [np.nan, np.nan, np.nan, 3, np.nan, np.nan]])
    rows, targets = baselines.last_rows((X, y), 2)
    assert_array_equal(targets, [1, 2, 3])
    assert_array_equal(rows, [[4, 5, 2, 3], [10, 11, 8, 9], [18, 19, 16, 17]])
    text = np.array([[0, 1, 2, 1, 0], [2, 2, 0, 1, 1]])
    part = tasks.one_hot(text[:, :-1], 3), text[:, 1:].astype(float)
    assert_array_equal(baselines.contexts(part, 0), [[1, 2, 1, 0, 2, 0, 1, 1]])
    assert_array_equal(baselines.contexts(part, 1), [[0, 1, 2, 1, 2, 2, 0, 1], [1, 2, 1, 0, 2, 0, 1, 1]])
    assert_array_equal(baselines.contexts(part, 2), [[0, 1, 2, 2, 2, 0], [1, 2, 1, 2, 0, 1], [2, 1, 0, 0, 1, 1]])
