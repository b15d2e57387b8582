"""What `verbose=True` prints."""

from dataclasses import replace

import pytest
from training.test_loop import SETTINGS, draw_samples, run

from sklstm._training import progress
from sklstm._training.progress import in_words

VERBOSE = replace(SETTINGS, max_iter=3, verbose=True)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands at the next of some times with each look."""
    times = []
    monkeypatch.setattr(progress, "perf_counter", lambda: times.pop(0))
    return times


def test_a_line_for_each_epoch(capsys, clock):
    clock += [100.0, 101.0, 104.0, 104.25]
    _, history = run(draw_samples(20), VERBOSE, validation=draw_samples(10, seed=1))
    told = [
        f"loss {loss:.6f}, validation loss {validation:.6f}, validation score {score:.6f}"
        for loss, validation, score in zip(
            history.loss_curve, history.validation_losses, history.validation_scores, strict=True
        )
    ]
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1/3: {told[0]}, 1.0 s, at most 2.0 s left",
        f"Epoch 2/3: {told[1]}, 3.0 s, at most 2.0 s left",
        f"Epoch 3/3: {told[2]}, 0.250 s",
    ]


def test_what_goes_on_and_what_has_an_end(capsys, clock):
    clock += [0.0, 60.0, 120.0, 180.0]
    _, history = run(draw_samples(20), replace(VERBOSE, schedule="cosine"), first_epoch=4)
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 5/7: loss {history.loss_curve[0]:.6f}, 1 min 0 s, 2 min 0 s left",
        f"Epoch 6/7: loss {history.loss_curve[1]:.6f}, 1 min 0 s, 1 min 0 s left",
        f"Epoch 7/7: loss {history.loss_curve[2]:.6f}, 1 min 0 s",
    ]


def test_silent(capsys):
    run(draw_samples(20))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0.000 s"),
        (0.0126, "0.013 s"),
        (0.9999, "1.0 s"),
        (59.96, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (11555.0, "3 h 12 min"),
    ],
)
def test_durations(seconds, words):
    assert in_words(seconds) == words
