"""`sklstm predict`: its table holds the bits of the model's own answers, however the rows come."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from batch_case import COLUMNS, METHODS, MODELS, as_bytes, model, read_numbers, run, table
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import DeepLSTMRegressor, save_model
from sklstm.cli.models import names_of

pytest.importorskip("pyarrow")


def expected_columns(name):
    """Return the answers of a model for the table in memory, by column of the output."""
    frame, estimator, found = table(), model(name), {}
    for method in METHODS.get(name, ["predict"]):
        answer = np.asarray(getattr(estimator, method)(frame[COLUMNS], groups=frame["series"].to_numpy()))
        for place, column in enumerate(answer.reshape(len(frame), -1).T):
            found[method, place] = column
    return found


# Batches shorter than a window, with a border inside groups and at one, and one batch for all.
CASES = [(name, rows) for rows in (3, 217, 1000) for name in ("regressor", "carried", "stateful")]
CASES += [(name, 64) for name in MODELS]


@pytest.mark.parametrize(("name", "batch_rows"), CASES)
def test_answers_are_those_in_memory(name, batch_rows, files):
    save_model(model(name), files / "model")
    methods = [option for method in METHODS.get(name, ["predict"]) for option in ("--method", method)]
    options = ["--group", "series", "--time", "time", "--batch-rows", batch_rows, *methods]
    assert run("predict", files / "model", files / "table.parquet", files / "out.parquet", *options) == 0
    out = pd.read_parquet(files / "out.parquet")
    pd.testing.assert_frame_equal(out[["series", "time"]], table()[["series", "time"]], check_dtype=False)
    answers = out.drop(columns=["series", "time"])
    expected = expected_columns(name)
    assert answers.shape[1] == len(expected)
    for column, values in zip(answers.columns, expected.values(), strict=True):
        assert as_bytes(answers[column]) == as_bytes(values), column


@pytest.mark.parametrize(("source", "target"), [("csv", "parquet"), ("parquet", "csv"), ("csv", "csv")])
def test_formats_can_be_mixed(source, target, files):
    out = files / f"out.{target}"
    assert run("predict", files / "model", files / f"table.{source}", out, "--group", "series", "--batch-rows", 50) == 0
    found = pd.read_parquet(out) if target == "parquet" else read_numbers(out)
    assert list(found.columns) == ["series", "prediction"]
    assert as_bytes(found["prediction"]) == as_bytes(expected_columns("regressor")["predict", 0])


@pytest.mark.parametrize(
    ("name", "method", "columns"),
    [
        ("classifier", "predict", ["prediction"]),
        ("classifier", "predict_proba", ["probability_down", "probability_up"]),
        ("classifier", "predict_log_proba", ["log_probability_down", "log_probability_up"]),
        ("quantiles", "predict_quantiles", ["quantile_0.1", "quantile_0.5", "quantile_0.9"]),
        ("two outputs", "predict", ["prediction_0", "prediction_1"]),
        ("regressor", "transform", [f"feature_{k}" for k in range(6)]),
    ],
)
def test_names_of_columns(name, method, columns, files):
    save_model(model(name), files / "model")
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--method", method)
    assert run(*command, "--group", "series", "--prefix", "x_", "--keep", "y,label") == 0
    assert list(pd.read_parquet(files / "out.parquet")) == ["series", "y", "label", *(f"x_{one}" for one in columns)]


def test_names_of_quantiles_of_several_outputs():
    model = DeepLSTMRegressor(loss="quantile", quantile=[0.1, 0.9])
    names = names_of("predict_quantiles", model, (7, 3, 2))
    assert names == [f"quantile_{level}_{output}" for output in range(3) for level in (0.1, 0.9)]


@pytest.mark.filterwarnings("default:groups is missing")
def test_without_groups_the_table_is_one_series(files, capsys):
    assert run("predict", files / "model", files / "table.parquet", files / "out.parquet", "--batch-rows", 33) == 0
    assert capsys.readouterr().err.count("groups is missing") == 1  # told once, not once a batch
    found = pd.read_parquet(files / "out.parquet")
    assert list(found) == ["prediction"]
    with pytest.warns(UserWarning, match="groups is missing"):
        expected = model("regressor").predict(table()[COLUMNS])
    assert as_bytes(found["prediction"]) == as_bytes(expected)


def test_float32_columns_stay_float32(files):
    frame = table().astype(dict.fromkeys(COLUMNS, np.float32))
    frame.to_parquet(files / "single.parquet")
    command = ("predict", files / "model", files / "single.parquet", files / "out.parquet")
    assert run(*command, "--group", "series", "--batch-rows", 33) == 0
    expected = model("regressor").predict(frame[COLUMNS], groups=frame["series"].to_numpy())
    assert as_bytes(pd.read_parquet(files / "out.parquet")["prediction"]) == as_bytes(expected)


def test_columns_without_names_are_all_others_in_their_order(files):
    frame = table()
    nameless = DeepLSTMRegressor(hidden_size=4, sequence_length=5, max_iter=1, random_state=0)
    nameless.fit(frame[COLUMNS].to_numpy(), frame["y"])
    save_model(nameless, files / "model")
    frame[["time", *COLUMNS]].to_parquet(files / "narrow.parquet")
    command = ("predict", files / "model", files / "narrow.parquet", files / "out.parquet", "--batch-rows", 100)
    assert run(*command, "--keep", "time") == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    assert as_bytes(found) == as_bytes(nameless.predict(frame[COLUMNS].to_numpy()))
    assert run(*command, "--keep", "time", "--features", "c,b,a") == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    assert as_bytes(found) == as_bytes(nameless.predict(frame[["c", "b", "a"]].to_numpy()))


def test_a_joblib_file_is_read_with_trust_alone(files, capsys):
    frame = table()
    search = GridSearchCV(
        DeepLSTMRegressor(hidden_size=4, max_iter=1, random_state=0), {"sequence_length": [3, 6]}, cv=TimeSeriesSplit(2)
    ).fit(frame[COLUMNS], frame["y"])
    joblib.dump(search, files / "model.joblib")
    command = ("predict", files / "model.joblib", files / "table.parquet", files / "out.parquet", "--batch-rows", 70)
    assert run(*command) == 4
    assert "--trust" in capsys.readouterr().err
    assert not (files / "out.parquet").exists()
    assert run(*command, "--trust") == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    assert as_bytes(found) == as_bytes(search.predict(frame[COLUMNS]))


def test_steps_that_look_back_need_context_rows(files, capsys):
    frame = table()
    lags = FunctionTransformer(_with_lag)
    pipeline = make_pipeline(lags, DeepLSTMRegressor(hidden_size=4, sequence_length=5, max_iter=1, random_state=0))
    pipeline.fit(frame[COLUMNS], frame["y"])
    joblib.dump(pipeline, files / "model.joblib")
    command = ("predict", files / "model.joblib", files / "table.parquet", files / "out.parquet", "--trust")
    assert run(*command) == 4
    assert "--context-rows" in capsys.readouterr().err
    assert run(*command, "--context-rows", 4 + 2, "--batch-rows", 50) == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    assert as_bytes(found) == as_bytes(pipeline.predict(frame[COLUMNS]))


def _with_lag(X):
    return X.assign(lag=X["a"].shift(2).fillna(0.0))


def test_a_model_that_reads_single_rows(files):
    frame = table()
    ridge = Ridge().fit(frame[COLUMNS], frame["y"])
    joblib.dump(ridge, files / "model.joblib")
    command = ("predict", files / "model.joblib", files / "table.parquet", files / "out.parquet", "--trust")
    assert run(*command, "--group", "series", "--batch-rows", 50) == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    np.testing.assert_allclose(found, ridge.predict(frame[COLUMNS]), rtol=1e-12)  # its product rounds by the rows


def test_dictionaries_and_numbers_as_groups(files):
    for kind in ("category", "number"):
        frame = table().copy()
        codes = pd.factorize(frame["series"])[0]
        frame["series"] = frame["series"].astype("category") if kind == "category" else codes
        frame.to_parquet(files / "table.parquet", row_group_size=70)
        command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--group", "series")
        assert run(*command, "--batch-rows", 50) == 0
        found = pd.read_parquet(files / "out.parquet")
        assert found["series"].tolist() == frame["series"].tolist()
        assert as_bytes(found["prediction"]) == as_bytes(expected_columns("regressor")["predict", 0])


def test_row_groups_are_the_batches_and_do_not_depend_on_those_of_the_input(files):
    from pyarrow.parquet import ParquetFile

    contents = []
    for size in (400, 13):
        table().to_parquet(files / "table.parquet", row_group_size=size)
        command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--group", "series")
        assert run(*command, "--batch-rows", 150) == 0
        contents.append((files / "out.parquet").read_bytes())
    assert contents[0] == contents[1]
    metadata = ParquetFile(files / "out.parquet").metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [150, 150, 100]


def test_any_number_of_threads_gives_the_same_file(files):
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--group", "series")
    contents = []
    for jobs in (1, 2):
        assert run(*command, "--jobs", jobs) == 0
        contents.append((files / "out.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_lines_tell_the_progress(files, monkeypatch, capsys):
    monkeypatch.setattr("sklstm.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--batch-rows", 100)
    assert run(*command, "--group", "series") == 0
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == ""
    assert [line.split("(")[1].split(")")[0] for line in lines[:-1]] == ["25 %", "50 %", "75 %", "100 %"]
    assert "wrote" in lines[-1]
    assert "400 rows" in lines[-1]
    assert run(*command, "--group", "series", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal(files, monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run("predict", files / "model", files / "table.parquet", files / "out.parquet", "--group", "series") == 0
    assert "wrote" in capsys.readouterr().err


def test_a_pipeline_transforms_each_group_alone(files):
    save_model(model("pipeline"), files / "model")
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--method", "transform")
    assert run(*command, "--group", "series", "--batch-rows", 50, "--quiet") == 0
    found = pd.read_parquet(files / "out.parquet").drop(columns="series").to_numpy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="groups is missing")
        groups = [model("pipeline").transform(part[COLUMNS]) for _, part in table().groupby("series", sort=False)]
    assert as_bytes(found) == as_bytes(np.concatenate(groups))


def test_outside_of_the_main_thread(files):
    with ThreadPoolExecutor(1) as executor:  # which takes no signals
        assert executor.submit(run, "info", files / "model").result() == 0


def test_fewer_context_rows_than_the_network_reads_change_nothing(files):
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", "--batch-rows", 50)
    assert run(*command, "--group", "series", "--quiet", "--context-rows", 0) == 0
    found = pd.read_parquet(files / "out.parquet")["prediction"]
    assert np.array_equal(found, model("regressor").predict(table()[COLUMNS], groups=table()["series"].to_numpy()))


@pytest.mark.parametrize(("features", "message"), [(COLUMNS[::-1], "in the order"), (COLUMNS[:1] * 2, "twice")])
def test_named_columns_in_another_order_are_refused(features, message, files, capsys):
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet")
    assert run(*command, "--features", ",".join(features)) == 2
    assert message in capsys.readouterr().err
