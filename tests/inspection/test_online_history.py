"""The picture of what happened to a learner: losses, events, refits, shares; tables; errors."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm._online.history import History
from sklstm.inspection import OnlineHistoryDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def two_drifts():
    """The history of a learner with two drifts, two challengers, and a refit that still runs."""
    history, rng = History(rows_per_point=20), np.random.default_rng(0)
    history.append("fit", 0, n=500)
    for row in range(3000):
        level = 3.0 if 1000 <= row < 1400 or 2100 <= row < 2600 else 1.0
        history.observe(row, level * rng.chisquare(1))
    for row, kind, numbers in (
        (1040, "drift", {"loss": 2.5}),
        (1040, "refit", {"n": 800}),
        (1120, "refitted", {"loss": 0.9}),
        (1200, "share", {"share": 0.1, "version": 2}),
        (1280, "share", {"share": 1.0, "version": 2}),
        (1360, "promote", {"version": 2, "loss": 2.9, "challenger_loss": 1.0}),
        (1360, "version", {"version": 2}),
        (2140, "drift", {"loss": 2.7}),
        (2140, "refit", {"n": 800}),
        (2200, "refitted", {"loss": 1.1}),
        (2280, "share", {"share": 0.1, "version": 3}),
        (2330, "rollback", {"version": 3, "loss": 2.9, "challenger_loss": 3.5}),
        (2900, "refit", {"n": 800}),
    ):
        history.append(kind, row, **numbers)
    return history.as_dict()


def test_what_is_drawn():
    history = two_drifts()
    display = OnlineHistoryDisplay.from_history(history, loss_label="Squared error")
    is_loss = history["kind"] == "loss"
    assert_array_equal(display.loss_line_.get_xdata(), history["row"][is_loss])
    assert_array_equal(display.loss_line_.get_ydata(), history["loss"][is_loss])
    at = {kind: [segment[0, 0] for segment in lines.get_segments()] for kind, lines in display.event_lines_.items()}
    assert at == {"drift": [1040, 2140], "version": [1360], "rollback": [2330]}
    bars = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in display.refit_bars_.get_paths()]
    assert bars == [(1040, 1120), (2140, 2200), (2900, 2999)]
    x, y = display.share_line_.get_data()
    assert_array_equal(x, [0, 1200, 1280, 1360, 2280, 2330, 2999])
    assert_array_equal(y, [0, 0.1, 1.0, 0, 0.1, 0, 0])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [
        "Loss",
        "Drift",
        "New version",
        "Challenger rolled back",
        "Refit runs",
        "Share of the challenger",
    ]
    assert display.ax_.get_ylabel() == "Squared error"
    assert display.share_ax_.get_ylim()[0] == 0
    # The loss lies above the share, and events over the whole height whatever the loss.
    assert display.ax_.get_zorder() > display.share_ax_.get_zorder()
    assert all((segment[:, 1] == [0, 1]).all() for segment in display.event_lines_["drift"].get_segments())


def test_a_history_without_events_or_with_one_loss():
    display = OnlineHistoryDisplay.from_history({"kind": ["loss"], "row": [5], "loss": [1.0]})
    assert display.loss_line_.get_marker() == "o"
    assert (display.event_lines_, display.refit_bars_, display.share_ax_, display.share_line_) == ({}, None, None, None)
    empty = OnlineHistoryDisplay.from_history(History().as_dict())
    assert len(empty.loss_line_.get_xdata()) == 0


def test_a_learner_a_table_axes_and_styles():
    class Learner:
        history_ = two_drifts()

    _, ax = plt.subplots()
    options = {"loss_kwargs": {"c": "black"}, "event_kwargs": {"lw": 3}}
    display = OnlineHistoryDisplay.from_estimator(Learner(), ax=ax, **options)
    assert display.ax_ is ax
    assert display.loss_line_.get_color() == "black"
    assert display.event_lines_["drift"].get_linewidth()[0] == 3
    pandas = pytest.importorskip("pandas")
    again = OnlineHistoryDisplay.from_history(pandas.DataFrame(two_drifts()))
    assert_array_equal(again.loss_line_.get_ydata(), display.loss_line_.get_ydata())
    assert_array_equal(again.plot().loss_line_.get_ydata(), display.loss_line_.get_ydata())


def test_refusals():
    with pytest.raises(TypeError, match="estimator is a int, expected an OnlineLearner: it has no history_"):
        OnlineHistoryDisplay.from_estimator(3)
    with pytest.raises(ValueError, match="history has no column 'row'"):
        OnlineHistoryDisplay.from_history({"kind": ["loss"], "loss": [1.0]})
    with pytest.raises(ValueError, match="the columns of history have shapes"):
        OnlineHistoryDisplay.from_history({"kind": ["loss"], "row": [1, 2], "loss": [1.0, 2.0]})
    with pytest.raises(TypeError, match="event_kwargs must be a dict"):
        OnlineHistoryDisplay.from_history(two_drifts(), event_kwargs=3)
