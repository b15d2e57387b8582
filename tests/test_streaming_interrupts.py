"""Ctrl-C in a step: the streams are as before, whatever they are made of."""

import copy

import numpy as np
import pandas as pd
import pytest
from interruption import cut_at
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stream_case import ROWS, TABLE, TARGETS, fitted, same

from sklstm import DeepLSTMRegressor, quantize
from sklstm.streaming import stream

FILES = {"_stream.py", "stream.py", "several.py", "_pipeline_stream.py", "_row_checks.py"}
STATEFUL = {"training": "stateful", "shuffle": False}


def piped():
    model = DeepLSTMRegressor(5, max_iter=1, random_state=0, n_jobs=1, **STATEFUL)
    return stream(make_pipeline(StandardScaler(), model).fit(TABLE, TARGETS["one"]))


STREAMS = {
    "carried": lambda: fitted("one", **STATEFUL).stream(),
    "windows": lambda: fitted("one").stream(),
    "labels of several streams": lambda: fitted("two labels", **STATEFUL).stream(n_streams=2),
    "transform": lambda: fitted("many", **STATEFUL).stream(response_method="transform"),
    "whole calls": lambda: fitted("one", **STATEFUL, linear_skip=3).stream(),
    "whole calls of windows": lambda: fitted("one", bidirectional=True).stream(),
    "several networks": lambda: fitted("one", n_seeds=2, **STATEFUL).stream(),
    "integers": lambda: quantize(fitted("one", **STATEFUL), TABLE, "int8").stream(),
    "pipeline": piped,
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_step_is_taken_whole_or_not_at_all(name):
    streams = STREAMS[name]()
    rows = ROWS[0] if streams._n_streams is None else ROWS[:2].transpose(1, 0, 2)
    for row in rows[:6]:  # a window is full, and was moved to the beginning of its memory
        streams.step(row)
    given = [rows[6]] if rows.ndim == 3 else [rows[6], pd.Series(rows[6], name=3)]
    before, copies = streams.state, [copy.copy(streams) for _ in given]
    for row, other in zip(given, copies, strict=True):
        n_lines = cut_at(None, FILES, lambda row=row, other=other: other.step(row))
        for line in range(1, n_lines + 1):
            cut_at(line, FILES, lambda row=row: streams.step(row))
            np.testing.assert_equal(streams.state, before)
    copies[0].state = before
    assert same(streams.step(given[-1]), copies[0].step(rows[6]))


def test_rows_that_are_refused_beyond_the_dtype_are_not_taken():
    streams = fitted("one", **STATEFUL).stream()
    before = streams.state
    streams._numbers._network.weights[:] = np.nan
    with pytest.raises(ValueError, match="this row"):
        streams.step(ROWS[0, 0])
    np.testing.assert_equal(streams.state, before)
