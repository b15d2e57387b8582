"""Tables, models and runs of the command line for its tests."""

import functools
import warnings

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNRegressor, WeightedEnsembleRegressor
from sklstm.cli.main import main

COLUMNS = ["a", "b", "c"]
# Groups of one row, shorter than a window, and over many batches.
SIZES = {"one": 1, "few": 5, "many": 211, "middle": 60, "last": 123}


@functools.cache
def table(n_repeats=1):
    """Return a table with groups, times, features, a target and labels."""
    sizes = [size * n_repeats for size in SIZES.values()]
    rng = np.random.default_rng(3)
    n_rows = sum(sizes)
    frame = pd.DataFrame(rng.normal(size=(n_rows, len(COLUMNS))), columns=COLUMNS)
    frame.insert(0, "series", np.repeat(list(SIZES), sizes))
    frame.insert(1, "time", np.concatenate([pd.date_range("2024-01-01", periods=n, freq="h") for n in sizes]))
    frame["y"] = np.convolve(frame["a"], [0.5, 0.3, 0.2])[:n_rows] + 0.1 * frame["b"]
    frame["label"] = np.where(frame["y"] > 0, "up", "down")
    return frame


NETWORK = {"hidden_size": 6, "sequence_length": 9, "max_iter": 1, "random_state": 0}


def _fit(model, y="y", **more):
    frame = table()
    return model.fit(frame[COLUMNS], frame[y], **{"groups": frame["series"], **more})


def _ensemble():
    members = [("lstm", DeepLSTMRegressor(**NETWORK)), ("gru", DeepRNNRegressor(**{**NETWORK, "cell": "gru"}))]
    return _fit(WeightedEnsembleRegressor(members, weights=[0.7, 0.3]))


def _units():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="group_scaling='standard' finds no unit for group 'one'")
        return _fit(DeepLSTMRegressor(**NETWORK, group_scaling="standard"))


def _pipeline():
    frame = table()
    model = make_pipeline(StandardScaler(), DeepLSTMRegressor(**NETWORK))
    return model.fit(frame[COLUMNS], frame["y"], deeplstmregressor__groups=frame["series"])


#: Fitted models, by name, and the methods that are asked of them.
MODELS = {
    "regressor": lambda: _fit(DeepLSTMRegressor(**NETWORK)),
    "classifier": lambda: _fit(DeepLSTMClassifier(**NETWORK), "label"),
    "quantiles": lambda: _fit(DeepLSTMRegressor(**NETWORK, loss="quantile", quantile=(0.1, 0.5, 0.9))),
    "two outputs": lambda: _fit(DeepLSTMRegressor(**NETWORK), ["y", "a"]),
    "bidirectional": lambda: _fit(
        DeepRNNRegressor(**NETWORK, cell="gru", bidirectional=True, window_norm="last", target_column="a")
    ),
    "carried": lambda: _fit(DeepLSTMRegressor(**NETWORK, carry_context=True)),
    "units": _units,
    "stateful": lambda: _fit(DeepLSTMRegressor(6, training="stateful", shuffle=False, max_iter=1, random_state=0)),
    "seeds": lambda: _fit(DeepLSTMRegressor(**NETWORK, n_seeds=2)),
    "pipeline": _pipeline,
    "ensemble": _ensemble,
}
METHODS = {
    "classifier": ["predict", "predict_proba", "predict_log_proba"],
    "quantiles": ["predict", "predict_quantiles"],
    "seeds": ["predict", "transform"],
}


@functools.cache
def model(name):
    """Return a fitted model; fitted once."""
    return MODELS[name]()


def run(*arguments):
    """Run a command in this process and return its exit code."""
    return main([str(argument) for argument in arguments])


def read_numbers(path):
    """Return a CSV file with its predictions to the last bit, which pandas before 3 reads otherwise."""
    frame = pd.read_csv(path, dtype={"prediction": str})
    return frame.assign(prediction=frame["prediction"].astype(float))


def as_bytes(values):
    """Return the bits of a column, for equality also where there are NaN."""
    values = np.asarray(values)
    return values.tolist() if values.dtype.kind in "OU" else values.tobytes()


OPTIONS = ("--group", "series", "--time", "time", "--batch-rows", "50")


def fails(code, files, capsys, *options, source="table.parquet", output="out.parquet", model="model"):
    """Run `predict`, check that it fails as it should, and return its message."""
    before = sorted(path.name for path in files.iterdir())
    (files / "out.parquet").write_bytes(b"the output of yesterday")
    assert run("predict", files / model, files / source, files / output, "--quiet", *(options or OPTIONS)) == code
    told = capsys.readouterr()
    assert told.out == ""
    lines = [line for line in told.err.splitlines() if "warning" not in line]
    assert len(lines) == 1, told.err
    assert lines[0].startswith("sklstm: error: ")
    assert (files / "out.parquet").read_bytes() == b"the output of yesterday"
    (files / "out.parquet").unlink()
    assert sorted(path.name for path in files.iterdir()) == before
    return lines[0]
