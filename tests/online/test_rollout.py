"""Rollouts: which rows a challenger takes, when it takes over, when it goes, states."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sklstm
from sklstm._online.rollout import Rollout


def play(rollout, champion, challenger):
    """Return what happens, with the number of the row."""
    found = []
    for row, (one, other) in enumerate(zip(champion, challenger, strict=True)):
        happened = rollout.observe(one, other)
        if happened is not None:
            found.append((row, happened))
        if rollout.outcome is not None:
            break
    return found


def test_the_shadow_then_share_by_share():
    rollout = Rollout(shares=(0.01, 0.1, 0.5, 1.0), margin=0.1, rows_per_stage=20)
    shares = []
    for row in range(100):
        shares.append(rollout.share)
        happened = rollout.observe(1.0, 0.8)
        assert (happened is None) == (row % 20 != 19)
    assert shares == [0.0] * 20 + [0.01] * 20 + [0.1] * 20 + [0.5] * 20 + [1.0] * 20
    assert (happened, rollout.outcome, rollout.share) == ("promote", "promote", 1.0)
    with pytest.raises(ValueError, match=r"the rollout has ended \('promote'\)"):
        rollout.observe(1.0, 1.0)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize(("challenger", "expected"), [(0.94, "advance"), (0.96, "reject"), (1.0, "reject")])
def test_better_means_by_the_margin(challenger, expected, scale):
    rollout = Rollout(margin=0.05, rows_per_stage=10)
    assert play(rollout, [scale] * 10, [challenger * scale] * 10) == [(9, expected)]


def test_equal_is_not_better_and_neither_is_zero_beside_zero():
    assert play(Rollout(margin=0.0, rows_per_stage=5), [1.0] * 5, [1.0] * 5) == [(4, "reject")]
    assert play(Rollout(margin=0.0, rows_per_stage=5), [0.0] * 5, [0.0] * 5) == [(4, "reject")]
    # A log-likelihood may be negative.
    assert play(Rollout(margin=0.1, rows_per_stage=5), [-1.0] * 5, [-1.05] * 5) == [(4, "reject")]
    assert play(Rollout(margin=0.1, rows_per_stage=5), [-1.0] * 5, [-1.2] * 5) == [(4, "advance")]


def test_it_is_rolled_back_when_its_loss_leaves_the_budget():
    # 20 rows of a stage, a champion's mean of 1, a budget of 0.1: 2 more than the champion are too many.
    champion = [1.0] * 60
    challenger = [0.5] * 20 + [0.5] * 10 + [1.5] * 30
    assert play(Rollout(rows_per_stage=20), champion, challenger) == [(19, "advance"), (34, "rollback")]
    # In the shadow nobody is hurt: it has time to be better in the mean.
    assert play(Rollout(rows_per_stage=20), [1.0] * 20, [5.0] + [0.1] * 19) == [(19, "advance")]
    # A wider budget waits for the end of the stage.
    wide = Rollout(rows_per_stage=20, error_budget=10.0)
    assert play(wide, champion, challenger) == [(19, "advance"), (39, "rollback")]
    assert (wide.share, wide.takes("any")) == (0.0, False)


def test_a_good_beginning_does_not_pay_for_a_bad_end():
    rollout = Rollout(shares=(0.5, 1.0), rows_per_stage=1000)
    challenger = [0.1] * 1900 + [3.0] * 100
    assert play(rollout, [1.0] * 2000, challenger) == [(999, "advance"), (1950, "rollback")]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_challenger_that_breaks_goes_at_once(bad):
    rollout = Rollout(rows_per_stage=5)
    assert rollout.observe(1.0, bad) == "reject"
    rollout = Rollout(rows_per_stage=5)
    assert play(rollout, [1.0] * 7, [0.5] * 6 + [bad]) == [(4, "advance"), (6, "rollback")]


def test_means_of_several_rows():
    champion, challenger = np.random.default_rng(0).uniform(0.9, 1.1, size=(2, 600))
    challenger *= 0.8
    single, blocks = Rollout(rows_per_stage=60), Rollout(rows_per_stage=60)
    found = play(single, champion, challenger)
    means = [part.reshape(-1, 20).mean(axis=1) for part in (champion, challenger)]
    grouped = []
    for k, (one, other) in enumerate(zip(*means, strict=True)):
        happened = blocks.observe(one, other, n=20)
        if happened is not None:
            grouped.append((20 * k + 19, happened))
        if blocks.outcome is not None:
            break
    assert grouped == found
    assert found[-1] == (299, "promote")


# Keys


def live(share, salt=""):
    rollout = Rollout(shares=(share, 1.0) if share < 1 else (1.0,), rows_per_stage=1, salt=salt)
    assert rollout.observe(1.0, 0.5) == "advance"
    return rollout


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_the_share_is_kept_and_rows_of_a_smaller_one_stay(share):
    keys = [f"customer {k}" for k in range(10_000)]
    rollout, half, other = live(share), live(share / 2), live(share, salt=2)
    taken = {key for key in keys if rollout.takes(key)}
    sd = np.sqrt(share * (1 - share) / len(keys))
    assert abs(len(taken) / len(keys) - share) <= 4 * sd
    assert {key for key in keys if half.takes(key)} <= taken
    if share == 0.1:
        assert {key for key in keys if other.takes(key)} != taken


def test_equal_keys_are_the_same_row():
    rollout = live(0.5)
    pandas = pytest.importorskip("pandas")
    utc, east = dt.UTC, dt.timezone(dt.timedelta(hours=2))
    for k in range(50):
        day = dt.datetime(2024, 1, 1) + dt.timedelta(hours=k)
        alike = [
            (k, np.int64(k), np.uint8(k), float(k), np.float32(k)),
            (f"{k}", np.str_(k)),
            (day, np.datetime64(day), np.datetime64(day, "h"), np.datetime64(day, "ns"), pandas.Timestamp(day)),
            (day.replace(tzinfo=utc), (day.replace(tzinfo=utc)).astimezone(east), pandas.Timestamp(day, tz="UTC")),
            (("a", k), ("a", np.int32(k))),
        ]
        for keys in alike:
            assert len({rollout.takes(key) for key in keys}) == 1, keys
    others = [(1, "1", b"1", ("1",), (1,), ("1", "")), ((1, 23), (12, 3), ("1", "23"), "123")]
    assert all(len({Rollout()._hash_of(key) for key in keys}) == len(keys) for keys in others)


def test_keys_that_are_none():
    for key in (None, [1], np.nan, np.datetime64("NaT", "s"), object(), {"a": 1}):
        with pytest.raises(TypeError, match="key="):
            live(0.5).takes(key)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="key=NaT"):
        live(0.5).takes(pandas.NaT)


CODE = """
from sklstm._online.rollout import Rollout
rollout = Rollout(shares=(0.3, 1.0), rows_per_stage=1, salt="v7")
rollout.observe(1.0, 0.5)
print("".join(str(int(rollout.takes(key))) for key in [*range(40), *map(str, range(40))]))
"""


def test_all_processes_and_machines_agree():
    folder = str(Path(sklstm.__file__).parent.parent)
    for seed in ("0", "1"):  # of the hashes of Python
        command = [sys.executable, "-c", CODE]
        run = subprocess.run(
            command, env={"PYTHONPATH": folder, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == STORED


STORED = "11010001110110001000010010000000110000010011000000001001100000100000000001101110"


def test_refusals():
    for make, message in (
        (lambda: Rollout(shares=()), r"shares=\(\)"),
        (lambda: Rollout(shares=(0.1, 0.5)), "of which the last is 1"),
        (lambda: Rollout(shares=(0.5, 0.5, 1.0)), "in increasing order"),
        (lambda: Rollout(shares=(0.0, 1.0)), "numbers above 0"),
        (lambda: Rollout(margin=-0.1), "margin=-0.1"),
        (lambda: Rollout(margin=np.nan), "margin=nan"),
        (lambda: Rollout(error_budget=-1), "error_budget=-1"),
        (lambda: Rollout(rows_per_stage=0), "rows_per_stage=0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    rollout = Rollout(rows_per_stage=3)
    before = rollout.state()
    for call, message in (
        (lambda: rollout.observe(np.nan, 1.0), "champion_loss=nan"),
        (lambda: rollout.observe(1.0, 1.0, n=0), "n=0"),
        (lambda: rollout.observe(1.0, 1.0, n=2.5), "n=2.5"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert rollout.state() == before


@pytest.mark.parametrize("cut", [0, 5, 20, 33, 59])
def test_a_state_goes_on(cut):
    rng = np.random.default_rng(1)
    champion, challenger = rng.uniform(0.5, 1.5, size=(2, 200))
    challenger *= 0.7
    whole, part = (
        Rollout(rows_per_stage=15, error_budget=0.5, salt=3),
        Rollout(rows_per_stage=15, error_budget=0.5, salt=3),
    )
    for k in range(cut):
        assert whole.observe(champion[k], challenger[k]) == part.observe(champion[k], challenger[k])
    again = Rollout.from_state(part.state())
    assert play(again, champion[cut:], challenger[cut:]) == play(whole, champion[cut:], challenger[cut:])
    assert again.state() == whole.state()
    assert whole.outcome == "promote"
    assert [again.takes(key) for key in range(50)] == [whole.takes(key) for key in range(50)]
